//! Data goes to standard output, talk to standard error.

use std::io::{self, IsTerminal, Write};

use crate::error::CliError;

/// Where the program writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    color: bool,
}

impl Printer {
    /// Standard output and standard error; colour only on a terminal.
    pub(crate) fn stdio() -> Self {
        Self { color: io::stderr().is_terminal() }
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

    /// A line of talk on standard error. A closed standard error is nobody's fault.
    pub(crate) fn talk(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// A question on standard error; the answer comes on the same line.
    pub(crate) fn prompt(&self, text: &str) {
        let mut out = io::stderr().lock();
        let _ = write!(out, "{text}").and_then(|()| out.flush());
    }

    /// `warning: …`
    pub(crate) fn warning(&self, text: &str) {
        self.talk(&format!("{} {text}", self.paint("33;1", "warning:")));
    }

    /// The error as it is shown: what happened, then what to do.
    pub(crate) fn error(&self, error: &CliError) {
        let text = error.to_string();
        if text.is_empty() {
            return;
        }
        match text.strip_prefix("error: ") {
            Some(rest) => self.talk(&format!("{} {rest}", self.paint("31;1", "error:"))),
            None => self.talk(&format!("{} {text}", self.paint("31;1", "error:"))),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
