//! The live display: what is done goes up and stays, what goes on is drawn below it again and again.

use std::{
    collections::HashMap,
    io::Write,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use touchmark_builder::solver::event::{Event, Observer};

use super::{
    super::paint::Paint,
    finished::{self, DockerfileText},
    frame::{Canvas, frame},
    ledger::Ledger,
    log_tail::LogTail,
    terminal::{Size, Terminal},
};

/// Between two frames.
const FRAME: Duration = Duration::from_millis(100);

/// Where the live display goes.
pub(super) struct Screen {
    /// Takes what is drawn.
    pub(super) out: Box<dyn Write + Send>,
    /// Asked before each frame: that is how a new size is noticed.
    pub(super) size: Box<dyn Fn() -> Size + Send>,
    /// Its colours.
    pub(super) paint: Paint,
}

/// Draws a build on a terminal from a thread of its own, at most ten times a second.
#[derive(Debug)]
pub(super) struct Tty {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    dockerfile: DockerfileText,
    paint: Paint,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    tails: HashMap<usize, LogTail>,
    /// What goes up with the next frame.
    above: Above,
    closing: bool,
}

/// Lines that stay.
#[derive(Debug, Default)]
struct Above(Vec<finished::Line>);

impl Tty {
    /// Begins to draw.
    pub(super) fn new(screen: Screen, dockerfile: DockerfileText) -> Self {
        let state = State {
            ledger: Ledger::new(Instant::now()),
            tails: HashMap::new(),
            above: Above::default(),
            closing: false,
        };
        let paint = screen.paint;
        let shared =
            Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new(), dockerfile, paint });
        let drawer = shared.clone();
        let thread =
            thread::Builder::new().name("display".into()).spawn(move || drawer.run(screen));
        // Without a thread there is no display; the build does not depend on it.
        Self { shared, thread: Mutex::new(thread.ok()) }
    }

    /// Ends the display and gives its last state.
    pub(super) fn close(&self) -> Ledger {
        self.shared.state().closing = true;
        self.shared.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        let mut state = self.shared.state();
        std::mem::replace(&mut state.ledger, Ledger::new(Instant::now()))
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, screen: Screen) {
        let Screen { out, size, paint } = screen;
        let mut terminal = Terminal::new(out);
        let mut last = Instant::now();
        loop {
            let mut state = self.state();
            // Never faster than this, and at least so often, because the running times change.
            while !state.closing && last.elapsed() < FRAME {
                let left = FRAME.saturating_sub(last.elapsed());
                state =
                    self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            last = Instant::now();
            let (columns, rows) = size();
            let canvas = Canvas { columns, rows, paint };
            let closing = state.closing;
            let above = std::mem::take(&mut state.above);
            let lines = match closing {
                true => Vec::new(),
                false => frame(&state.ledger, &state.tails, canvas, last),
            };
            drop(state);
            let above = above.drawn(canvas);
            // A terminal that is gone is nobody's fault.
            if closing {
                let _ = terminal.close(&above);
                return;
            }
            let _ = terminal.draw(&above, lines, columns);
        }
    }
}

impl Above {
    fn drawn(&self, canvas: Canvas) -> Vec<u8> {
        self.0.iter().flat_map(|line| line.drawn(canvas)).collect()
    }
}

impl Observer for Tty {
    fn event(&self, event: Event<'_>) {
        let mut state = self.shared.state();
        let state = &mut *state;
        state.ledger.note(&event, Instant::now());
        match event {
            Event::Output(origin, _, bytes) => {
                let number = state.ledger.number(origin);
                state.tails.entry(number).or_default().push(bytes);
            }
            Event::Finished(origin, _) | Event::Cancelled(origin, _) => {
                let number = state.ledger.number(origin);
                state.tails.remove(&number);
            }
            _ => {}
        }
        let paint = self.shared.paint;
        let tail = match event {
            Event::Failed(origin, _) => {
                let number = state.ledger.number(origin);
                state.tails.remove(&number)
            }
            _ => None,
        };
        state.above.0.extend(finished::line(&event, &self.shared.dockerfile, paint));
        if let (Event::Failed(origin, _), Some(tail)) = (event, tail) {
            state.above.0.push(finished::log(origin, &tail, paint));
        }
    }
}

/// The default, where a terminal does not say its size.
pub(super) const SOME_SIZE: Size = (80, 24);

#[cfg(test)]
#[path = "tty_tests.rs"]
mod tests;
