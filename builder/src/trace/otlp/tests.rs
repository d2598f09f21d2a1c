//! Both forms of one trace.

use super::*;
use crate::trace::span::{Kind, Mark};

fn trace() -> Trace {
    let span = |parent, name: &str, begin, end, outcome| Span {
        parent,
        kind: if parent.is_none() { Kind::Build } else { Kind::Step },
        name: name.into(),
        lane: "build".into(),
        begin: Duration::from_millis(begin),
        end: Duration::from_millis(end),
        outcome,
        fields: vec![("line", Field::Number(3))],
    };
    Trace {
        began: UNIX_EPOCH + Duration::from_secs(1_000),
        spans: vec![
            span(None, "build", 0, 50, Outcome::Done),
            span(Some(0), "RUN false", 10, 40, Outcome::Failed),
        ],
        marks: vec![Mark { at: Duration::from_millis(20), name: "warning: x".into(), span: None }],
    }
}

fn identity() -> Identity {
    Identity {
        trace_id: [0xab; 16],
        parent: Some([1; 8]),
        state: String::new(),
        seed: 7,
        resource: vec![("service.name".into(), "touchmark".into())],
    }
}

#[test]
fn json_has_ids_in_hexadecimal_and_times_as_strings() {
    let value = json(&trace(), &identity());
    let spans = &value["resourceSpans"][0]["scopeSpans"][0]["spans"];
    assert_eq!(spans[0]["traceId"], "ab".repeat(16));
    assert_eq!(spans[0]["parentSpanId"], "0101010101010101");
    assert_eq!(spans[0]["events"][0]["name"], "warning: x");
    assert_eq!(spans[1]["parentSpanId"], spans[0]["spanId"]);
    assert_eq!(spans[1]["startTimeUnixNano"], "1000010000000");
    assert_eq!(spans[1]["endTimeUnixNano"], "1000040000000");
    assert_eq!(spans[1]["status"]["code"], 2);
    assert_eq!(
        spans[1]["attributes"][2],
        serde_json::json!({"key": "touchmark.line", "value": {"intValue": "3"}})
    );
}

#[test]
fn protobuf_says_the_same() {
    let bytes = protobuf(&trace(), &identity());
    let read = Request::decode(bytes.as_slice()).unwrap();
    assert_eq!(read, request(&trace(), &identity()));
    let spans = &read.resource_spans[0].scope_spans[0].spans;
    assert_eq!(spans[1].parent_span_id, spans[0].span_id);
    assert_eq!(spans[0].span_id.len(), 8);
    // resource_spans, resource, attributes, key: each with its length.
    assert_eq!(bytes[0], 0x0a);
    assert!(bytes.windows(14).any(|part| part == b"\x0a\x0cservice.name"));
}

#[test]
fn a_callers_span_is_read_as_the_standard_has_it() {
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let (trace, span) = Identity::of_parent(header).unwrap();
    assert_eq!((trace[0], span[7]), (0x4b, 0xb7));
    assert!(Identity::of_parent(&format!("{header}-later-versions-say-more")).is_some());
    for wrong in [
        "",
        "00",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e47-00f067aa0ba902b7-01",
    ] {
        assert_eq!(Identity::of_parent(wrong), None, "{wrong}");
    }
}
