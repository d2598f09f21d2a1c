//! Where something stands in a Dockerfile.

use std::fmt;

/// Lines and columns, both counted from 1; columns count characters, not bytes. A span over several
/// lines has the columns of its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    /// First line.
    pub first_line: usize,
    /// Last line, inclusive.
    pub last_line: usize,
    /// First column, on the first line.
    pub first_column: usize,
    /// The column after the last one, on the first line.
    pub end_column: usize,
}

impl Span {
    /// A piece of one line.
    #[must_use]
    pub fn on_line(line: usize, first_column: usize, end_column: usize) -> Self {
        Self { first_line: line, last_line: line, first_column, end_column }
    }

    /// The same columns, reaching down to `last_line`.
    #[must_use]
    pub fn until(self, last_line: usize) -> Self {
        Self { last_line: last_line.max(self.first_line), ..self }
    }
}

impl fmt::Display for Span {
    /// `line:column`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.first_line, self.first_column)
    }
}
