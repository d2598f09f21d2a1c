//! Sets the stage for `scripts/demo`: what surrounds touchmark there and is no part of it.
//!
//! ```text
//! stagehand [--as USER] with-registry PROGRAM ARGS…   runs PROGRAM with REGISTRY=127.0.0.1:PORT, then stops the registry
//! stagehand push-base TAR HOST REPOSITORY:TAG         pushes a root file system as an image
//! stagehand tamper HOST REPOSITORY:TAG NEW-TAG        an attacker's copy: other configuration, the old statements
//! stagehand record-peer [PART-OF-A-NAME]              builds the differential cases with the Docker command line that
//!                                                     TOUCHMARK_PEER holds, and keeps what comes out
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a tool for demonstrations and tests: it reports by panicking and prints what it did"
)]

use std::{
    env, fs,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use serde_json::{Value, json};
use touchmark_tests::{
    account::Account,
    client::Client,
    differential::{bases, case::Case, peer::Peer},
    image::{Image, MANIFEST},
    registry::Registry,
    repository,
};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["--as", user, "with-registry", program @ ..] => with_registry(Some(user), program),
        ["with-registry", program @ ..] => with_registry(None, program),
        ["push-base", tar, host, image] => push_base(tar, host, image),
        ["record-peer"] => record_peer(""),
        ["record-peer", filter] => record_peer(filter),
        ["tamper", host, image, tag] => tamper(host, image, tag),
        _ => panic!("usage: see tests/stagehand/main.rs"),
    }
}

/// Runs a program beside an empty registry. Root's program runs as `user`, in that user's home.
fn with_registry(user: Option<&str>, program: &[&str]) -> ExitCode {
    let registry = Registry::empty();
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).env("REGISTRY", registry.host());
    if let Some(user) = user {
        let account = Account::made(user);
        command.env_clear().env("REGISTRY", registry.host()).env("HOME", &account.home);
        command.env("USER", &account.name).env("LOGNAME", &account.name).env("LANG", "C.UTF-8");
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
        command.uid(account.uid).gid(account.gid).current_dir(&account.home);
    }
    let status = command.status().expect("the program can be started");
    drop(registry);
    ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
}

fn split(image: &str) -> (&str, &str) {
    image.rsplit_once(':').expect("REPOSITORY:TAG")
}

fn push_base(tar: &str, host: &str, image: &str) -> ExitCode {
    let (repository, tag) = split(image);
    let mut base = Image::of(vec![fs::read(tar).expect("a readable tar")]);
    base.config["Cmd"] = json!(["bash"]);
    let digest = base.push(&Client::new(host), repository, tag);
    println!("pushed {host}/{image}@{digest}");
    ExitCode::SUCCESS
}

/// Builds every case whose name holds `filter` with Docker.
fn record_peer(filter: &str) -> ExitCode {
    let command = env::var("TOUCHMARK_PEER").expect("TOUCHMARK_PEER='docker' or what starts it");
    let (peer, registry) = (Peer::new(&command), bases::registry_on(peer_port()));
    peer.take_bases(&registry);
    fs::write(repository().join("tests/differential/peer.txt"), peer.version() + "\n")
        .expect("the checkout");
    for case in Case::all(filter) {
        let work = tempfile::Builder::new().prefix("tm-peer-").tempdir_in("/tmp").expect("/tmp");
        case.keep(&peer.build(&case, work.path(), &registry.host()));
        println!("recorded {}", case.title());
    }
    ExitCode::SUCCESS
}

/// The port of the bases' registry, when the peer may only reach certain ones.
fn peer_port() -> Option<u16> {
    env::var("TOUCHMARK_PEER_PORT").ok().map(|port| port.parse().expect("a port"))
}

/// What somebody who may write to the registry, but has no key, can do best: change the configuration so that the
/// program runs as root, and lend the changed image every statement of the real one.
fn tamper(host: &str, image: &str, new_tag: &str) -> ExitCode {
    let registry = Client::new(host);
    let (repository, tag) = split(image);
    let (real, mut manifest) = registry.manifest(repository, tag).expect("the image is there");
    let config = registry
        .blob(repository, manifest["config"]["digest"].as_str().expect("an image manifest"));
    let mut config: Value = serde_json::from_slice(&config).expect("JSON");
    config["config"]["User"] = json!("0:0");
    let config = config.to_string().into_bytes();
    manifest["config"]["digest"] = json!(registry.put_blob(repository, &config));
    manifest["config"]["size"] = json!(config.len());
    let changed =
        registry.put_manifest(repository, new_tag, MANIFEST, manifest.to_string().as_bytes());
    if let Some((_, index)) = registry.manifest(repository, &real.replace(':', "-")) {
        let kind = index["mediaType"]
            .as_str()
            .unwrap_or("application/vnd.oci.image.index.v1+json")
            .to_owned();
        registry.put_manifest(
            repository,
            &changed.replace(':', "-"),
            &kind,
            index.to_string().as_bytes(),
        );
    }
    println!(
        "pushed {host}/{repository}:{new_tag}@{changed}: USER is root now, and the statements of the real image stand beside it"
    );
    ExitCode::SUCCESS
}
