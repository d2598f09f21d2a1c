//! What a rule found.

use super::rule::Rule;
use crate::dockerfile::{Diagnostic, Span};

/// One place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// The lines that BuildKit names for it: as a rule those of the whole instruction.
    pub lines: Span,
    /// What it is, the exact place, and what to do.
    pub diagnostic: Diagnostic,
}

impl Finding {
    /// A finding in the instruction on `lines`, at `place`.
    pub(super) fn new(
        rule: &'static Rule,
        lines: Span,
        place: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let diagnostic = Diagnostic::new(place, message).help(help).rule(rule.name);
        Self { rule, lines, diagnostic }
    }

    /// The same with another place that explains it.
    pub(super) fn related(self, span: Span, label: impl Into<String>) -> Self {
        Self { diagnostic: self.diagnostic.related(span, label), ..self }
    }
}

/// A piece of a Dockerfile for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}
