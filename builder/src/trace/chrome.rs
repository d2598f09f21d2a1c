//! A trace as chrome://tracing and Perfetto read it: the Trace Event Format, JSON object form.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::{
    lanes::lanes,
    span::{Field, Span, Trace},
};

/// The document. Times are microseconds from the build's begin.
#[must_use]
pub fn chrome(trace: &Trace) -> Value {
    let lanes = lanes(trace);
    let mut events = vec![json!({
        "ph": "M", "pid": 1, "name": "process_name", "args": {"name": "touchmark build"},
    })];
    for (line, name) in lanes.names.iter().enumerate() {
        events.push(json!({
            "ph": "M", "pid": 1, "tid": line, "name": "thread_name", "args": {"name": name},
        }));
        events.push(json!({
            "ph": "M", "pid": 1, "tid": line, "name": "thread_sort_index", "args": {"sort_index": line},
        }));
    }
    for (span, line) in trace.spans.iter().zip(&lanes.of) {
        events.push(json!({
            "ph": "X", "pid": 1, "tid": line, "cat": span.kind.as_str(), "name": span.name,
            "ts": microseconds(span.begin), "dur": microseconds(span.duration()), "args": args(span),
        }));
    }
    for mark in &trace.marks {
        let line = mark.span.map_or(0, |span| lanes.of[span]);
        events.push(json!({
            "ph": "i", "pid": 1, "tid": line, "cat": "mark", "name": mark.name,
            "ts": microseconds(mark.at), "s": "t",
        }));
    }
    let began = trace.began.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "displayTimeUnit": "ms",
        "otherData": {"program": "touchmark", "began": began.as_secs_f64()},
        "traceEvents": events,
    })
}

fn args(span: &Span) -> Map<String, Value> {
    let mut args = Map::new();
    for (name, field) in &span.fields {
        let value = match field {
            Field::Text(text) => text.as_str().into(),
            Field::Number(number) => (*number).into(),
        };
        args.insert((*name).to_owned(), value);
    }
    args.insert("outcome".into(), span.outcome.as_str().into());
    args
}

fn microseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e9).round() / 1e3
}
