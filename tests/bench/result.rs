//! What came out, kept as JSON (docs/benchmarks.json): the report and the chart are drawn from it alone.

use serde_json::{Value, json};

use crate::{meter::Measured, row::Row};

/// What one builder did with a row.
pub(crate) enum Outcome {
    /// Runs whose time counts, and one whose memory does.
    Measured { runs: Vec<Measured>, memory: Measured },
    /// A run ended with an error.
    Failed(String),
    /// It does not take part.
    Absent(String),
    /// It cannot do this yet.
    Pending(String),
}

impl Outcome {
    /// As it is kept; times in milliseconds.
    pub(crate) fn json(&self, builder: &str) -> Value {
        let told = |kind: &str, reason: &str| json!({"builder": builder, "outcome": kind, "reason": reason});
        match self {
            Self::Measured { runs, memory } => json!({
                "builder": builder,
                "outcome": "measured",
                "wall": runs.iter().map(|run| milliseconds(run.wall)).collect::<Vec<_>>(),
                "cpu": runs.iter().map(|run| milliseconds(run.usage.cpu)).collect::<Vec<_>>(),
                "written": runs.iter().map(|run| run.usage.written).collect::<Vec<_>>(),
                "peak": memory.peak,
                "idle": memory.idle,
            }),
            Self::Failed(reason) => told("failed", reason),
            Self::Absent(reason) => told("absent", reason),
            Self::Pending(reason) => told("pending", reason),
        }
    }
}

pub(crate) fn milliseconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 1e2
}

/// A row as it is kept.
pub(crate) fn row(row: &Row, outcomes: Vec<Value>) -> Value {
    json!({"row": row.key, "title": row.title, "bound": row.bound, "builders": outcomes})
}

/// The entry of `row` about `builder`, when it was measured.
pub(crate) fn measured<'a>(row: &'a Value, builder: &str) -> Option<&'a Value> {
    let entries = row["builders"].as_array()?;
    entries.iter().find(|entry| entry["builder"] == builder && entry["outcome"] == "measured")
}

/// The numbers of a list, or the one number.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_f64).collect(),
        other => other.as_f64().into_iter().collect(),
    }
}

/// The middle one of `numbers`; of two middle ones, the mean.
pub(crate) fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() % 2 {
        _ if numbers.is_empty() => None,
        0 => Some(f64::midpoint(numbers[middle - 1], numbers[middle])),
        _ => Some(numbers[middle]),
    }
}

/// The median of `what` by touchmark over that by BuildKit.
pub(crate) fn ratio(row: &Value, what: &str) -> Option<f64> {
    let of = |builder| median(numbers(&measured(row, builder)?[what]));
    let (ours, theirs) = (of("touchmark")?, of("BuildKit")?);
    (theirs > 0.0).then(|| ours / theirs)
}
