//! [`Trace`]: a build in spans. Times are counted from its begin.

use std::time::{Duration, SystemTime};

/// A build that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The wall clock when it began.
    pub began: SystemTime,
    /// All spans; the first is the build. A span stands behind its parent.
    pub spans: Vec<Span>,
    /// What happened at one moment, in order.
    pub marks: Vec<Mark>,
}

/// A piece of work from begin to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Index of the span that it is a part of; none is the build's.
    pub parent: Option<usize>,
    /// What it is.
    pub kind: Kind,
    /// What was done, in words.
    pub name: String,
    /// With what it is shown: a stage, `work`, `pull`, `push`.
    pub lane: String,
    /// When it began.
    pub begin: Duration,
    /// When it ended; while it is open, when it began.
    pub end: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// What else is known, by name.
    pub fields: Vec<(&'static str, Field)>,
}

/// Kinds of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The whole build.
    Build,
    /// A step of the Dockerfile, with everything it waited for.
    Step,
    /// A part of a step: waiting.
    Wait,
    /// A part of a step: its cache key is computed and looked up.
    Check,
    /// A part of a step: it runs.
    Run,
    /// Work beside the steps.
    Phase,
    /// A blob on its way.
    Transfer,
}

impl Kind {
    /// One word, for machines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Step => "step",
            Self::Wait => "wait",
            Self::Check => "check",
            Self::Run => "run",
            Self::Phase => "phase",
            Self::Transfer => "transfer",
        }
    }
}

/// How a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Done,
    /// A step that was answered from the cache.
    Cached,
    /// It failed.
    Failed,
    /// It was ended, because another failed or the user wanted it.
    Cancelled,
}

impl Outcome {
    /// One word, for machines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Cached => "cached",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What is known about a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Words.
    Text(String),
    /// A count, or bytes.
    Number(u64),
}

impl From<u64> for Field {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Field {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Something that happened at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Duration,
    /// What.
    pub name: String,
    /// The span that it happened in; none is the build's.
    pub span: Option<usize>,
}

impl Span {
    /// From begin to end.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.end.saturating_sub(self.begin)
    }
}
