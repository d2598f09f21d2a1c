//! Where the display is: what the environment says about it.

use std::io::{self, IsTerminal};

/// What `config` read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// `BUILDKIT_PROGRESS`: the style where `--progress` is not given.
    pub(crate) progress: Option<String>,
    /// `NO_COLOR` is set.
    pub(crate) no_color: bool,
    /// `TERM=dumb`: the terminal knows no control sequences.
    pub(crate) dumb: bool,
    /// `COLUMNS` and `LINES`, where the terminal does not know its size.
    pub(crate) size: Option<(usize, usize)>,
}

impl Surroundings {
    /// Are colours wanted on standard error?
    pub(crate) fn colors(&self) -> bool {
        io::stderr().is_terminal() && !self.no_color && !self.dumb
    }
}
