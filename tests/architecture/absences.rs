//! What must not be there: I/O in pure rooms, clocks in content, talk outside the command line, unsafe code.

use crate::{
    paths::{self, NamedPath},
    source::SourceFile,
};

/// Paths that reach files, sockets, other programs or the environment.
const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::os::unix::net",
    "std::env",
    "std::process",
    "tokio",
    "rustix",
    "nix",
    "reqwest",
    "hyper",
    "tempfile",
    "xattr",
];

/// Below the paths above, but no look outside: what the compiler knew about the target, and addresses as numbers.
const PLAIN_DATA: &[&str] = &[
    "std::env::consts",
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
    "std::net::AddrParseError",
];

/// Paths that tell the time or throw dice.
const CLOCKS: &[&str] = &[
    "std::time::SystemTime",
    "std::time::Instant",
    "SystemTime::now",
    "Instant::now",
    "OffsetDateTime::now_utc",
    "OffsetDateTime::now_local",
    "time::OffsetDateTime::now_utc",
    "time::OffsetDateTime::now_local",
    "UtcDateTime::now",
    "time::UtcDateTime::now",
];

const DICE: &[&str] =
    &["getrandom", "rand", "OsRng", "rand_core::OsRng", "p256::elliptic_curve::rand_core::OsRng"];

/// Parts of `std::env` and others that read or change the process's surroundings. `std::env::consts` and
/// `current_exe` describe the program, not its user, and are free.
const TALK: &[&str] = &[
    "std::env::var",
    "std::env::var_os",
    "std::env::vars",
    "std::env::vars_os",
    "std::env::args",
    "std::env::args_os",
    "std::env::set_var",
    "std::env::remove_var",
    "std::env::temp_dir",
    "std::env::home_dir",
    "env::var",
    "env::var_os",
    "env::vars",
    "env::vars_os",
    "env::args",
    "env::args_os",
    "env::set_var",
    "env::remove_var",
    "env::temp_dir",
    "env::home_dir",
    "std::process::exit",
    "process::exit",
    "std::process::abort",
    "process::abort",
    "std::io::stdout",
    "std::io::stderr",
    "io::stdout",
    "io::stderr",
];

const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

/// Rooms of the builder that only compute.
const PURE: &[&str] =
    &["oci", "secret", "purl", "proxy", "dockerfile", "policy", "remote", "graph", "lint"];

/// Rooms whose output is part of an image or of what is said about it.
const CONTENT: &[&str] = &[
    "oci",
    "dockerfile",
    "policy",
    "graph",
    "layer",
    "harden",
    "sbom",
    "image",
    "provenance",
    "attestations",
];

fn banned(file: &SourceFile, list: &[&str], why: &str) -> Vec<String> {
    let guilty = |path: &NamedPath| {
        let below = |list: &[&str]| list.iter().any(|prefix| path.starts_with(prefix));
        below(list) && !below(PLAIN_DATA)
    };
    let named = paths::named(file);
    let sentences = named.iter().filter(|path| guilty(path));
    sentences
        .map(|path| format!("{}:{}: names {}, but {why}", file.path, path.line, path.text()))
        .collect()
}

fn of<'a>(files: &'a [SourceFile], house: &'a str) -> impl Iterator<Item = &'a SourceFile> {
    files.iter().filter(move |file| file.house() == house)
}

fn in_rooms<'a>(
    files: &'a [SourceFile],
    rooms: &'a [&str],
) -> impl Iterator<Item = &'a SourceFile> {
    of(files, "builder").filter(|file| file.room().is_some_and(|room| rooms.contains(&room)))
}

/// `attest` has no files, network, environment, clock or dice.
pub(crate) fn attest_is_pure(files: &[SourceFile]) -> Vec<String> {
    let why = "attest takes bytes, time and trust as arguments";
    let lists = [OUTSIDE, CLOCKS, DICE].concat();
    of(files, "attest").flat_map(|file| banned(file, &lists, why)).collect()
}

/// `attest/Cargo.toml` names no other crate of the house and no runtime.
pub(crate) fn attest_knows_nobody(manifest: &str) -> Vec<String> {
    let dependencies = manifest.split_once("[dependencies]").map_or("", |(_, rest)| rest);
    let dependencies = dependencies.split("\n[").next().unwrap_or_default();
    let strangers =
        ["touchmark", "tokio", "reqwest", "hyper", "rustix", "nix", "getrandom", "tempfile"];
    let named =
        dependencies.lines().filter(|line| strangers.iter().any(|name| line.starts_with(name)));
    named
        .map(|line| format!("attest/Cargo.toml: depends on '{line}', but attest knows nobody"))
        .collect()
}

/// The pure floors of the builder do no I/O.
pub(crate) fn pure_rooms_do_no_io(files: &[SourceFile]) -> Vec<String> {
    let why = "this room does no I/O";
    in_rooms(files, PURE).flat_map(|file| banned(file, OUTSIDE, why)).collect()
}

/// Rooms that make image content know no clock.
pub(crate) fn no_clock_in_content(files: &[SourceFile]) -> Vec<String> {
    let why = "only SOURCE_DATE_EPOCH reaches image content";
    in_rooms(files, CONTENT).flat_map(|file| banned(file, CLOCKS, why)).collect()
}

/// Only `cli` prints, reads the environment and exits.
pub(crate) fn only_cli_talks(files: &[SourceFile]) -> Vec<String> {
    let mut found = Vec::new();
    for file in of(files, "attest").chain(of(files, "builder")) {
        found.extend(banned(file, TALK, "only cli reads the environment, prints and exits"));
        for (number, line) in file.code.lines().enumerate() {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '!');
            for word in
                words.filter_map(|word| word.strip_suffix('!')).filter(|w| PRINTING.contains(w))
            {
                found.push(format!(
                    "{}:{}: uses {word}!, but only cli prints",
                    file.path,
                    number + 1
                ));
            }
        }
    }
    found
}

/// `unsafe` stands in one file at most, and that one is in the executor or the worker.
pub(crate) fn unsafe_in_one_file(files: &[SourceFile]) -> Vec<String> {
    let is_word =
        |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe");
    let guilty: Vec<&SourceFile> =
        files.iter().filter(|file| file.code.lines().any(is_word)).collect();
    let mut found: Vec<String> = guilty
        .iter()
        .filter(|file| !matches!(file.room(), Some("executor" | "worker")))
        .map(|file| {
            format!("{}: holds unsafe code, which may live in executor or worker only", file.path)
        })
        .collect();
    if guilty.len() > 1 {
        let paths: Vec<&str> = guilty.iter().map(|file| file.path.as_str()).collect();
        found.push(format!(
            "unsafe code in {} files, one is allowed: {}",
            paths.len(),
            paths.join(", ")
        ));
    }
    found
}
