//! What a build has done so far, as every display needs it: steps, work beside them, blobs on their way,
//! and the sums.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use touchmark_builder::{
    graph::Origin,
    oci::digest::Digest,
    solver::{
        event::{Event, Fetched, Wait},
        phase::{Phase, PhaseKind},
        transfer::{Direction, Motion, Transfer},
    },
};

use super::super::text::harmless;

/// The state of a build.
#[derive(Debug)]
pub(super) struct Ledger {
    began: Instant,
    steps: Vec<Step>,
    numbers: HashMap<StepKey, usize>,
    phases: Vec<PhaseNow>,
    blobs: Vec<Blob>,
    totals: Totals,
}

/// Tells steps apart: stage, number in the stage, line.
type StepKey = (String, usize, usize);

/// A step.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// `[build 2/5]`
    pub(super) name: String,
    /// The instruction.
    pub(super) text: String,
    /// How far it is.
    pub(super) state: StepState,
    /// What it fetched.
    pub(super) fetched: Fetched,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StepState {
    /// It waits for other steps.
    Planned,
    /// It could go on but for this, since then.
    Waiting(String, Instant),
    /// It is looked up in the cache, since then.
    Checking(Instant),
    /// It runs, since then.
    Running(Instant),
    /// The cache had its result.
    Cached,
    /// It is done after this time.
    Done(Duration),
    /// It failed after this time.
    Failed(Duration),
    /// It was ended after this time.
    Cancelled(Duration),
}

/// Work beside the steps that goes on.
#[derive(Debug, Clone)]
pub(super) struct PhaseNow {
    kind: PhaseKind,
    subject: String,
    /// As it is shown.
    pub(super) text: String,
    /// When it began.
    pub(super) since: Instant,
}

/// A blob on its way.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    /// From or to the registry.
    pub(super) direction: Direction,
    /// The image.
    pub(super) image: String,
    /// Which blob.
    pub(super) digest: Digest,
    /// All its bytes.
    pub(super) size: u64,
    /// Those that are there.
    pub(super) done: u64,
    /// Those that were moved by this build.
    pub(super) moved: u64,
    /// When it began.
    pub(super) since: Instant,
}

impl Blob {
    /// Bytes a second so far.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "shown with two digits"
    )]
    pub(super) fn rate(&self, now: Instant) -> u64 {
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        if seconds < 0.05 { 0 } else { (self.moved as f64 / seconds) as u64 }
    }
}

/// Sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Bytes that came from registries.
    pub(super) pulled: u64,
    /// Bytes that went to registries.
    pub(super) pushed: u64,
    /// What steps fetched.
    pub(super) fetched: Fetched,
}

/// How many steps are how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// All.
    pub(super) steps: usize,
    /// Answered from the cache.
    pub(super) cached: usize,
    /// Cached or done.
    pub(super) done: usize,
    /// Could go on but for a slot or a lock.
    pub(super) waiting: usize,
}

impl Ledger {
    /// A build that begins at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            steps: Vec::new(),
            numbers: HashMap::new(),
            phases: Vec::new(),
            blobs: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// Writes an event down.
    pub(super) fn note(&mut self, event: &Event<'_>, now: Instant) {
        match *event {
            Event::Planned(origins) => {
                for origin in origins {
                    self.number(origin);
                }
            }
            Event::Waiting(origin, wait) => {
                let what = match wait {
                    Wait::Slot => "waits for another step to end".to_owned(),
                    Wait::CacheMount(id) => format!("waits for the cache '{}'", harmless(id)),
                };
                self.set(origin, StepState::Waiting(what, now));
            }
            Event::Resumed(origin) | Event::Started(origin) => {
                self.set(origin, StepState::Running(now));
            }
            Event::Checking(origin) => self.set(origin, StepState::Checking(now)),
            Event::Cached(origin) => self.set(origin, StepState::Cached),
            Event::Finished(origin, after) => self.set(origin, StepState::Done(after)),
            Event::Failed(origin, after) => self.set(origin, StepState::Failed(after)),
            Event::Cancelled(origin, after) => self.set(origin, StepState::Cancelled(after)),
            Event::Fetched(origin, fetched) => {
                let number = self.number(origin);
                self.steps[number].fetched = fetched;
                self.totals.fetched.requests += fetched.requests;
                self.totals.fetched.bytes += fetched.bytes;
            }
            Event::Began(phase) => self.phases.push(PhaseNow {
                kind: phase.kind,
                subject: phase.subject.to_owned(),
                text: harmless(&phase.to_string()),
                since: now,
            }),
            Event::Ended(phase, _) | Event::Broke(phase, _) => self.end_phase(phase),
            Event::Transfer(transfer) => self.transfer(transfer, now),
            Event::Base(..)
            | Event::Missed(..)
            | Event::Output(..)
            | Event::Refused(..)
            | Event::Activity(_)
            | Event::Doubt(_)
            | Event::Warning(_) => {}
        }
    }

    /// The index of a step in [`Ledger::steps`]; one that was not planned gets the next.
    pub(super) fn number(&mut self, origin: &Origin) -> usize {
        let key = (origin.stage.clone(), origin.step, origin.span.first_line);
        *self.numbers.entry(key).or_insert_with(|| {
            self.steps.push(Step {
                name: step_name(origin),
                text: harmless(&origin.text),
                state: StepState::Planned,
                fetched: Fetched::default(),
            });
            self.steps.len() - 1
        })
    }

    fn set(&mut self, origin: &Origin, state: StepState) {
        let number = self.number(origin);
        let step = &mut self.steps[number];
        // One that waited while it ran goes on with the time it had.
        step.state = match (&step.state, state) {
            (StepState::Running(since), StepState::Running(_)) => StepState::Running(*since),
            (_, state) => state,
        };
    }

    fn end_phase(&mut self, phase: Phase<'_>) {
        self.phases.retain(|now| now.kind != phase.kind || now.subject != phase.subject);
    }

    fn transfer(&mut self, transfer: Transfer<'_>, now: Instant) {
        let Transfer { direction, image, blob, motion } = transfer;
        if motion == Motion::Began {
            self.blobs.push(Blob {
                direction,
                image: harmless(&image.name()),
                digest: blob.digest,
                size: blob.size,
                done: 0,
                moved: 0,
                since: now,
            });
            return;
        }
        let Some(at) = self
            .blobs
            .iter()
            .position(|known| known.direction == direction && known.digest == blob.digest)
        else {
            return;
        };
        let known = &mut self.blobs[at];
        match motion {
            Motion::Had(bytes) => known.done += bytes,
            Motion::Moved(bytes) => {
                known.done += bytes;
                known.moved += bytes;
                match direction {
                    Direction::Pull => self.totals.pulled += bytes,
                    Direction::Push => self.totals.pushed += bytes,
                }
            }
            Motion::Restarted => known.done = 0,
            Motion::Began | Motion::Done => {
                self.blobs.remove(at);
            }
        }
    }

    /// When the build began.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// The steps in the order of the plan.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Work beside the steps that goes on.
    pub(super) fn phases(&self) -> &[PhaseNow] {
        &self.phases
    }

    /// The blobs on their way.
    pub(super) fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// The sums.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// How many steps are how far.
    pub(super) fn counts(&self) -> Counts {
        let count = |wanted: fn(&StepState) -> bool| {
            self.steps.iter().filter(|step| wanted(&step.state)).count()
        };
        Counts {
            steps: self.steps.len(),
            cached: count(|state| *state == StepState::Cached),
            done: count(|state| matches!(state, StepState::Cached | StepState::Done(_))),
            waiting: count(|state| matches!(state, StepState::Waiting(..))),
        }
    }
}

/// `[build 2/5]`
pub(super) fn step_name(origin: &Origin) -> String {
    format!("[{} {}/{}]", harmless(&origin.stage), origin.step, origin.steps)
}

/// `12.3s`, `4m05s`
pub(super) fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        whole @ 600.. => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{:.1}s", duration.as_secs_f64()),
    }
}
