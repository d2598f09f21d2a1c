//! What other builds and other machines came to, for a solver that may use it.

use std::sync::Arc;

use super::{Solver, shared::SharedSteps, trail::Trail};

impl Solver {
    /// Looks for results among those of other machines too.
    #[must_use]
    pub fn sharing(mut self, shared: Arc<SharedSteps>) -> Self {
        self.shared = shared;
        self
    }

    /// Compresses the layers of every step as soon as they are there.
    #[must_use]
    pub fn compressing_all(mut self, all: bool) -> Self {
        self.all = all;
        self
    }

    /// The keys and results that the build came by.
    #[must_use]
    pub fn trail(&self) -> &Arc<Trail> {
        &self.trail
    }
}
