//! The Dockerfile language (Dockerfile reference, frontend 1.26), from text to typed instructions.
//!
//! In reading order: [`span`] and [`diagnostic`] say where and what; [`encoding`] makes
//! text of bytes, `line` and [`directive`] logical lines of it; `word`, [`heredoc`] and [`expansion`] make words; `statement` is an instruction while
//! it is parsed, [`instruction`] what comes of it, one file per family; `parse` puts it together.
//!
//! Absent: the meaning of the instructions (room `graph`), the ignore file, any input or output.

pub mod chmod;
pub mod copy;
pub mod diagnostic;
pub mod directive;
pub mod duration;
pub mod encoding;
pub mod expansion;
pub mod healthcheck;
pub mod heredoc;
pub mod instruction;
mod line;
pub mod mount;
mod onbuild;
mod pairs;
mod parse;
mod pattern;
pub mod run;
mod setting;
pub mod span;
pub mod stage;
mod statement;
pub mod suggest;
mod word;

pub use self::{
    diagnostic::{Diagnostic, excerpt, warning_excerpt},
    directive::Directives,
    instruction::{Instruction, Kind},
    span::Span,
    stage::Stage,
};

/// A parsed Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// Its directives.
    pub directives: Directives,
    /// The ARG instructions before the first FROM.
    pub global: Vec<Instruction>,
    /// Its stages, at least one where there is no fault.
    pub stages: Vec<Stage>,
    /// What is doubtful but not wrong.
    pub warnings: Vec<Diagnostic>,
}

impl Dockerfile {
    /// Parses the text of a Dockerfile.
    ///
    /// # Errors
    /// All independent faults (the first hundred), in the order of the file.
    pub fn parse(source: &str) -> Result<Self, Vec<Diagnostic>> {
        let (file, faults) = parse::dockerfile(source);
        if faults.is_empty() { Ok(file) } else { Err(faults) }
    }

    /// The same with whatever can be read beside the faults, for tools that look at a file without
    /// building it: a faulty instruction is left out, a faulty FROM still begins a stage.
    #[must_use]
    pub fn parse_tolerant(source: &str) -> (Self, Vec<Diagnostic>) {
        parse::dockerfile(source)
    }
}

#[cfg(test)]
pub(crate) mod golden_tests;
#[cfg(test)]
pub(crate) mod robustness_tests;
