//! Events at made-up times.

use std::time::{Duration, Instant, UNIX_EPOCH};

use super::*;
use crate::{
    dockerfile::Span as Lines,
    executor::Stream,
    solver::event::Fetched,
    trace::{chrome::chrome, step_times::step_times},
};

fn origin(stage: &str, step: usize, line: usize) -> Origin {
    let span = Lines { first_line: line, ..Lines::default() };
    let text = format!("RUN step {step}");
    Origin { span, stage: stage.into(), step, steps: 2, text }
}

struct Told {
    recorder: Recorder,
    begun: Instant,
}

impl Told {
    fn new() -> Self {
        let begun = Instant::now();
        Self { recorder: Recorder::new(begun, UNIX_EPOCH + Duration::from_secs(1_000)), begun }
    }

    fn at(&self, milliseconds: u64, event: Event<'_>) {
        self.recorder.tell(&event, self.begun + Duration::from_millis(milliseconds));
    }

    fn trace(&self, milliseconds: u64) -> Trace {
        self.recorder.trace(self.begun + Duration::from_millis(milliseconds), Outcome::Done)
    }
}

fn shown(trace: &Trace) -> Vec<String> {
    let spans = trace.spans.iter();
    let shown = spans.map(|span| {
        let (begin, end) = (span.begin.as_millis(), span.end.as_millis());
        let parent = span.parent.map_or("-".into(), |parent| parent.to_string());
        format!("{parent} {} {begin}-{end} {}: {}", span.lane, span.outcome.as_str(), span.name)
    });
    shown.collect()
}

#[test]
fn a_step_is_made_of_what_it_waited_for_and_its_run() {
    let told = Told::new();
    let (one, two) = (origin("build", 1, 3), origin("build", 2, 4));
    told.at(10, Event::Checking(&one));
    told.at(12, Event::Waiting(&one, Wait::Slot));
    told.at(20, Event::Resumed(&one));
    told.at(21, Event::Started(&one));
    told.at(30, Event::Output(&one, Stream::Stdout, b"a secret that was not masked"));
    told.at(39, Event::Fetched(&one, Fetched { requests: 2, bytes: 77 }));
    told.at(40, Event::Finished(&one, Duration::from_millis(19)));
    told.at(41, Event::Checking(&two));
    told.at(42, Event::Cached(&two));
    let trace = told.trace(50);
    assert_eq!(
        shown(&trace),
        [
            "- build 0-50 done: build",
            "0 build 10-40 done: RUN step 1",
            "1 build 10-12 done: look into the cache",
            "1 build 12-20 done: wait for a free place",
            "1 build 21-40 done: run",
            "0 build 41-42 cached: RUN step 2",
            "5 build 41-42 cached: look into the cache",
        ]
    );
    assert!(!chrome(&trace).to_string().contains("secret"), "what steps write is not kept");
    let times = step_times(&trace);
    assert_eq!((times[0].line, times[0].waited.as_millis()), (3, 8));
    assert_eq!(times[0].started, UNIX_EPOCH + Duration::from_millis(1_000_010));
    assert_eq!((times[1].outcome, times[1].duration.as_millis()), (Outcome::Cached, 1));
}

#[test]
fn what_is_open_at_the_end_was_cancelled() {
    let told = Told::new();
    let one = origin("build", 1, 3);
    told.at(1, Event::Started(&one));
    told.at(2, Event::Began(Phase::of(PhaseKind::Push, "registry.example/app:1")));
    let trace = told.trace(9);
    assert_eq!(
        shown(&trace)[1..],
        [
            "0 build 1-9 cancelled: RUN step 1",
            "1 build 1-9 cancelled: run",
            "0 work 2-9 cancelled: pushing registry.example/app:1",
        ]
    );
}

#[test]
fn steps_that_overlap_stand_in_lines_of_their_own() {
    let told = Told::new();
    let (one, two, other) = (origin("a", 1, 1), origin("a", 2, 2), origin("b", 1, 3));
    told.at(1, Event::Started(&one));
    told.at(2, Event::Started(&two));
    told.at(3, Event::Started(&other));
    for (at, step) in [(4, &one), (5, &two), (6, &other)] {
        told.at(at, Event::Finished(step, Duration::ZERO));
    }
    let third = origin("a", 3, 4);
    told.at(7, Event::Started(&third));
    told.at(8, Event::Failed(&third, Duration::ZERO));
    let document = chrome(&told.trace(9));
    let events = document["traceEvents"].as_array().unwrap();
    let names = events.iter().filter(|event| event["name"] == "thread_name");
    let names: Vec<_> = names.map(|event| event["args"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["build", "a", "a (2)", "b"]);
    let steps = events.iter().filter(|event| event["cat"] == "step");
    let lines: Vec<_> = steps.map(|event| event["tid"].as_u64().unwrap()).collect();
    assert_eq!(lines, [1, 2, 3, 1]);
    assert_eq!(events.last().unwrap()["args"]["outcome"], "failed");
}
