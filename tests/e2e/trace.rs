//! What a build tells those who measure it: the trace file, the metadata file's times, OpenTelemetry's collector.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    thread::{self, JoinHandle},
};

use serde_json::Value;

use crate::scene::Scene;

const STAGES: &str = "FROM busybox AS made\nRUN echo one > /one\nRUN echo two > /two\n\
                      FROM scratch\nCOPY --from=made /one /two /\n";

fn json(scene: &Scene, name: &str) -> Value {
    let text = fs::read(scene.home.path(name)).expect("the build wrote it");
    serde_json::from_slice(&text).expect("JSON")
}

/// Begin and end, in microseconds.
fn times(event: &Value) -> (f64, f64) {
    let begin = event["ts"].as_f64().unwrap();
    (begin, begin + event["dur"].as_f64().unwrap())
}

#[test]
fn spans_nest_and_cover_every_step() {
    let scene = Scene::new();
    scene.dockerfile(STAGES);
    let files = ["--trace", "trace.json", "--metadata-file", "metadata.json"];
    let secret = scene.home.write("secret", "correct horse");
    let secret = format!("id=s,src={}", secret.display());
    let _ = scene.push_unsigned(&[&files[..], &["--secret", &secret]].concat()).succeeded();
    let trace = json(&scene, "trace.json");
    let events = trace["traceEvents"].as_array().unwrap();
    let of = |kind: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["ph"] == "X" && event["cat"] == kind).collect()
    };
    let build = times(of("build")[0]);
    let steps = of("step");
    let mut names: Vec<&str> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    let wanted = ["COPY --from=made /one /two /", "RUN echo one > /one", "RUN echo two > /two"];
    assert!(wanted.iter().all(|name| names.contains(name)), "{names:?}");
    for kind in ["run", "phase", "transfer"] {
        assert!(!of(kind).is_empty(), "no {kind}");
    }
    // In one line of the drawing, two spans lie apart or one in the other.
    let spans: Vec<&Value> = events.iter().filter(|event| event["ph"] == "X").collect();
    for (at, one) in spans.iter().enumerate() {
        let (begin, end) = times(one);
        assert!(build.0 <= begin && end <= build.1 + 0.01, "{one} is not within the build");
        for other in spans[at + 1..].iter().filter(|other| other["tid"] == one["tid"]) {
            let (first, last) = times(other);
            let apart = last <= begin + 0.01 || end <= first + 0.01;
            let within = (begin <= first + 0.01 && last <= end + 0.01)
                || (first <= begin + 0.01 && end <= last + 0.01);
            assert!(apart || within, "{one}\n{other}");
        }
    }
    let metadata = json(&scene, "metadata.json");
    let times = metadata["touchmark.build.steps"].as_array().unwrap();
    let two = times.iter().find(|step| step["name"] == "RUN echo two > /two").unwrap();
    assert_eq!(
        (&two["stage"], &two["line"], &two["cached"]),
        (&"made".into(), &3.into(), &false.into())
    );
    assert!(
        two["duration"].as_f64().unwrap() > 0.0 && two["started"].as_str().unwrap().ends_with('Z')
    );

    let _ = scene.push_unsigned(&files).succeeded();
    let metadata = json(&scene, "metadata.json");
    let times = metadata["touchmark.build.steps"].as_array().unwrap();
    assert!(times.iter().all(|step| step["cached"] == true), "{times:#?}");
}

/// Takes one request and answers it; gives its head in lower case, and its body.
fn collector(answer: &'static str) -> (String, JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("http://{}", listener.local_addr().unwrap());
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let mut body = vec![0; length.unwrap().trim().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        write!(&stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
        (head, body)
    });
    (place, thread)
}

#[test]
fn a_collector_gets_the_build_as_a_part_of_its_callers_trace() {
    let scene = Scene::new();
    scene.dockerfile(STAGES);
    let (place, heard) = collector("200 OK");
    let args = ["build", "--policy", "touchmark.toml", "-o", "type=cacheonly", "ctx"];
    let mut command = scene.home.touchmark(&args);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", place)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t0ken");
    command.env("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let output = scene.home.finish(command).succeeded();
    assert!(!output.mentions("t0ken"), "{output:?}");
    let (head, body) = heard.join().unwrap();
    assert!(head.starts_with("post /v1/traces "), "{head}");
    assert!(head.contains("authorization: bearer t0ken"), "{head}");
    let body: Value = serde_json::from_slice(&body).unwrap();
    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert!(spans.iter().all(|span| span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"));
    assert_eq!(spans[0]["parentSpanId"], "00f067aa0ba902b7");
    let step = spans.iter().find(|span| span["name"] == "RUN echo one > /one").unwrap();
    assert_eq!(step["parentSpanId"], spans[0]["spanId"]);

    // One that refuses costs a warning, not the build.
    let (place, heard) = collector("401 Unauthorized");
    let mut command = scene.home.touchmark(&args);
    command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", place);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t0ken");
    let output = scene.home.finish(command).succeeded().says("answered with status 401");
    assert!(!output.mentions("t0ken"), "{output:?}");
    let (head, _) = heard.join().unwrap();
    assert!(head.starts_with("post / ") && head.contains("application/x-protobuf"), "{head}");
}
