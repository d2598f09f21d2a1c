//! What a build tells while it runs. The solver and the exporters send events; the cli draws them. Phases
//! (work beside the steps) are in [`super::phase`], transfers in [`super::transfer`].

use std::{fmt, time::Duration};

use super::{phase::Phase, reason::Reason, transfer::Transfer};
use crate::{
    dockerfile::Diagnostic,
    egress::Refusal,
    executor::Stream,
    graph::Origin,
    oci::{digest::Digest, reference::Reference},
};

/// Receives events from several tasks at once; must not block for long.
pub trait Observer: Send + Sync {
    /// One event, in the order in which it happened within its step, phase or transfer.
    fn event(&self, event: Event<'_>);
}

/// Something that happened. A step is known by its [`Origin`]: no two steps of a build have the same stage,
/// number and line.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// These steps are what will be done, in the order of the Dockerfile. A build of several platforms
    /// plans once for each.
    Planned(&'a [&'a Origin]),
    /// The image of a FROM, or of a `--from`, was looked up; what of it is needed is fetched later.
    Base(&'a Origin, &'a Reference, &'a Digest),
    /// A step could go on, but something else has to end first.
    Waiting(&'a Origin, Wait<'a>),
    /// What a step waited for is there.
    Resumed(&'a Origin),
    /// A step's inputs are known; its key is computed and looked up in the cache.
    Checking(&'a Origin),
    /// A step begins to run.
    Started(&'a Origin),
    /// Why the step that has just begun was not answered from the cache.
    Missed(&'a Origin, &'a [Reason]),
    /// A step was answered from the cache.
    Cached(&'a Origin),
    /// A step wrote bytes; not cut at line ends. The values of secrets are masked.
    Output(&'a Origin, Stream, &'a [u8]),
    /// What a step fetched over the network, told once after it ran.
    Fetched(&'a Origin, Fetched),
    /// A step is done after this time.
    Finished(&'a Origin, Duration),
    /// A step failed after this time.
    Failed(&'a Origin, Duration),
    /// A step was ended after this time, because another failed or the user wanted it.
    Cancelled(&'a Origin, Duration),
    /// The network refused something to a step.
    Refused(&'a Origin, &'a Refusal),
    /// Work beside the steps begins.
    Began(Phase<'a>),
    /// Work beside the steps is done after this time.
    Ended(Phase<'a>, Duration),
    /// Work beside the steps failed after this time.
    Broke(Phase<'a>, Duration),
    /// A blob on its way from or to a registry.
    Transfer(Transfer<'a>),
    /// Work beside the steps says what it does.
    Activity(&'a str),
    /// Something in the Dockerfile is doubtful.
    Doubt(&'a Diagnostic),
    /// Something the user should know, though the build goes on.
    Warning(&'a str),
}

/// What a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait<'a> {
    /// As many steps run as may run at the same time.
    Slot,
    /// Another step, maybe of another build, holds the cache mount with this id.
    CacheMount(&'a str),
}

/// What a step fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Requests that the policy let through.
    pub requests: usize,
    /// Bytes of their bodies towards the step.
    pub bytes: u64,
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
