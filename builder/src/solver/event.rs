//! What a build tells while it runs. The solver and the exporters send events; the cli draws them.

use std::{fmt, time::Duration};

use crate::{dockerfile::Diagnostic, egress::Refusal, executor::Stream, graph::Origin};

/// Receives events from several tasks at once; must not block for long.
pub trait Observer: Send + Sync {
    /// One event, in the order in which it happened within its step.
    fn event(&self, event: Event<'_>);
}

/// Something that happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A step begins to run.
    Started(&'a Origin),
    /// A step waits for the cache mount with this id, which another step or build holds.
    Waiting(&'a Origin, &'a str),
    /// A step was answered from the cache.
    Cached(&'a Origin),
    /// A step wrote bytes; not cut at line ends.
    Output(&'a Origin, Stream, &'a [u8]),
    /// A step is done after this time.
    Finished(&'a Origin, Duration),
    /// A step failed after this time.
    Failed(&'a Origin, Duration),
    /// The network refused something to a step.
    Refused(&'a Origin, &'a Refusal),
    /// Work beside the steps (pull, push, harden, sign) says what it does.
    Activity(&'a str),
    /// Something in the Dockerfile is doubtful.
    Doubt(&'a Diagnostic),
    /// Something the user should know, though the build goes on.
    Warning(&'a str),
}

/// Hears nothing; for callers that only want the result.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event<'_>) {}
}

impl fmt::Debug for dyn Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
