//! Each type of object is emitted here once, and docs/progress.md shows exactly these.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use time::OffsetDateTime;
use touchmark_builder::{
    dockerfile::{Diagnostic, Span},
    solver::{event::Fetched, phase::PhaseKind},
};

use super::{
    super::{fixture, summary},
    *,
};
use crate::ui::printer::error_fields;

/// Where a display writes, to be looked at.
#[derive(Debug, Clone, Default)]
struct Sheet(Arc<Mutex<Vec<u8>>>);

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sheet {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn lines_at_a_fixed_time() -> JsonLines {
    JsonLines::with_clock(|| {
        OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_250_000_000).unwrap()
    })
}

fn display(now: Instant) -> (RawJson, Sheet) {
    let sheet = Sheet::default();
    (RawJson::new(Box::new(sheet.clone()), lines_at_a_fixed_time(), now), sheet)
}

/// A number for each kind of event: a new one does not compile until it is told here, too.
fn number(event: &Event<'_>) -> usize {
    match event {
        Event::Planned(_) => 0,
        Event::Base(..) => 1,
        Event::Waiting(..) => 2,
        Event::Resumed(_) => 3,
        Event::Checking(_) => 4,
        Event::Started(_) => 5,
        Event::Cached(_) => 6,
        Event::Output(..) => 7,
        Event::Fetched(..) => 8,
        Event::Finished(..) => 9,
        Event::Failed(..) => 10,
        Event::Cancelled(..) => 11,
        Event::Refused(..) => 12,
        Event::Began(_) => 13,
        Event::Ended(..) => 14,
        Event::Broke(..) => 15,
        Event::Transfer(_) => 16,
        Event::Activity(_) => 17,
        Event::Doubt(_) => 18,
        Event::Warning(_) => 19,
        Event::Missed(..) => 20,
    }
}

/// Every kind of object, as it is emitted.
fn emitted() -> Vec<Value> {
    let now = Instant::now();
    let (raw, sheet) = display(now);
    let (from, make) =
        (fixture::origin("build", 1, 1, "FROM debian"), fixture::origin("build", 2, 2, "RUN make"));
    let copy = fixture::origin("stage-1", 2, 5, "COPY --from=build /app /app");
    let (image, blob, base) =
        (fixture::image(), fixture::blob(48_500_000), "debian".parse().unwrap());
    let digest = Digest::of(b"base");
    let refusal = fixture::refusal();
    let span = Span { first_line: 3, last_line: 3, first_column: 1, end_column: 4 };
    let mut doubt = Diagnostic::new(span, "the stage is named twice");
    doubt.rule = Some("DuplicateStageName");
    doubt.help = Some("give it another name".into());
    let push = Phase::of(PhaseKind::Push, "registry.example/team/app:1");
    let sign = Phase::only(PhaseKind::Sign);
    let ms = Duration::from_millis;
    let pull = |motion| fixture::transfer(Direction::Pull, &image, &blob, motion);
    let plan = [&make, &copy];
    let reasons = [fixture::change()];
    let events = [
        (Event::Planned(&plan), 0),
        (Event::Base(&from, &base, &digest), 0),
        (Event::Waiting(&make, Wait::CacheMount("apt")), 0),
        (Event::Resumed(&make), 0),
        (Event::Checking(&make), 0),
        (Event::Started(&make), 0),
        (Event::Missed(&make, &reasons), 0),
        (Event::Output(&make, Stream::Stdout, b"gcc -c main.c\n"), 0),
        (Event::Output(&make, Stream::Stderr, b"\xff\xfe\n"), 0),
        (Event::Fetched(&make, Fetched { requests: 3, bytes: 120_400 }), 0),
        (Event::Refused(&make, &refusal), 0),
        (Event::Finished(&make, ms(12_300)), 0),
        (Event::Failed(&make, ms(12_300)), 0),
        (Event::Cancelled(&make, ms(12_300)), 0),
        (Event::Cached(&copy), 0),
        (Event::Began(push), 0),
        (Event::Ended(push, ms(840)), 0),
        (Event::Broke(sign, ms(12)), 0),
        (pull(Motion::Began), 0),
        (pull(Motion::Moved(10_000_000)), 100),
        (pull(Motion::Moved(10_000_000)), 1000),
        (pull(Motion::Moved(28_500_000)), 1100),
        (pull(Motion::Done), 2000),
        (Event::Activity("reading the context"), 0),
        (Event::Doubt(&doubt), 0),
        (Event::Warning("the build argument 'X' is not used: no ARG of what is built takes it"), 0),
    ];
    let told: BTreeSet<usize> = events.iter().map(|(event, _)| number(event)).collect();
    assert!(told.into_iter().eq(0..21), "an event is missing here");
    for (event, after) in &events {
        raw.tell(event, now + ms(*after));
    }
    let ledger = raw.close();
    let lines = lines_at_a_fixed_time();
    let result = summary::json(&ledger, &fixture::built(), now + ms(34_200));
    let error =
        crate::error::CliError::failed("RUN ended with exit code 7").hint("look at the log");
    let mut found = sheet.lines();
    for line in [lines.line("result", result), lines.line("error", error_fields(&error))] {
        found.push(serde_json::from_slice(&line).unwrap());
    }
    found
}

#[test]
fn the_document_shows_every_object() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/progress.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let blocks = document.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let shown: Vec<&str> = blocks.flat_map(str::lines).collect();
    let emitted: Vec<String> = emitted().iter().map(ToString::to_string).collect();
    for line in &emitted {
        assert!(
            shown.contains(&line.as_str()),
            "docs/progress.md does not show this object:\n{line}"
        );
    }
    for line in shown {
        assert!(emitted.iter().any(|known| known == line), "nothing emits this object:\n{line}");
    }
    for line in &emitted {
        let object: Value = serde_json::from_str(line).unwrap();
        let kind = object["type"].as_str().unwrap();
        assert!(document.contains(&format!("### `{kind}`")), "no section is about '{kind}'");
    }
}

#[test]
fn the_way_of_a_blob_is_told_now_and_then_only() {
    let kinds: Vec<Value> = emitted().iter().map(|object| object["type"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "transfer").count(), 1);
}

#[test]
fn output_is_exact_and_characters_are_whole() {
    let text = "größer €5 🦀\n";
    for piece in 1..text.len() {
        let now = Instant::now();
        let (raw, sheet) = display(now);
        let step = fixture::origin("build", 2, 2, "RUN make");
        for bytes in text.as_bytes().chunks(piece) {
            raw.event(Event::Output(&step, Stream::Stdout, bytes));
        }
        raw.event(Event::Finished(&step, Duration::ZERO));
        let shown: String = sheet
            .lines()
            .iter()
            .filter_map(|line| line["text"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(shown, text);
    }
}

#[test]
fn bytes_that_are_no_text_come_in_base64() {
    let (raw, sheet) = display(Instant::now());
    let step = fixture::origin("build", 2, 2, "RUN make");
    for bytes in [&b"a\xffb"[..], b"end \xe2\x82"] {
        raw.event(Event::Output(&step, Stream::Stderr, bytes));
    }
    raw.event(Event::Failed(&step, Duration::ZERO));
    let mut bytes = Vec::new();
    for line in sheet.lines().iter().filter(|line| line["type"] == "log") {
        match (line["text"].as_str(), line["data"].as_str()) {
            (Some(text), None) => bytes.extend_from_slice(text.as_bytes()),
            (None, Some(data)) => bytes.extend(STANDARD.decode(data).unwrap()),
            _ => panic!("{line}"),
        }
    }
    assert_eq!(bytes, b"a\xffbend \xe2\x82");
}
