//! Nothing but faults: what a step wrote is kept, and shown when it fails.

use std::{
    collections::HashMap,
    io::Write,
    sync::{Mutex, PoisonError},
};

use touchmark_builder::solver::event::{Event, Observer};

use super::{super::paint::Paint, ledger::step_name, log_tail::LogTail};

/// Keeps silent until something fails.
pub(super) struct Quiet {
    paint: Paint,
    state: Mutex<State>,
}

struct State {
    tails: HashMap<String, LogTail>,
    out: Box<dyn Write + Send>,
}

impl std::fmt::Debug for Quiet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Quiet")
    }
}

impl Quiet {
    /// Faults go to `out`.
    pub(super) fn new(out: Box<dyn Write + Send>, paint: Paint) -> Self {
        Self { paint, state: Mutex::new(State { tails: HashMap::new(), out }) }
    }
}

impl Observer for Quiet {
    fn event(&self, event: Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Output(origin, _, bytes) => {
                state.tails.entry(step_name(origin)).or_default().push(bytes);
            }
            Event::Finished(origin, _) | Event::Cancelled(origin, _) => {
                state.tails.remove(&step_name(origin));
            }
            Event::Failed(origin, _) => {
                let name = step_name(origin);
                if let Some(tail) = state.tails.remove(&name) {
                    let log = tail.whole(&format!("{name} "), self.paint.of_tools());
                    let _ = state.out.write_all(&log);
                }
            }
            _ => {}
        }
    }
}
