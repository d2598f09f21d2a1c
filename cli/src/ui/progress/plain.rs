//! One line per event, each with the name of its step: for files, pipes and whoever reads afterwards.

use std::{
    collections::HashMap,
    io::Write,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use touchmark_builder::{
    dockerfile::warning_excerpt,
    executor::Stream,
    graph::Origin,
    solver::{
        event::{Event, Observer, Wait},
        phase::PhaseKind,
        reason::Reason,
        transfer::{Direction, Motion, Transfer},
    },
};

use super::{
    super::{
        log_text::{self, Colors},
        paint::Paint,
        text::{harmless, size},
    },
    finished::{DockerfileText, harmless_lines},
    ledger::{Ledger, seconds, step_name},
    log_lines::{LogLine, LogLines},
};

/// Smaller blobs are there before a line is read, in bytes.
const WORTH_TELLING: u64 = 1_000_000;
/// Work beside the steps that was quicker than this goes unmentioned.
const SLOW_PHASE: Duration = Duration::from_secs(1);

/// Writes a line per event.
pub(super) struct Plain {
    dockerfile: DockerfileText,
    colors: Colors,
    state: Mutex<State>,
}

struct State {
    ledger: Ledger,
    logs: HashMap<(usize, bool), LogLines>,
    out: Box<dyn Write + Send>,
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Plain")
    }
}

impl Plain {
    /// Writes to `out`, whole lines at a time.
    pub(super) fn new(
        out: Box<dyn Write + Send>,
        paint: Paint,
        dockerfile: DockerfileText,
    ) -> Self {
        let state = State { ledger: Ledger::new(Instant::now()), logs: HashMap::new(), out };
        Self { dockerfile, colors: paint.of_tools(), state: Mutex::new(state) }
    }

    /// Ends the display and gives its last state.
    pub(super) fn close(&self) -> Ledger {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut state.ledger, Ledger::new(Instant::now()))
    }

    /// What an event that is no output says.
    fn text(&self, event: &Event<'_>, ledger: &Ledger) -> Option<String> {
        let step = |origin: &Origin, what: &str| Some(format!("{} {what}", step_name(origin)));
        match *event {
            Event::Started(origin) => step(origin, &harmless(&origin.text)),
            Event::Missed(origin, reasons) => missed(origin, reasons),
            Event::Cached(origin) => step(origin, &format!("CACHED {}", harmless(&origin.text))),
            Event::Waiting(origin, Wait::CacheMount(id)) => {
                let held = "which another step or build holds";
                step(origin, &format!("waiting for the cache '{}', {held}", harmless(id)))
            }
            Event::Finished(origin, after) => step(origin, &format!("done in {}", seconds(after))),
            Event::Failed(origin, after) => {
                step(origin, &format!("FAILED after {}", seconds(after)))
            }
            Event::Cancelled(origin, after) => {
                step(origin, &format!("cancelled after {}", seconds(after)))
            }
            Event::Fetched(origin, fetched) => step(
                origin,
                &format!("network: {} in {} requests", size(fetched.bytes), fetched.requests),
            ),
            Event::Refused(origin, refusal) => {
                let name = step_name(origin);
                let lines = harmless_lines(&refusal.to_string());
                let lines = lines.iter().map(|line| format!("{name} network: {line}"));
                Some(lines.collect::<Vec<_>>().join("\n"))
            }
            Event::Began(phase) => {
                told_at_once(phase.kind).then(|| format!("=> {}", harmless(&phase.to_string())))
            }
            Event::Ended(phase, after) => (told_at_once(phase.kind) || after >= SLOW_PHASE)
                .then(|| format!("=> {} done in {}", harmless(&phase.to_string()), seconds(after))),
            Event::Transfer(one) => transfer(one, ledger),
            Event::Activity(text) => Some(format!("=> {}", harmless(text))),
            Event::Doubt(diagnostic) => {
                let DockerfileText { name, source } = &self.dockerfile;
                Some(warning_excerpt(name, source, diagnostic).trim_end().to_owned())
            }
            Event::Warning(text) => Some(format!("warning: {}", harmless_lines(text).join("\n"))),
            Event::Planned(_)
            | Event::Base(..)
            | Event::Waiting(_, Wait::Slot)
            | Event::Resumed(_)
            | Event::Checking(_)
            | Event::Output(..)
            | Event::Broke(..) => None,
        }
    }

    fn output(&self, state: &mut State, origin: &Origin, stream: Stream, bytes: &[u8]) {
        let name = step_name(origin);
        let key = (state.ledger.number(origin), stream == Stream::Stderr);
        let mut out = Vec::with_capacity(bytes.len() * 2);
        let colors = self.colors;
        let lines = state.logs.entry(key).or_default();
        lines.push(bytes, &mut |line| append(&name, line, colors, &mut out));
        if !out.is_empty() {
            let _ = state.out.write_all(&out);
        }
    }

    /// Shows what a step wrote after its last line end.
    fn flush(&self, state: &mut State, origin: &Origin) {
        let name = step_name(origin);
        let number = state.ledger.number(origin);
        let mut out = Vec::new();
        for stream in [false, true] {
            if let Some(mut lines) = state.logs.remove(&(number, stream)) {
                lines.finish(&mut |line| append(&name, line, self.colors, &mut out));
            }
        }
        let _ = state.out.write_all(&out);
    }
}

/// `[build 2/5] text`; with `+` in place of the blank where a very long line goes on.
fn append(name: &str, line: LogLine<'_>, colors: Colors, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.push(if line.continued { b'+' } else { b' ' });
    log_text::append(line.bytes, colors, out);
    out.push(b'\n');
}

/// Why a step runs. In the first build of all, every step would say the same.
fn missed(origin: &Origin, reasons: &[Reason]) -> Option<String> {
    let name = step_name(origin);
    let told = reasons.iter().filter(|reason| !matches!(reason, Reason::First | Reason::NotRead));
    let lines = told.map(|reason| format!("{name} runs because {}", harmless(&reason.to_string())));
    let lines: Vec<_> = lines.collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Work that leaves this program is told when it begins.
fn told_at_once(kind: PhaseKind) -> bool {
    matches!(kind, PhaseKind::Write | PhaseKind::Load | PhaseKind::Push)
}

/// A large blob is told when it begins and when it is there. `ledger` is the state before the event.
fn transfer(transfer: Transfer<'_>, ledger: &Ledger) -> Option<String> {
    let Transfer { direction, blob, motion, .. } = transfer;
    let (does, did) = match direction {
        Direction::Pull => ("pulling", "pulled"),
        Direction::Push => ("pushing", "pushed"),
    };
    let short: String = blob.digest.hex().chars().take(12).collect();
    let bytes = size(blob.size);
    match motion {
        _ if blob.size < WORTH_TELLING => None,
        Motion::Began => Some(format!("=> {does} {short} ({bytes})")),
        Motion::Done => {
            let known = |known: &&super::ledger::Blob| {
                known.direction == direction && known.digest == blob.digest
            };
            let known = ledger.blobs().iter().find(known)?;
            Some(match known.moved {
                0 => format!("=> {did} {short} ({bytes}): it was there"),
                _ => format!("=> {did} {short} ({bytes}) in {}", seconds(known.since.elapsed())),
            })
        }
        Motion::Had(_) | Motion::Moved(_) | Motion::Restarted => None,
    }
}

impl Observer for Plain {
    fn event(&self, event: Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        match event {
            Event::Output(origin, stream, bytes) => {
                return self.output(state, origin, stream, bytes);
            }
            Event::Finished(origin, _) | Event::Failed(origin, _) | Event::Cancelled(origin, _) => {
                self.flush(state, origin);
            }
            _ => {}
        }
        let text = self.text(&event, &state.ledger);
        state.ledger.note(&event, Instant::now());
        if let Some(text) = text {
            // A closed standard error is nobody's fault.
            let _ = state.out.write_all(format!("{text}\n").as_bytes());
        }
    }
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
