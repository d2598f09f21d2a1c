//! One JSON object per line, as docs/progress.md describes them: for programs.

use std::{
    collections::HashMap,
    io::Write,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use touchmark_builder::{
    executor::Stream,
    graph::Origin,
    oci::digest::Digest,
    solver::{
        event::{Event, Observer, Wait},
        phase::Phase,
        reason::{Change, Reason},
        transfer::{Direction, Motion, Transfer},
    },
};

use super::{
    super::json_lines::JsonLines,
    ledger::{Blob, Ledger},
};

/// Between two events about the same blob.
const PAUSE: Duration = Duration::from_millis(250);

/// Writes an object per event.
pub(super) struct RawJson {
    lines: JsonLines,
    state: Mutex<State>,
}

struct State {
    ledger: Ledger,
    /// The beginning of a character whose end has not come yet.
    broken: HashMap<(usize, bool), Vec<u8>>,
    /// When the way of a blob was told last.
    told: HashMap<(Direction, Digest), Instant>,
    out: Box<dyn Write + Send>,
}

impl std::fmt::Debug for RawJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawJson")
    }
}

impl RawJson {
    /// Writes to `out`; the build begins `now`.
    pub(super) fn new(out: Box<dyn Write + Send>, lines: JsonLines, now: Instant) -> Self {
        let state =
            State { ledger: Ledger::new(now), broken: HashMap::new(), told: HashMap::new(), out };
        Self { lines, state: Mutex::new(state) }
    }

    /// Ends the display and gives its last state.
    pub(super) fn close(&self) -> Ledger {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut state.ledger, Ledger::new(Instant::now()))
    }

    fn write(&self, state: &mut State, kind: &str, fields: Value) {
        // A closed standard error is nobody's fault.
        let _ = state.out.write_all(&self.lines.line(kind, fields));
    }

    fn output(&self, state: &mut State, origin: &Origin, stream: Stream, bytes: &[u8]) {
        let key = (state.ledger.number(origin), stream == Stream::Stderr);
        let held = state.broken.remove(&key);
        let joined = held.map(|mut held| {
            held.extend_from_slice(bytes);
            held
        });
        let bytes = joined.as_deref().unwrap_or(bytes);
        let (whole, rest) = bytes.split_at(bytes.len() - unfinished(bytes));
        if !rest.is_empty() {
            state.broken.insert(key, rest.to_vec());
        }
        self.log(state, origin, stream, whole);
    }

    /// UTF-8 as it is, anything else in base64.
    fn log(&self, state: &mut State, origin: &Origin, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut fields = step(state, origin);
        fields["stream"] = match stream {
            Stream::Stdout => "stdout".into(),
            Stream::Stderr => "stderr".into(),
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => fields["text"] = text.into(),
            Err(_) => fields["data"] = STANDARD.encode(bytes).into(),
        }
        self.write(state, "log", fields);
    }

    /// What was held back, when a step has ended.
    fn flush(&self, state: &mut State, origin: &Origin) {
        let number = state.ledger.number(origin);
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Some(rest) = state.broken.remove(&(number, stream == Stream::Stderr)) {
                self.log(state, origin, stream, &rest);
            }
        }
    }

    fn of_step(&self, state: &mut State, event: &Event<'_>) {
        let (kind, origin, more) = match *event {
            Event::Waiting(origin, Wait::Slot) => ("waiting", origin, json!({"for": "slot"})),
            Event::Waiting(origin, Wait::CacheMount(id)) => {
                ("waiting", origin, json!({"for": "cache-mount", "id": id}))
            }
            Event::Resumed(origin) => ("resumed", origin, json!({})),
            Event::Checking(origin) => ("checking", origin, json!({})),
            Event::Started(origin) => ("started", origin, json!({"text": origin.text})),
            Event::Missed(origin, reasons) => (
                "missed",
                origin,
                json!({"reasons": reasons.iter().map(reason).collect::<Vec<_>>()}),
            ),
            Event::Cached(origin) => ("cached", origin, json!({"text": origin.text})),
            Event::Fetched(origin, fetched) => {
                ("network", origin, json!({"requests": fetched.requests, "bytes": fetched.bytes}))
            }
            Event::Finished(origin, after) => ("finished", origin, milliseconds(after)),
            Event::Failed(origin, after) => ("failed", origin, milliseconds(after)),
            Event::Cancelled(origin, after) => ("cancelled", origin, milliseconds(after)),
            Event::Refused(origin, refusal) => (
                "refused",
                origin,
                json!({
                    "host": refusal.host,
                    "port": refusal.port,
                    "reason": refusal.kind.to_string(),
                    "help": refusal.remedy,
                }),
            ),
            _ => return,
        };
        if matches!(kind, "finished" | "failed" | "cancelled") {
            self.flush(state, origin);
        }
        let mut fields = step(state, origin);
        if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
            fields.extend(more);
        }
        self.write(state, kind, fields);
    }

    fn transfer(&self, state: &mut State, transfer: Transfer<'_>, now: Instant) {
        let Transfer { direction, blob, motion, .. } = transfer;
        let known = |ledger: &Ledger| {
            let mut blobs = ledger.blobs().iter();
            blobs.find(|known| known.direction == direction && known.digest == blob.digest).cloned()
        };
        let key = (direction, blob.digest);
        match motion {
            Motion::Began => {
                state.ledger.note(&Event::Transfer(transfer), now);
                let Some(blob) = known(&state.ledger) else { return };
                self.write(state, "transfer-started", way(&blob));
            }
            Motion::Done => {
                let Some(blob) = known(&state.ledger) else { return };
                state.ledger.note(&Event::Transfer(transfer), now);
                state.told.remove(&key);
                let mut fields = way(&blob);
                fields["moved"] = blob.moved.into();
                let took = now.saturating_duration_since(blob.since);
                fields["milliseconds"] = millis(took).into();
                self.write(state, "transfer-finished", fields);
            }
            Motion::Had(_) | Motion::Moved(_) | Motion::Restarted => {
                state.ledger.note(&Event::Transfer(transfer), now);
                let Some(blob) = known(&state.ledger) else { return };
                let last = state.told.get(&key).copied().unwrap_or(blob.since);
                if now.saturating_duration_since(last) >= PAUSE {
                    state.told.insert(key, now);
                    let mut fields = way(&blob);
                    fields["done"] = blob.done.into();
                    fields["rate"] = blob.rate(now).into();
                    self.write(state, "transfer", fields);
                }
            }
        }
    }

    fn beside(&self, state: &mut State, event: &Event<'_>) {
        let (kind, fields) = match *event {
            Event::Planned(origins) => {
                let steps = origins.iter().map(|origin| {
                    let mut fields = step(state, origin);
                    fields["end"] = origin.span.last_line.into();
                    fields["text"] = origin.text.clone().into();
                    fields
                });
                ("plan", json!({"steps": steps.collect::<Vec<_>>()}))
            }
            Event::Base(origin, reference, digest) => (
                "base",
                json!({
                    "stage": origin.stage,
                    "line": origin.span.first_line,
                    "image": reference.to_string(),
                    "digest": digest.to_string(),
                }),
            ),
            Event::Began(phase) => ("work-started", work(phase, None)),
            Event::Ended(phase, after) => ("work-finished", work(phase, Some(after))),
            Event::Broke(phase, after) => ("work-failed", work(phase, Some(after))),
            Event::Activity(text) => ("message", json!({"text": text})),
            Event::Warning(text) => ("warning", json!({"text": text})),
            Event::Doubt(doubt) => {
                let mut fields = json!({"text": doubt.message, "line": doubt.span.first_line});
                if let Some(rule) = doubt.rule {
                    fields["rule"] = rule.into();
                }
                if let Some(help) = &doubt.help {
                    fields["help"] = help.clone().into();
                }
                ("warning", fields)
            }
            _ => return,
        };
        self.write(state, kind, fields);
    }

    /// An event at this time.
    pub(super) fn tell(&self, event: &Event<'_>, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        match *event {
            Event::Output(origin, stream, bytes) => {
                return self.output(state, origin, stream, bytes);
            }
            Event::Transfer(transfer) => return self.transfer(state, transfer, now),
            _ => {}
        }
        state.ledger.note(event, now);
        self.of_step(state, event);
        self.beside(state, event);
    }
}

/// Why a step runs: the same in words as in `plain`, and of a change what it is.
fn reason(reason: &Reason) -> Value {
    let mut fields = json!({"reason": reason.as_str(), "text": reason.to_string()});
    if let Reason::Changed(Change { input, name, from, to }) = reason {
        fields["input"] = input.as_str().into();
        fields["name"] = name.clone().into();
        for (key, value) in [("from", from), ("to", to)] {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                fields[key] = value.clone().into();
            }
        }
    }
    fields
}

impl Observer for RawJson {
    fn event(&self, event: Event<'_>) {
        self.tell(&event, Instant::now());
    }
}

/// Which step: its number in the plan, counted from 1, its stage, and its line in the Dockerfile.
fn step(state: &mut State, origin: &Origin) -> Value {
    let number = state.ledger.number(origin);
    json!({"step": number + 1, "stage": origin.stage, "line": origin.span.first_line})
}

fn work(phase: Phase<'_>, after: Option<Duration>) -> Value {
    let mut fields = json!({"work": phase.kind.as_str()});
    if !phase.subject.is_empty() {
        fields["subject"] = phase.subject.into();
    }
    if let Some(after) = after {
        fields["milliseconds"] = millis(after).into();
    }
    fields
}

fn way(blob: &Blob) -> Value {
    let direction = match blob.direction {
        Direction::Pull => "pull",
        Direction::Push => "push",
    };
    json!({
        "direction": direction,
        "image": blob.image,
        "digest": blob.digest.to_string(),
        "size": blob.size,
    })
}

fn milliseconds(after: Duration) -> Value {
    json!({"milliseconds": millis(after)})
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How many bytes at the end begin a character without ending it.
fn unfinished(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    match std::str::from_utf8(tail).map_err(|error| (error.error_len(), error.valid_up_to())) {
        Err((None, valid)) => tail.len() - valid,
        // The tail itself may begin within a character.
        Err((Some(_), _)) => {
            let begins = tail.iter().rposition(|byte| *byte >= 0xc0);
            match begins.map(|at| &tail[at..]) {
                Some(last) if std::str::from_utf8(last).is_err_and(|e| e.error_len().is_none()) => {
                    last.len()
                }
                _ => 0,
            }
        }
        Ok(_) => 0,
    }
}

#[cfg(test)]
#[path = "raw_json_tests.rs"]
mod tests;
