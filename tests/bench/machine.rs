//! On what it was measured.

use std::{fs, process::Command};

use serde_json::{Value, json};
use touchmark_tests::repository;

/// The machine, the date and the versions. `builders`: names and versions.
pub(crate) fn describe(builders: &[String], runs: usize) -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let load = read("/proc/loadavg").split(' ').next().unwrap_or("?").to_owned();
    let memory = read("/proc/meminfo");
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let memory = memory.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    let processor = read("/proc/cpuinfo");
    let model =
        processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    json!({
        "date": said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        "commit": commit(),
        "processor": model.map_or("?", |(_, name)| name),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory": memory.unwrap_or_default() * 1024,
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load": load,
        "runs": runs,
        "builders": builders,
    })
}

fn commit() -> String {
    let place = repository();
    let place = place.to_string_lossy();
    let commit = said("git", &["-C", &place, "rev-parse", "--short=12", "HEAD"]);
    match said("git", &["-C", &place, "status", "--porcelain", "--", "attest", "builder", "cli"])
        .as_str()
    {
        "" => commit,
        _ => format!("{commit} with changes"),
    }
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map_or("?".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
