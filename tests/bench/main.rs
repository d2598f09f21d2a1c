//! `make bench`: touchmark beside BuildKit and buildah, as docs/benchmarks.md describes it. scripts/bench sets up the
//! others and starts this; the rows are in `row`, what grows in `growth`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for measurements: it reports by panicking and prints what it did"
)]

mod buildah;
mod buildkit;
mod chart;
mod context;
mod downloads;
mod growth;
mod machine;
mod meter;
mod processes;
mod report;
mod result;
mod row;
mod settings;
mod stage;
mod subject;
mod touchmark;

use std::{fs, process::ExitCode};

use serde_json::{Value, json};
use touchmark_tests::repository;

use crate::{downloads::Hall, growth::Series, row::Row, settings::Settings, stage::Stage};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("render") {
        write(&kept());
        return ExitCode::SUCCESS;
    }
    let (rows, growth, downloads) = (row::all(), growth::all(), downloads::all());
    let keys = rows.iter().map(|row| row.key).chain(growth.iter().map(|series| series.key));
    let known: Vec<&str> = keys.chain(downloads.iter().map(|download| download.key)).collect();
    let settings = match Settings::read(&known) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let mut results = match settings.record && !settings.rows.is_empty() {
        true => kept(),
        false => json!({}),
    };
    if settings.has_peers() {
        beside(&settings, (&rows, &growth), &known, &mut results);
    }
    let downloads = downloads.iter().filter(|download| settings.wants(download.key));
    let mut hall = None;
    for download in downloads {
        println!("== {}: {}", download.key, download.title);
        let hall = hall.get_or_insert_with(|| Hall::of(&settings.user, settings.runs));
        keep(&mut results["downloads"], hall.run(download), &known);
    }
    drop(hall);
    if settings.record {
        write(&results);
        println!("== docs/benchmarks.md, docs/benchmarks.svg and docs/benchmarks.json are written");
    } else {
        println!("\n{}", report::tables(&results));
    }
    ExitCode::SUCCESS
}

/// Everything for which the other builders are needed.
fn beside(
    settings: &Settings,
    (rows, growth): (&[Row], &[Series]),
    known: &[&str],
    results: &mut Value,
) {
    // Orphans of daemons become children of this process, so it can count what they use.
    nix::sys::prctl::set_child_subreaper(true).expect("Linux");
    let mut stage = Stage::set(settings);
    results["machine"] = machine::describe(&stage.versions(), settings.runs);
    for row in rows.iter().filter(|row| settings.wants(row.key)) {
        println!("== {}: {}", row.key, row.title);
        keep(&mut results["rows"], stage.row(row), known);
    }
    for series in growth.iter().filter(|series| settings.wants(series.key)) {
        println!("== {}: growth with {}", series.key, series.title);
        keep(&mut results["growth"], series.run(&mut stage), known);
    }
}

/// What the last measurement left.
fn kept() -> Value {
    let text = fs::read_to_string(repository().join("docs/benchmarks.json"));
    text.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_else(|| json!({}))
}

/// Puts `entry` where the one with the same key was, in the order of `known`.
fn keep(list: &mut Value, entry: Value, known: &[&str]) {
    let mut entries = list.as_array().cloned().unwrap_or_default();
    entries.retain(|old| old["row"] != entry["row"]);
    entries.push(entry);
    entries.sort_by_key(|entry| known.iter().position(|key| entry["row"] == *key));
    *list = entries.into();
}

fn write(results: &Value) {
    let docs = repository().join("docs");
    let text = serde_json::to_string_pretty(results).expect("JSON") + "\n";
    fs::write(docs.join("benchmarks.json"), text).expect("the checkout");
    fs::write(docs.join("benchmarks.svg"), chart::ratios(results)).expect("the checkout");
    fs::write(docs.join("benchmarks-growth.svg"), chart::growth(results)).expect("the checkout");
    fs::write(docs.join("benchmarks.md"), report::document(results)).expect("the checkout");
}
