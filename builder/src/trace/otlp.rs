//! A trace as OpenTelemetry's OTLP: protobuf, or the same as JSON.

use std::time::{Duration, UNIX_EPOCH};

use prost::Message as _;
use serde_json::{Map, Value, json};

use super::{
    span::{Field, Outcome, Span, Trace},
    wire::{
        AnyValue, KeyValue, Plain, Request, Resource, ResourceSpans, Scope, ScopeSpans, Status,
        WireEvent, WireSpan,
    },
};

/// Where a build belongs among other traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The trace; not all zero.
    pub trace_id: [u8; 16],
    /// The span of the caller that the build is a part of.
    pub parent: Option<[u8; 8]>,
    /// What the caller's tracers want to be passed on; may be empty.
    pub state: String,
    /// Randomness for the ids of the spans.
    pub seed: u64,
    /// What is said about the program: `service.name` and others.
    pub resource: Vec<(String, String)>,
}

impl Identity {
    /// Trace and caller's span of a `traceparent` header (W3C Trace Context, version 00 and later ones).
    #[must_use]
    pub fn of_parent(header: &str) -> Option<([u8; 16], [u8; 8])> {
        let mut parts = header.trim().split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let shape = version.len() == 2 && version != "ff" && flags.len() == 2;
        let lower = header.trim().bytes().all(|byte| !byte.is_ascii_uppercase());
        let mut ids = ([0; 16], [0; 8]);
        hex::decode_to_slice(trace, &mut ids.0).ok()?;
        hex::decode_to_slice(span, &mut ids.1).ok()?;
        (shape && lower && ids.0 != [0; 16] && ids.1 != [0; 8]).then_some(ids)
    }

    /// The id of the span with this index; never zero.
    fn span_id(&self, index: usize) -> Vec<u8> {
        // splitmix64: different for each index, and as random as the seed.
        let mut z = self.seed.wrapping_add((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).max(1).to_be_bytes().to_vec()
    }
}

/// The message in protobuf.
#[must_use]
pub fn protobuf(trace: &Trace, identity: &Identity) -> Vec<u8> {
    request(trace, identity).encode_to_vec()
}

/// The message in JSON: ids in hexadecimal, 64-bit numbers as strings.
#[must_use]
pub fn json(trace: &Trace, identity: &Identity) -> Value {
    let request = request(trace, identity);
    let resources = request.resource_spans.iter().map(|one| {
        let scopes = one.scope_spans.iter().map(|scope| {
            let named = scope.scope.as_ref();
            json!({
                "scope": {
                    "name": named.map_or("", |scope| &scope.name),
                    "version": named.map_or("", |scope| &scope.version),
                },
                "spans": scope.spans.iter().map(span_json).collect::<Vec<_>>(),
            })
        });
        let attributes = one.resource.iter().flat_map(|resource| &resource.attributes);
        json!({
            "resource": {"attributes": attributes.map(attribute_json).collect::<Vec<_>>()},
            "scopeSpans": scopes.collect::<Vec<_>>(),
        })
    });
    json!({"resourceSpans": resources.collect::<Vec<_>>()})
}

fn request(trace: &Trace, identity: &Identity) -> Request {
    let spans = trace.spans.iter().enumerate();
    let spans = spans.map(|(index, span)| wire_span(trace, identity, index, span)).collect();
    let scope = Scope { name: "touchmark".into(), version: env!("CARGO_PKG_VERSION").into() };
    let attributes = identity.resource.iter();
    let attributes = attributes.map(|(key, value)| text(key, value)).collect();
    Request {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans }],
        }],
    }
}

fn wire_span(trace: &Trace, identity: &Identity, index: usize, span: &Span) -> WireSpan {
    let at = |time: Duration| {
        let since = trace.began.duration_since(UNIX_EPOCH).unwrap_or_default() + time;
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    };
    let marks = trace.marks.iter().filter(|mark| mark.span.unwrap_or(0) == index);
    let own = [
        text("touchmark.kind", span.kind.as_str()),
        text("touchmark.outcome", span.outcome.as_str()),
    ];
    let more = span.fields.iter().map(|(name, field)| {
        let key = format!("touchmark.{name}");
        match field {
            Field::Text(value) => text(&key, value),
            Field::Number(number) => {
                pair(&key, Plain::Number(i64::try_from(*number).unwrap_or(i64::MAX)))
            }
        }
    });
    let code = if matches!(span.outcome, Outcome::Failed) { 2 } else { 1 };
    WireSpan {
        trace_id: identity.trace_id.to_vec(),
        span_id: identity.span_id(index),
        trace_state: identity.state.clone(),
        parent_span_id: match span.parent {
            Some(parent) => identity.span_id(parent),
            None => identity.parent.map(|id| id.to_vec()).unwrap_or_default(),
        },
        name: span.name.clone(),
        kind: 1,
        start: at(span.begin),
        end: at(span.end),
        attributes: own.into_iter().chain(more).collect(),
        events: marks
            .map(|mark| WireEvent { time: at(mark.at), name: mark.name.clone() })
            .collect(),
        status: Some(Status { code }),
    }
}

fn pair(key: &str, value: Plain) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Plain::Text(value.to_owned()))
}

fn span_json(span: &WireSpan) -> Value {
    let events = span.events.iter();
    let events =
        events.map(|event| json!({"timeUnixNano": event.time.to_string(), "name": event.name}));
    let mut value = json!({
        "traceId": hex::encode(&span.trace_id),
        "spanId": hex::encode(&span.span_id),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": span.start.to_string(),
        "endTimeUnixNano": span.end.to_string(),
        "attributes": span.attributes.iter().map(attribute_json).collect::<Vec<_>>(),
        "events": events.collect::<Vec<_>>(),
        "status": {"code": span.status.as_ref().map_or(0, |status| status.code)},
    });
    if !span.parent_span_id.is_empty() {
        value["parentSpanId"] = hex::encode(&span.parent_span_id).into();
    }
    if !span.trace_state.is_empty() {
        value["traceState"] = span.trace_state.clone().into();
    }
    value
}

fn attribute_json(attribute: &KeyValue) -> Value {
    let mut value = Map::new();
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Plain::Text(text)) => drop(value.insert("stringValue".into(), text.as_str().into())),
        Some(Plain::Number(number)) => {
            drop(value.insert("intValue".into(), number.to_string().into()));
        }
        None => {}
    }
    json!({"key": attribute.key, "value": value})
}

#[cfg(test)]
mod tests;
