//! [`Tee`]: two observers that hear the same.

use std::{fmt, sync::Arc};

use crate::solver::event::{Event, Observer};

/// Tells two observers, one after the other.
pub struct Tee(pub Arc<dyn Observer>, pub Arc<dyn Observer>);

impl Observer for Tee {
    fn event(&self, event: Event<'_>) {
        self.0.event(event);
        self.1.event(event);
    }
}

impl fmt::Debug for Tee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tee")
    }
}
