//! The end of a build in a few lines: which steps took how long, what was cached, what was moved.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    super::{
        log_text,
        text::{harmless, size},
    },
    ledger::{Ledger, Step, StepState, seconds},
};

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuiltImage {
    /// Digest of the manifest or index; none where only files were wanted.
    pub(crate) digest: Option<String>,
    /// Digest of the configuration; none for an index.
    pub(crate) config: Option<String>,
    /// Bytes of the layers as they are transferred.
    pub(crate) size: u64,
    /// Number of layers.
    pub(crate) layers: usize,
    /// Its names.
    pub(crate) names: Vec<String>,
    /// Was it pushed under them?
    pub(crate) pushed: bool,
    /// Files and directories that were written.
    pub(crate) files: Vec<String>,
    /// Signed statements beside it.
    pub(crate) statements: usize,
    /// What hardening did.
    pub(crate) hardening: Hardening,
}

/// What hardening did, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hardening {
    /// Files removed.
    pub(crate) removed: usize,
    /// Modes and capabilities cleared.
    pub(crate) cleared: usize,
    /// Packages that left with their programs.
    pub(crate) packages: usize,
    /// Exceptions kept.
    pub(crate) kept: usize,
}

/// Steps that the table shows; of more, those that took longest.
const ROWS: usize = 20;

/// The summary for people.
pub(super) fn text(ledger: &Ledger, image: &BuiltImage, now: Instant, columns: usize) -> String {
    let counts = ledger.counts();
    let took = seconds(now.saturating_duration_since(ledger.began()));
    let totals = ledger.totals();
    let moved = [
        (totals.pulled, "pulled"),
        (totals.fetched.bytes, "fetched by steps"),
        (totals.pushed, "pushed"),
    ];
    let moved = moved.iter().filter(|(bytes, _)| *bytes > 0);
    let moved = moved.map(|(bytes, what)| format!(", {} {what}", size(*bytes)));
    let mut text = format!(
        "=> built in {took}: {} of {} steps cached{}\n",
        counts.cached,
        counts.steps,
        moved.collect::<String>()
    );
    for line in table(ledger) {
        text.push_str(&log_text::cut(&line, columns));
        text.push('\n');
    }
    if image.digest.is_some() {
        text.push_str(&format!("=> {} in {} layers", size(image.size), image.layers));
    }
    text.trim_end().to_owned()
}

/// The steps that ran, in the order of the plan, and how long they took.
fn table(ledger: &Ledger) -> Vec<String> {
    let mut ran: Vec<(usize, &Step, Duration)> = Vec::new();
    for (number, step) in ledger.steps().iter().enumerate() {
        if let StepState::Done(after) = step.state {
            ran.push((number, step, after));
        }
    }
    ran.sort_by_key(|(number, _, after)| (std::cmp::Reverse(*after), *number));
    let rest = ran.split_off(ran.len().min(ROWS));
    ran.sort_by_key(|(number, ..)| *number);
    let name = ran.iter().map(|(_, step, _)| log_text::columns(&step.name)).max().unwrap_or(0);
    let row = |(_, step, after): &(usize, &Step, Duration)| {
        let gap = " ".repeat(name - log_text::columns(&step.name));
        let fetched = match step.fetched.bytes {
            0 => String::new(),
            bytes => format!(" ({} fetched)", size(bytes)),
        };
        format!("   {}{gap} {:>7}  {}{fetched}", step.name, seconds(*after), step.text)
    };
    let mut lines: Vec<String> = ran.iter().map(row).collect();
    if !rest.is_empty() {
        let longest = rest.iter().map(|(_, _, after)| *after).max().unwrap_or_default();
        lines.push(format!("   and {} steps of at most {}", rest.len(), seconds(longest)));
    }
    lines
}

/// The result for programs.
pub(super) fn json(ledger: &Ledger, image: &BuiltImage, now: Instant) -> Value {
    let counts = ledger.counts();
    let totals = ledger.totals();
    let took = now.saturating_duration_since(ledger.began()).as_millis();
    json!({
        "digest": image.digest,
        "config": image.config,
        "size": image.size,
        "layers": image.layers,
        "names": image.names,
        "pushed": image.pushed,
        "files": image.files.iter().map(|file| harmless(file)).collect::<Vec<_>>(),
        "statements": image.statements,
        "hardening": {
            "removed": image.hardening.removed,
            "cleared": image.hardening.cleared,
            "packages": image.hardening.packages,
            "kept": image.hardening.kept,
        },
        "steps": counts.steps,
        "cached": counts.cached,
        "pulledBytes": totals.pulled,
        "pushedBytes": totals.pushed,
        "fetchedBytes": totals.fetched.bytes,
        "fetchedRequests": totals.fetched.requests,
        "milliseconds": u64::try_from(took).unwrap_or(u64::MAX),
    })
}
