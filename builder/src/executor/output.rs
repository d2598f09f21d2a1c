//! Where a step's output goes.

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Takes a step's output as it comes. Called from one task per step, a piece at a time and never twice at
/// once for the same step; pieces break anywhere, also within a character. Nothing is left out. Must not
/// block for long: the step waits meanwhile.
pub trait OutputSink: Send + Sync {
    /// The next bytes of `stream`.
    fn bytes(&self, stream: Stream, bytes: &[u8]);
}
