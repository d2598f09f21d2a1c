//! Data goes to standard output, talk to standard error.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{json_lines::JsonLines, paint::Paint, surroundings::Surroundings};
use crate::error::CliError;

/// Where the program writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    paint: Paint,
    talk: Talk,
}

/// How the program talks on standard error.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Talk {
    /// Lines for people.
    Text,
    /// Objects for programs, as docs/progress.md describes them.
    Json,
    /// Only errors and questions.
    Silent,
}

impl Printer {
    /// Standard output and standard error; colour only on a terminal that wants it.
    pub(crate) fn stdio(surroundings: &Surroundings) -> Self {
        Self { paint: Paint::new(surroundings.colors()), talk: Talk::Text }
    }

    /// The same, talking in another way.
    pub(crate) fn talking(self, talk: Talk) -> Self {
        Self { talk, ..self }
    }

    /// Data for programs and people: standard output, ended by a line break.
    pub(crate) fn data(&self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        let ended = if text.ends_with('\n') { "" } else { "\n" };
        match write!(out, "{text}{ended}").and_then(|()| out.flush()) {
            // A reader that has seen enough (`| head`) is not a fault.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => {
                Err(CliError::environment(format!("standard output cannot be written: {error}")))
            }
            Ok(()) => Ok(()),
        }
    }

    /// A line of talk on standard error.
    pub(crate) fn talk(&self, text: &str) {
        match self.talk {
            Talk::Text => line(text),
            Talk::Json => self.object("message", json!({"text": text})),
            Talk::Silent => {}
        }
    }

    /// An object for programs, on standard error.
    pub(crate) fn object(&self, kind: &str, fields: Value) {
        let _ = io::stderr().lock().write_all(&JsonLines::now().line(kind, fields));
    }

    /// A question on standard error; the answer comes on the same line.
    pub(crate) fn prompt(&self, text: &str) {
        let mut out = io::stderr().lock();
        let _ = write!(out, "{text}").and_then(|()| out.flush());
    }

    /// `warning: …`
    pub(crate) fn warning(&self, text: &str) {
        match self.talk {
            Talk::Text => line(&format!("{} {text}", self.paint.doubt("warning:"))),
            Talk::Json => self.object("warning", json!({"text": text})),
            Talk::Silent => {}
        }
    }

    /// The error as it is shown: what happened, then what to do.
    pub(crate) fn error(&self, error: &CliError) {
        let text = error.to_string();
        if text.is_empty() {
            return;
        }
        if matches!(self.talk, Talk::Json) {
            return self.object("error", error_fields(error));
        }
        let rest = text.strip_prefix("error: ").unwrap_or(&text);
        line(&format!("{} {rest}", self.paint.fault("error:")));
    }
}

/// An error for programs.
pub(crate) fn error_fields(error: &CliError) -> Value {
    let text = error.message();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    json!({"kind": error.kind(), "text": text, "help": error.hints()})
}

/// A closed standard error is nobody's fault.
fn line(text: &str) {
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}
