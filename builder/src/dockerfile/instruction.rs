//! The syntax tree of an instruction.

use super::{copy::Copy, diagnostic::Diagnostic, healthcheck::Healthcheck, run::Run, span::Span};

/// A piece of text and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// One instruction of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// All its lines.
    pub span: Span,
    /// The keyword as it is written.
    pub keyword: String,
    /// The instruction as one line, continuations joined, without heredoc bodies.
    pub text: String,
    /// The comments directly before it.
    pub comments: Vec<String>,
    /// What it says.
    pub kind: Kind,
}

/// What an instruction says. Variables are not expanded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// ADD.
    Add(Copy),
    /// ARG.
    Arg(Vec<Argument>),
    /// CMD.
    Cmd(CommandLine),
    /// COPY.
    Copy(Copy),
    /// ENTRYPOINT.
    Entrypoint(CommandLine),
    /// ENV.
    Env(Vec<Pair>),
    /// EXPOSE, sorted as BuildKit does.
    Expose(Vec<Located>),
    /// HEALTHCHECK.
    Healthcheck(Healthcheck),
    /// LABEL.
    Label(Vec<Pair>),
    /// MAINTAINER.
    Maintainer(String),
    /// ONBUILD.
    Onbuild(Onbuild),
    /// RUN.
    Run(Run),
    /// SHELL.
    Shell(Vec<String>),
    /// STOPSIGNAL.
    StopSignal(Located),
    /// USER.
    User(Located),
    /// VOLUME.
    Volume(Vec<Located>),
    /// WORKDIR.
    Workdir(Located),
}

/// One `name[=default]` of ARG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// The name; not expanded.
    pub name: String,
    /// The default.
    pub default: Option<String>,
    /// Where it stands.
    pub span: Span,
}

/// One `name=value` of ENV or LABEL; quotes are still in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
    /// Was it written in the old form, `ENV name value`?
    pub legacy: bool,
    /// Where it stands.
    pub span: Span,
}

/// A command in exec form (a JSON array) or in shell form (one string, or none).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// Is it a JSON array?
    pub exec: bool,
    /// The words of the array, or the one string.
    pub words: Vec<String>,
    /// Where it stands.
    pub span: Span,
}

/// An instruction to run in the stages that build on this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onbuild {
    /// The instruction's text with its heredocs, as the image configuration keeps it.
    pub trigger: String,
    /// The instruction, or its faults: BuildKit reads a trigger only when a stage builds on this one.
    pub instruction: Result<Box<Instruction>, Vec<Diagnostic>>,
}
