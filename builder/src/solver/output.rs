//! What a step writes becomes events, without the values of secrets.

use std::sync::{Mutex, PoisonError};

use super::{
    Solver,
    event::Event,
    secret_mask::{HeldBack, SecretMask},
};
use crate::{
    executor::{OutputSink, Stream},
    graph::Origin,
};

/// Passes a step's output on as events.
#[derive(Debug)]
pub(super) struct StepOutput<'a> {
    solver: &'a Solver,
    origin: &'a Origin,
    /// What is held back of standard output and standard error.
    held: Mutex<[HeldBack; 2]>,
}

impl<'a> StepOutput<'a> {
    /// The output of the step at `origin`.
    pub(super) fn new(solver: &'a Solver, origin: &'a Origin) -> Self {
        Self { solver, origin, held: Mutex::default() }
    }

    /// Passes on what was held back; the step has ended.
    pub(super) fn finish(self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for (stream, held) in [Stream::Stdout, Stream::Stderr].into_iter().zip(held.iter_mut()) {
            self.tell(stream, &self.mask().rest(held));
        }
    }

    fn mask(&self) -> &SecretMask {
        &self.solver.mask
    }

    fn tell(&self, stream: Stream, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.solver.observer.event(Event::Output(self.origin, stream, bytes));
        }
    }
}

impl OutputSink for StepOutput<'_> {
    fn bytes(&self, stream: Stream, bytes: &[u8]) {
        if self.mask().is_empty() {
            return self.tell(stream, bytes);
        }
        let shown = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            self.mask().pass(&mut held[usize::from(stream == Stream::Stderr)], bytes)
        };
        self.tell(stream, &shown);
    }
}
