//! Colours of our own, where they are wanted.

use super::log_text::Colors;

/// Paints, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// Colours where `on`.
    pub(crate) fn new(on: bool) -> Self {
        Self { on }
    }

    /// What becomes of the colours that tools write.
    pub(crate) fn of_tools(self) -> Colors {
        if self.on { Colors::Kept } else { Colors::Dropped }
    }

    /// For what is good to know.
    pub(crate) fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    /// For what is there for completeness.
    pub(crate) fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    /// For what needs no work.
    pub(crate) fn good(self, text: &str) -> String {
        self.code("32", text)
    }

    /// For what goes on.
    pub(crate) fn active(self, text: &str) -> String {
        self.code("36", text)
    }

    /// For what is doubtful.
    pub(crate) fn doubt(self, text: &str) -> String {
        self.code("33;1", text)
    }

    /// For faults.
    pub(crate) fn fault(self, text: &str) -> String {
        self.code("31;1", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
