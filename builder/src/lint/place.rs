//! Places and comments as BuildKit's answers have them.

use serde::Serialize;

use crate::dockerfile::Span;

/// Where something stands: one range for each line.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Location {
    ranges: Vec<Range>,
}

#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
struct Range {
    start: Position,
    end: Position,
}

#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
struct Position {
    /// Counted from 1.
    line: usize,
}

/// An instruction with more lines is shown by its first ones.
const MAX_LINES: usize = 1000;

impl From<Span> for Location {
    fn from(span: Span) -> Self {
        let lines = span.first_line..=span.last_line.max(span.first_line);
        let ranges = lines
            .take(MAX_LINES)
            .map(|line| Range { start: Position { line }, end: Position { line } });
        Self { ranges: ranges.collect() }
    }
}

/// What a comment says about `name`: the text behind it, when the comment begins with it.
pub(super) fn about<'c>(comment: &'c str, name: &str) -> Option<&'c str> {
    comment.strip_prefix(name)?.strip_prefix(' ')
}

/// The first of the comments that is about `name`.
pub(super) fn description(comments: &[String], name: &str) -> Option<String> {
    comments.iter().find_map(|comment| about(comment, name)).map(str::to_owned)
}
