//! A build as it happens, on standard error. `ledger` writes down how far it is; `plain`, `tty` (with
//! `frame`, `terminal` and `finished`), `raw_json` and `quiet` show it; `log_lines` and `log_tail` take what
//! steps write; `summary` is the end.

mod finished;
#[cfg(test)]
mod fixture;
mod frame;
mod ledger;
mod log_lines;
mod log_tail;
mod plain;
mod quiet;
mod raw_json;
pub(crate) mod summary;
mod terminal;
mod tty;

use std::{
    io::{self, IsTerminal, Write},
    sync::Arc,
    time::Instant,
};

use touchmark_builder::solver::event::Observer;

pub(crate) use self::finished::DockerfileText;
use self::{
    ledger::Ledger,
    plain::Plain,
    quiet::Quiet,
    raw_json::RawJson,
    summary::BuiltImage,
    tty::{SOME_SIZE, Screen, Tty},
};
use super::{json_lines::JsonLines, paint::Paint, printer::Printer, surroundings::Surroundings};
use crate::error::CliError;

/// Styles of progress, when it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Live, on a terminal.
    Tty,
    /// One line per event.
    Plain,
    /// One JSON object per event.
    RawJson,
    /// Nothing but faults.
    Quiet,
}

impl Style {
    /// The style that this word asks for; `auto` is the best for where standard error goes.
    pub(crate) fn named(word: &str, surroundings: &Surroundings) -> Result<Self, CliError> {
        let terminal = io::stderr().is_terminal();
        match word {
            "auto" | "" if terminal && !surroundings.dumb => Ok(Self::Tty),
            "auto" | "" | "plain" => Ok(Self::Plain),
            "tty" if terminal => Ok(Self::Tty),
            "tty" => {
                Err(CliError::usage("the progress style 'tty' needs a terminal as standard error")
                    .hint("leave the style out: it is chosen by where standard error goes"))
            }
            "rawjson" => Ok(Self::RawJson),
            "quiet" | "none" => Ok(Self::Quiet),
            word => Err(CliError::usage(format!(
                "the progress style '{}' is not known",
                super::text::harmless(word)
            ))
            .hint("the styles are auto, tty, plain, rawjson and quiet")),
        }
    }
}

/// Shows a build.
#[derive(Debug)]
pub(crate) struct Display(Shown);

#[derive(Debug)]
enum Shown {
    Tty(Arc<Tty>),
    Plain(Arc<Plain>),
    RawJson(Arc<RawJson>),
    Quiet(Arc<Quiet>),
}

impl Display {
    /// Begins to show a build of `dockerfile`.
    pub(crate) fn open(
        style: Style,
        surroundings: &Surroundings,
        dockerfile: DockerfileText,
    ) -> Self {
        let paint = Paint::new(surroundings.colors());
        Self(match style {
            Style::Tty => {
                let told = surroundings.size;
                let size = move || terminal::size_of(io::stderr()).or(told).unwrap_or(SOME_SIZE);
                let screen = Screen { out: stderr(), size: Box::new(size), paint };
                Shown::Tty(Arc::new(Tty::new(screen, dockerfile)))
            }
            Style::Plain => Shown::Plain(Arc::new(Plain::new(stderr(), paint, dockerfile))),
            Style::RawJson => {
                Shown::RawJson(Arc::new(RawJson::new(stderr(), JsonLines::now(), Instant::now())))
            }
            Style::Quiet => Shown::Quiet(Arc::new(Quiet::new(stderr(), paint))),
        })
    }

    /// Whom the build tells what happens.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        match &self.0 {
            Shown::Tty(tty) => tty.clone(),
            Shown::Plain(plain) => plain.clone(),
            Shown::RawJson(raw) => raw.clone(),
            Shown::Quiet(quiet) => quiet.clone(),
        }
    }

    /// Ends the display; what was built is summed up. Nothing is drawn afterwards.
    pub(crate) fn close(&self, image: Option<&BuiltImage>, printer: &Printer) {
        let ledger: Ledger = match &self.0 {
            Shown::Tty(tty) => tty.close(),
            Shown::Plain(plain) => plain.close(),
            Shown::RawJson(raw) => raw.close(),
            Shown::Quiet(_) => return,
        };
        let Some(image) = image else { return };
        let now = Instant::now();
        match &self.0 {
            Shown::RawJson(_) => printer.object("result", summary::json(&ledger, image, now)),
            Shown::Tty(_) => {
                let (columns, _) = terminal::size_of(io::stderr()).unwrap_or(SOME_SIZE);
                printer.talk(&summary::text(&ledger, image, now, columns));
            }
            _ => printer.talk(&summary::text(&ledger, image, now, usize::MAX)),
        }
    }
}

fn stderr() -> Box<dyn Write + Send> {
    Box::new(io::stderr())
}
