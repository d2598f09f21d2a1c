//! [`Recorder`]: an observer that keeps what it hears as spans.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use super::span::{Field, Kind, Mark, Outcome, Span, Trace};
use crate::{
    graph::Origin,
    oci::digest::Digest,
    solver::{
        event::{Event, Observer, Wait},
        phase::{Phase, PhaseKind},
        transfer::{Direction, Motion, Transfer},
    },
};

/// What is kept at most of each, so that no build can fill the memory with its trace.
const MOST: usize = 200_000;

/// Hears a build from its begin to its end.
#[derive(Debug)]
pub struct Recorder {
    begun: Instant,
    began: SystemTime,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    spans: Vec<Span>,
    marks: Vec<Mark>,
    steps: HashMap<StepKey, OpenStep>,
    phases: BTreeMap<(PhaseKind, String), usize>,
    transfers: HashMap<(Direction, Digest, String), OpenTransfer>,
    bases: HashMap<StepKey, (String, String)>,
}

/// Stage, number and line: no two steps have the same.
type StepKey = (String, usize, u32);

#[derive(Debug, Clone, Copy)]
struct OpenStep {
    span: usize,
    part: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
struct OpenTransfer {
    span: usize,
    moved: u64,
    had: u64,
}

impl Recorder {
    /// The build begins at `begun`, which is `began` by the wall clock.
    #[must_use]
    pub fn new(begun: Instant, began: SystemTime) -> Self {
        let build = Span {
            parent: None,
            kind: Kind::Build,
            name: "build".into(),
            lane: "build".into(),
            begin: Duration::ZERO,
            end: Duration::ZERO,
            outcome: Outcome::Done,
            fields: Vec::new(),
        };
        let state = State { spans: vec![build], ..State::default() };
        Self { begun, began, state: Mutex::new(state) }
    }

    /// What was heard until `now`; what is still open ends there. The build's own outcome is `outcome`.
    #[must_use]
    pub fn trace(&self, now: Instant, outcome: Outcome) -> Trace {
        let now = now.saturating_duration_since(self.begun);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans = state.spans.clone();
        let steps = state.steps.values().flat_map(|step| [Some(step.span), step.part]).flatten();
        let phases = state.phases.values().copied();
        let transfers = state.transfers.values().map(|transfer| transfer.span);
        for open in steps.chain(phases).chain(transfers) {
            spans[open].end = now;
            spans[open].outcome = Outcome::Cancelled;
        }
        spans[0].end = now;
        spans[0].outcome = outcome;
        Trace { began: self.began, spans, marks: state.marks.clone() }
    }

    /// An event at this time.
    fn tell(&self, event: &Event<'_>, now: Instant) {
        let now = now.saturating_duration_since(self.begun);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        match *event {
            Event::Base(origin, image, digest) => {
                let base = (image.to_string(), digest.to_string());
                state.bases.insert(key(origin), base);
            }
            Event::Waiting(origin, Wait::Slot) => {
                state.part(origin, Kind::Wait, "wait for a free place", now);
            }
            Event::Waiting(origin, Wait::CacheMount(id)) => {
                state.part(origin, Kind::Wait, &format!("wait for the cache mount {id}"), now);
            }
            Event::Resumed(origin) => state.end_part(origin, now),
            Event::Checking(origin) => state.part(origin, Kind::Check, "look into the cache", now),
            Event::Started(origin) => state.part(origin, Kind::Run, "run", now),
            Event::Fetched(origin, fetched) => {
                let step = state.step(origin, now);
                let fields = &mut state.spans[step.span].fields;
                fields.push(("requests", (fetched.requests as u64).into()));
                fields.push(("bytes", fetched.bytes.into()));
            }
            Event::Missed(origin, reasons) => {
                let step = state.step(origin, now);
                let why: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                state.spans[step.span].fields.push(("why", Field::Text(why.join("; "))));
            }
            Event::Cached(origin) => state.end_step(origin, Outcome::Cached, now),
            Event::Finished(origin, _) => state.end_step(origin, Outcome::Done, now),
            Event::Failed(origin, _) => state.end_step(origin, Outcome::Failed, now),
            Event::Cancelled(origin, _) => state.end_step(origin, Outcome::Cancelled, now),
            Event::Refused(origin, refusal) => {
                let span = state.steps.get(&key(origin)).map(|step| step.span);
                let name = format!("refused: {}:{}", refusal.host, refusal.port);
                state.mark(name, span, now);
            }
            Event::Began(phase) => state.begin(phase, now),
            Event::Ended(phase, _) => state.end(phase, Outcome::Done, now),
            Event::Broke(phase, _) => state.end(phase, Outcome::Failed, now),
            Event::Transfer(transfer) => state.transfer(transfer, now),
            Event::Warning(text) => state.mark(format!("warning: {text}"), None, now),
            Event::Planned(_) | Event::Output(..) | Event::Activity(_) | Event::Doubt(_) => {}
        }
    }
}

impl Observer for Recorder {
    fn event(&self, event: Event<'_>) {
        self.tell(&event, Instant::now());
    }
}

impl State {
    fn open(
        &mut self,
        parent: usize,
        kind: Kind,
        name: String,
        lane: String,
        now: Duration,
    ) -> usize {
        let (parent, begin, end) = (Some(parent), now, now);
        let (outcome, fields) = (Outcome::Done, Vec::new());
        let span = Span { parent, kind, name, lane, begin, end, outcome, fields };
        match self.spans.len() < MOST {
            true => self.spans.push(span),
            // The last one is overwritten; a build of so many spans is shown in part.
            false => self.spans[MOST - 1] = span,
        }
        self.spans.len() - 1
    }

    fn close(&mut self, span: usize, outcome: Outcome, now: Duration) {
        self.spans[span].end = now;
        self.spans[span].outcome = outcome;
    }

    fn mark(&mut self, name: String, span: Option<usize>, at: Duration) {
        if self.marks.len() < MOST {
            self.marks.push(Mark { at, name, span });
        }
    }

    fn step(&mut self, origin: &Origin, now: Duration) -> OpenStep {
        let key = key(origin);
        if let Some(step) = self.steps.get(&key) {
            return *step;
        }
        let (text, stage) = (origin.text.clone(), origin.stage.clone());
        let span = self.open(0, Kind::Step, text, stage.clone(), now);
        let mut fields = vec![
            ("stage", Field::Text(stage)),
            ("line", Field::Number(origin.span.first_line as u64)),
            ("step", Field::Number(origin.step as u64)),
        ];
        if let Some((image, digest)) = self.bases.get(&key) {
            fields.push(("image", Field::Text(image.clone())));
            fields.push(("digest", Field::Text(digest.clone())));
        }
        self.spans[span].fields = fields;
        let step = OpenStep { span, part: None };
        self.steps.insert(key, step);
        step
    }

    fn part(&mut self, origin: &Origin, kind: Kind, name: &str, now: Duration) {
        let step = self.step(origin, now);
        self.end_part(origin, now);
        let part = self.open(step.span, kind, name.to_owned(), origin.stage.clone(), now);
        self.steps.insert(key(origin), OpenStep { part: Some(part), ..step });
    }

    fn end_part(&mut self, origin: &Origin, now: Duration) {
        let step = self.step(origin, now);
        if let Some(part) = step.part {
            self.close(part, Outcome::Done, now);
        }
        self.steps.insert(key(origin), OpenStep { part: None, ..step });
    }

    fn end_step(&mut self, origin: &Origin, outcome: Outcome, now: Duration) {
        let step = self.step(origin, now);
        if let Some(part) = step.part {
            self.close(part, outcome, now);
        }
        self.close(step.span, outcome, now);
        self.steps.remove(&key(origin));
    }

    fn begin(&mut self, phase: Phase<'_>, now: Duration) {
        let span = self.open(0, Kind::Phase, phase.to_string(), "work".into(), now);
        self.spans[span].fields.push(("work", phase.kind.as_str().into()));
        self.phases.insert((phase.kind, phase.subject.to_owned()), span);
    }

    fn end(&mut self, phase: Phase<'_>, outcome: Outcome, now: Duration) {
        if let Some(span) = self.phases.remove(&(phase.kind, phase.subject.to_owned())) {
            self.close(span, outcome, now);
        }
    }

    fn transfer(&mut self, transfer: Transfer<'_>, now: Duration) {
        let Transfer { direction, image, blob, motion } = transfer;
        let image = image.to_string();
        let key = (direction, blob.digest, image.clone());
        if motion == Motion::Began {
            let lane = match direction {
                Direction::Pull => "pull",
                Direction::Push => "push",
            };
            let name = format!("{lane} {}", blob.digest);
            let span = self.open(0, Kind::Transfer, name, lane.into(), now);
            self.spans[span].fields =
                vec![("image", Field::Text(image)), ("size", Field::Number(blob.size))];
            self.transfers.insert(key, OpenTransfer { span, ..OpenTransfer::default() });
            return;
        }
        let Some(open) = self.transfers.get_mut(&key) else { return };
        match motion {
            Motion::Began => {}
            Motion::Had(bytes) => open.had += bytes,
            Motion::Moved(bytes) => open.moved += bytes,
            Motion::Restarted => {
                *open = OpenTransfer { span: open.span, ..OpenTransfer::default() }
            }
            Motion::Done => {
                let OpenTransfer { span, moved, had } = *open;
                self.transfers.remove(&key);
                self.close(span, Outcome::Done, now);
                self.spans[span].fields.extend([("moved", moved.into()), ("had", had.into())]);
            }
        }
    }
}

fn key(origin: &Origin) -> StepKey {
    (origin.stage.clone(), origin.step, origin.span.first_line as u32)
}

#[cfg(test)]
mod tests;
