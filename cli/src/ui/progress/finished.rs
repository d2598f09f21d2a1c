//! What the live display writes for good when something has happened.

use std::time::Duration;

use touchmark_builder::{
    dockerfile::warning_excerpt,
    graph::Origin,
    solver::{event::Event, phase::PhaseKind},
};

use super::{
    super::{paint::Paint, text::harmless},
    frame::{Canvas, Row},
    ledger::{seconds, step_name},
    log_tail::LogTail,
};

/// The Dockerfile, for warnings that show their line.
#[derive(Debug, Clone)]
pub(crate) struct DockerfileText {
    /// Its name for people.
    pub(crate) name: String,
    /// Its text.
    pub(crate) source: String,
}

/// Work beside the steps that was quicker than this goes unmentioned.
const SLOW_PHASE: Duration = Duration::from_millis(100);

/// A line, or several, that stay.
#[derive(Debug)]
pub(super) enum Line {
    /// Something with a time at its right end.
    Row(Row, fn(Paint, &str) -> String),
    /// Text with line ends, painted already.
    Text(Vec<u8>),
}

impl Line {
    /// As bytes, with the line end.
    pub(super) fn drawn(&self, canvas: Canvas) -> Vec<u8> {
        match self {
            Self::Row(row, paint) => format!("{}\n", row.drawn(canvas, *paint)).into_bytes(),
            Self::Text(text) => text.clone(),
        }
    }
}

fn plain(_: Paint, text: &str) -> String {
    text.to_owned()
}

fn text(text: &str) -> Line {
    Line::Text(format!("{}\n", text.trim_end()).into_bytes())
}

/// What stays of an event.
pub(super) fn line(event: &Event<'_>, dockerfile: &DockerfileText, paint: Paint) -> Option<Line> {
    let step = |origin: &Origin, right: String, paint: fn(Paint, &str) -> String| {
        let left = format!(" => {} {}", step_name(origin), harmless(&origin.text));
        Some(Line::Row(Row { left, right }, paint))
    };
    match *event {
        Event::Base(origin, _, digest) => {
            let short: String = digest.hex().chars().take(12).collect();
            step(origin, format!("sha256:{short}"), plain)
        }
        Event::Cached(origin) => step(origin, "CACHED".into(), Paint::good),
        Event::Finished(origin, after) => step(origin, seconds(after), plain),
        Event::Failed(origin, after) => {
            step(origin, format!("FAILED {}", seconds(after)), Paint::fault)
        }
        Event::Cancelled(origin, after) => {
            step(origin, format!("cancelled {}", seconds(after)), Paint::dim)
        }
        Event::Refused(origin, refusal) => {
            let lines = harmless_lines(&refusal.to_string());
            let name = step_name(origin);
            let shown =
                lines.iter().map(|line| format!("{name} {} {line}", paint.fault("network:")));
            Some(text(&shown.collect::<Vec<_>>().join("\n")))
        }
        Event::Ended(phase, after) => {
            let told = matches!(phase.kind, PhaseKind::Write | PhaseKind::Load | PhaseKind::Push);
            let left = format!(" => {}", harmless(&phase.to_string()));
            let row = Row { left, right: seconds(after) };
            (told || after >= SLOW_PHASE).then_some(Line::Row(row, plain))
        }
        Event::Activity(what) => Some(text(&format!(" => {}", harmless(what)))),
        Event::Doubt(doubt) => {
            Some(text(&warning_excerpt(&dockerfile.name, &dockerfile.source, doubt)))
        }
        Event::Warning(what) => {
            let lines = harmless_lines(what).join("\n");
            Some(text(&format!("{} {lines}", paint.doubt("warning:"))))
        }
        _ => None,
    }
}

/// The log of a step that failed.
pub(super) fn log(origin: &Origin, tail: &LogTail, paint: Paint) -> Line {
    Line::Text(tail.whole(&format!("{} ", step_name(origin)), paint.of_tools()))
}

/// Each line of `text`, made harmless.
pub(super) fn harmless_lines(text: &str) -> Vec<String> {
    text.lines().map(harmless).collect()
}
