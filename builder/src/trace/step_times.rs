//! [`StepTime`]: when each step ran and for how long, for the metadata file.

use std::time::{Duration, SystemTime};

use super::span::{Field, Kind, Outcome, Span, Trace};

/// When a step began and how long it took, with what it waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTime {
    /// The instruction in one line.
    pub name: String,
    /// The stage's name.
    pub stage: String,
    /// The line in the Dockerfile where it begins.
    pub line: u64,
    /// When it began, by the wall clock.
    pub started: SystemTime,
    /// From its begin to its end.
    pub duration: Duration,
    /// How much of that it waited for a free place or for a cache mount.
    pub waited: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// The steps of `trace` in the order in which they began.
#[must_use]
pub fn step_times(trace: &Trace) -> Vec<StepTime> {
    let steps = trace.spans.iter().enumerate().filter(|(_, span)| span.kind == Kind::Step);
    steps.map(|(index, span)| step_time(trace, index, span)).collect()
}

fn step_time(trace: &Trace, index: usize, span: &Span) -> StepTime {
    let line = span.fields.iter().find_map(|(name, field)| match field {
        Field::Number(line) if *name == "line" => Some(*line),
        _ => None,
    });
    let parts = trace.spans.iter().filter(|part| part.parent == Some(index));
    let waits = parts.filter(|part| part.kind == Kind::Wait);
    StepTime {
        name: span.name.clone(),
        stage: span.lane.clone(),
        line: line.unwrap_or_default(),
        started: trace.began + span.begin,
        duration: span.duration(),
        waited: waits.map(Span::duration).sum(),
        outcome: span.outcome,
    }
}
