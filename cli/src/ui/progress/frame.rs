//! The part of the display that changes: what runs, with the last lines it wrote, what is on its way, and
//! one line about the whole. Pure: the same state, time and size give the same lines.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use touchmark_builder::solver::transfer::Direction;

use super::{
    super::{log_text, paint::Paint, text::size},
    ledger::{Blob, Ledger, Step, StepState, seconds},
    log_tail::LogTail,
};

/// What a frame is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Canvas {
    /// Columns of the terminal.
    pub(super) columns: usize,
    /// Its rows.
    pub(super) rows: usize,
    /// Its colours.
    pub(super) paint: Paint,
}

/// Log lines that a step shows at most.
const LOG_LINES: usize = 6;
/// A look into the cache that takes longer is shown.
const SLOW_CHECK: Duration = Duration::from_millis(300);
/// Smaller blobs are there before a line is read, in bytes…
const WORTH_TELLING: u64 = 1_000_000;
/// …unless they take this long.
const SLOW_BLOB: Duration = Duration::from_secs(1);
const LOG_PREFIX: &str = "    | ";

/// The lines of one frame: none is wider than the canvas, and there are fewer than it has rows.
pub(super) fn frame(
    ledger: &Ledger,
    tails: &HashMap<usize, LogTail>,
    canvas: Canvas,
    now: Instant,
) -> Vec<String> {
    let room = canvas.rows.saturating_sub(2);
    let steps: Vec<(usize, Row)> = ledger
        .steps()
        .iter()
        .enumerate()
        .filter_map(|(at, step)| Some((at, active(step, now)?)))
        .collect();
    let mut others: Vec<Row> = Vec::new();
    others.extend(ledger.phases().iter().map(|phase| Row {
        left: format!(" => {}", phase.text),
        right: seconds(now.saturating_duration_since(phase.since)),
    }));
    let told = |blob: &&Blob| {
        blob.size >= WORTH_TELLING || now.saturating_duration_since(blob.since) >= SLOW_BLOB
    };
    others.extend(ledger.blobs().iter().filter(told).map(|blob| transfer(blob, canvas, now)));
    let shown_steps = steps.len().min(room);
    let shown_others = others.len().min(room - shown_steps);
    let spare = room - shown_steps - shown_others;
    let talking = steps[..shown_steps].iter().filter(|(at, _)| tails.contains_key(at)).count();
    let per_step = spare.checked_div(talking).unwrap_or(0).min(LOG_LINES);
    let mut lines = Vec::new();
    for (at, row) in &steps[..shown_steps] {
        lines.push(row.drawn(canvas, Paint::active));
        let Some(tail) = tails.get(at).filter(|_| per_step > 0) else { continue };
        let width = canvas.columns.saturating_sub(LOG_PREFIX.len());
        let tail = tail.last(per_step, canvas.paint.of_tools(), width);
        lines.extend(tail.iter().map(|line| format!("{}{line}", canvas.paint.dim(LOG_PREFIX))));
    }
    lines.extend(others[..shown_others].iter().map(|row| row.drawn(canvas, Paint::active)));
    let hidden = steps.len() - shown_steps + others.len() - shown_others;
    lines.push(status(ledger, hidden, canvas, now));
    lines
}

/// A step that needs a line now.
fn active(step: &Step, now: Instant) -> Option<Row> {
    let since = |since: Instant| now.saturating_duration_since(since);
    let (note, time) = match &step.state {
        StepState::Running(began) => (String::new(), since(*began)),
        StepState::Checking(began) if since(*began) >= SLOW_CHECK => {
            ("is looked up in the cache: ".to_owned(), since(*began))
        }
        StepState::Waiting(what, began) => (format!("{what}: "), since(*began)),
        _ => return None,
    };
    let left = format!(" => {} {note}{}", step.name, step.text);
    Some(Row { left, right: seconds(time) })
}

fn transfer(blob: &Blob, canvas: Canvas, now: Instant) -> Row {
    let verb = match blob.direction {
        Direction::Pull => "pulling",
        Direction::Push => "pushing",
    };
    let short: String = blob.digest.hex().chars().take(12).collect();
    let left = format!(" => {verb} {short} of {}", blob.image);
    let done = blob.done.min(blob.size);
    let bar = if canvas.columns >= 72 { bar(done, blob.size) } else { String::new() };
    let rate = size(blob.rate(now));
    Row { left, right: format!("{bar}{} of {}, {rate}/s", size(done), size(blob.size)) }
}

/// `[=====>    ] `
fn bar(done: u64, all: u64) -> String {
    const WIDTH: usize = 16;
    let share = (u128::from(done) * WIDTH as u128).checked_div(u128::from(all)).unwrap_or(0);
    let full = usize::try_from(share).unwrap_or(WIDTH).min(WIDTH);
    let head = if full < WIDTH { ">" } else { "" };
    format!("[{:<WIDTH$}] ", format!("{}{head}", "=".repeat(full)))
}

/// `building 12.3s, 4 of 9 steps done, 2 cached, 1 waits`
fn status(ledger: &Ledger, hidden: usize, canvas: Canvas, now: Instant) -> String {
    let counts = ledger.counts();
    let mut text = format!("building {}", seconds(now.saturating_duration_since(ledger.began())));
    if counts.steps > 0 {
        text.push_str(&format!(", {} of {} steps done", counts.done, counts.steps));
    }
    if counts.cached > 0 {
        text.push_str(&format!(", {} cached", counts.cached));
    }
    if counts.waiting > 0 {
        text.push_str(&format!(", {} waiting", counts.waiting));
    }
    if hidden > 0 {
        text.push_str(&format!(", {hidden} not shown"));
    }
    canvas.paint.bold(&log_text::cut(&text, canvas.columns))
}

/// A line with something at its right end, which is cut last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// What it is about.
    pub(super) left: String,
    /// How it stands.
    pub(super) right: String,
}

impl Row {
    /// As wide as the canvas, in one colour.
    pub(super) fn drawn(&self, canvas: Canvas, paint: fn(Paint, &str) -> String) -> String {
        let right = log_text::cut(&self.right, canvas.columns);
        let taken = log_text::columns(&right);
        let left = log_text::cut(&self.left, canvas.columns.saturating_sub(taken + 1));
        let gap = canvas.columns.saturating_sub(taken + log_text::columns(&left));
        let gap = " ".repeat(gap);
        paint(canvas.paint, &format!("{left}{gap}{right}"))
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
