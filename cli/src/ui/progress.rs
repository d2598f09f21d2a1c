//! A build as it happens, on standard error: `plain` writes one line per event, `quiet` only faults.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use touchmark_builder::{
    dockerfile::warning_excerpt,
    executor::Stream,
    graph::Origin,
    solver::event::{Event, Observer},
};

use super::text::harmless;

/// Draws events line by line, each with the name of its step.
#[derive(Debug)]
pub(crate) struct Plain {
    quiet: bool,
    dockerfile: (String, String),
    state: Mutex<Lines>,
}

/// Output that has not seen its line end yet, per step and stream.
#[derive(Debug, Default)]
struct Lines {
    open: BTreeMap<(String, bool), Vec<u8>>,
    kept: BTreeMap<String, Vec<String>>,
}

/// Lines of a failed step that are shown again where its output was not shown live.
const KEPT_LINES: usize = 40;

impl Plain {
    /// `quiet` keeps silent until something fails. Warnings show their line of the Dockerfile, whose
    /// name and text are given.
    pub(crate) fn new(quiet: bool, name: &str, source: &str) -> Self {
        Self { quiet, dockerfile: (name.into(), source.into()), state: Mutex::default() }
    }

    fn line(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    fn output(&self, origin: &Origin, stream: Stream, bytes: &[u8]) {
        let name = step_name(origin);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let open = state.open.entry((name.clone(), stream == Stream::Stderr)).or_default();
        open.extend_from_slice(bytes);
        let Some(end) = open.iter().rposition(|b| *b == b'\n') else { return };
        let whole: Vec<u8> = open.drain(..=end).collect();
        for line in whole[..whole.len() - 1].split(|b| *b == b'\n') {
            self.output_line(&name, line, &mut state.kept);
        }
    }

    fn output_line(&self, name: &str, line: &[u8], kept: &mut BTreeMap<String, Vec<String>>) {
        let text = harmless(String::from_utf8_lossy(line).trim_end_matches('\r'));
        self.line(&format!("{name} {text}"));
        if self.quiet {
            let lines = kept.entry(name.to_owned()).or_default();
            if lines.len() == KEPT_LINES {
                lines.remove(0);
            }
            lines.push(text);
        }
    }

    /// Shows what a step wrote after its last line end.
    fn flush(&self, origin: &Origin) {
        let name = step_name(origin);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for err in [false, true] {
            if let Some(rest) = state.open.remove(&(name.clone(), err)).filter(|r| !r.is_empty()) {
                self.output_line(&name, &rest, &mut state.kept);
            }
        }
    }

    fn failed(&self, origin: &Origin, after: Duration) {
        self.flush(origin);
        self.line(&format!("{} FAILED after {}", step_name(origin), seconds(after)));
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for line in state.kept.get(&step_name(origin)).into_iter().flatten() {
            let _ = writeln!(io::stderr().lock(), "{} {line}", step_name(origin));
        }
    }
}

impl Observer for Plain {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Started(origin) => {
                self.line(&format!("{} {}", step_name(origin), harmless(&origin.text)));
            }
            Event::Cached(origin) => {
                self.line(&format!("{} CACHED {}", step_name(origin), harmless(&origin.text)));
            }
            Event::Waiting(origin, id) => self.line(&format!(
                "{} waiting for the cache '{}', which another step or build holds",
                step_name(origin),
                harmless(id)
            )),
            Event::Output(origin, stream, bytes) => self.output(origin, stream, bytes),
            Event::Finished(origin, after) => {
                self.flush(origin);
                self.line(&format!("{} done in {}", step_name(origin), seconds(after)));
            }
            Event::Failed(origin, after) => self.failed(origin, after),
            Event::Refused(origin, refusal) => {
                for line in refusal.to_string().lines() {
                    self.line(&format!("{} network: {}", step_name(origin), harmless(line)));
                }
            }
            Event::Activity(text) => self.line(&format!("=> {}", harmless(text))),
            Event::Doubt(diagnostic) => {
                let (name, source) = &self.dockerfile;
                self.line(warning_excerpt(name, source, diagnostic).trim_end());
            }
            Event::Warning(text) => {
                let _ = writeln!(io::stderr().lock(), "warning: {}", harmless(text));
            }
        }
    }
}

/// `[build 2/5]`
fn step_name(origin: &Origin) -> String {
    format!("[{} {}/{}]", harmless(&origin.stage), origin.step, origin.steps)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}
