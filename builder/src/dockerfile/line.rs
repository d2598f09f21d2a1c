//! Physical lines, and the logical lines that continuations make of them.

use std::ops::Range;

use super::{diagnostic::Diagnostic, directive::DirectiveReader, span::Span};

/// The longest physical line, in bytes without its line end (BuildKit's limit).
const MAX_LINE_BYTES: usize = 65_535;

/// One line of the file.
pub(super) struct PhysicalLine<'a> {
    /// Counted from 1.
    pub(super) number: usize,
    /// Without its line end (`\n`, `\r\n`).
    pub(super) text: &'a str,
    /// With its line end.
    pub(super) raw: &'a str,
}

/// The lines of a file; a byte order mark before the first one is dropped.
pub(super) struct PhysicalLines<'a> {
    rest: &'a str,
    /// Number of the line read last.
    pub(super) number: usize,
}

impl<'a> PhysicalLines<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { rest: source.strip_prefix('\u{feff}').unwrap_or(source), number: 0 }
    }

    pub(super) fn next_line(&mut self, faults: &mut Vec<Diagnostic>) -> Option<PhysicalLine<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.find('\n').map_or(self.rest.len(), |index| index + 1);
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.number += 1;
        let text = raw.trim_end_matches(['\r', '\n']);
        if text.len() > MAX_LINE_BYTES {
            let message = format!("the line is longer than {MAX_LINE_BYTES} bytes");
            faults.push(
                Diagnostic::new(Span::on_line(self.number, 1, 2), message)
                    .help("break it with continuations, or COPY the text from a file"),
            );
        }
        Some(PhysicalLine { number: self.number, text, raw })
    }
}

/// One instruction's text: physical lines joined at their continuations, comments left out.
#[derive(Debug, Default)]
pub(super) struct LogicalLine {
    /// The joined text.
    pub(super) text: String,
    /// Where the pieces of `text` stand in the file, in order.
    pieces: Vec<Piece>,
    /// Last physical line.
    pub(super) last_line: usize,
    /// The comments since the instruction before it, without `#`; directives are none.
    pub(super) comments: Vec<String>,
    /// The first blank line inside a continuation.
    pub(super) blank_line: Option<usize>,
    /// The one place of a text that stands in no file, such as the trigger of a base image.
    pub(super) place: Option<Span>,
}

#[derive(Debug)]
struct Piece {
    /// Byte offset in the joined text.
    offset: usize,
    line: usize,
    /// Column of the piece's first character.
    column: usize,
    ascii: bool,
}

impl LogicalLine {
    /// The next instruction of the file, if any. Directives and comments before it are read on the way.
    pub(super) fn read(
        lines: &mut PhysicalLines<'_>,
        directives: &mut DirectiveReader,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let mut line = Self::default();
        while let Some(physical) = lines.next_line(faults) {
            if directives.read(physical.text, physical.number, faults) {
                continue;
            }
            let text = physical.text.trim_start();
            if let Some(comment) = text.strip_prefix('#') {
                line.comments.push(comment.trim().to_owned());
                continue;
            }
            if text.is_empty() {
                continue;
            }
            let indent = physical.text[..physical.text.len() - text.len()].chars().count();
            let mut open = line.push(text, physical.number, indent + 1, directives.escape());
            while open && let Some(physical) = lines.next_line(faults) {
                if physical.text.trim_start().starts_with('#') {
                    continue;
                }
                if physical.text.trim_start().is_empty() {
                    line.blank_line.get_or_insert(physical.number);
                    continue;
                }
                open = line.push(physical.text, physical.number, 1, directives.escape());
            }
            line.last_line = lines.number;
            if !line.text.trim().is_empty() {
                return Some(line);
            }
            line = Self { comments: line.comments, ..Self::default() };
        }
        None
    }

    /// The whole instruction, with the columns of its first line.
    pub(super) fn whole(&self) -> Span {
        if let Some(place) = self.place {
            return place;
        }
        self.span(0..self.text.trim_end().len()).until(self.last_line)
    }

    /// Where a piece of `text`, given in bytes, stands. The columns end with the physical line.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        if let Some(place) = self.place {
            return place;
        }
        let index = self.pieces.partition_point(|piece| piece.offset <= range.start);
        let Some(piece) = self.pieces.get(index.saturating_sub(1)) else {
            return Span::default();
        };
        let limit = self.pieces.get(index).map_or(self.text.len(), |next| next.offset);
        let end = range.end.min(limit).max(range.start);
        let columns = |from: usize, to: usize| {
            if piece.ascii {
                to.saturating_sub(from)
            } else {
                self.text.get(from..to).map_or(0, |text| text.chars().count())
            }
        };
        let first = piece.column + columns(piece.offset, range.start);
        let end_column = (first + columns(range.start, end)).max(first + 1);
        Span::on_line(piece.line, first, end_column)
    }

    /// Adds a physical line; true when it continues on the next one.
    fn push(&mut self, text: &str, line: usize, column: usize, escape: char) -> bool {
        let continued = without_continuation(text, escape);
        let kept = continued.unwrap_or(text);
        self.pieces.push(Piece { offset: self.text.len(), line, column, ascii: kept.is_ascii() });
        self.text.push_str(kept);
        continued.is_some()
    }
}

/// The line without its continuation character, when it has one: the escape character, not itself
/// escaped, with nothing but blanks behind it.
fn without_continuation(text: &str, escape: char) -> Option<&str> {
    let kept = text.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!kept.ends_with(escape)).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(source: &str) -> Vec<LogicalLine> {
        let (mut lines, mut faults) = (PhysicalLines::new(source), Vec::new());
        let mut directives = DirectiveReader::default();
        let mut all = Vec::new();
        while let Some(line) = LogicalLine::read(&mut lines, &mut directives, &mut faults) {
            all.push(line);
        }
        assert!(faults.is_empty(), "{faults:?}");
        all
    }

    #[test]
    fn continuations_comments_and_blank_lines() {
        let all = read_all("\u{feff}# c\r\n  RUN a \\  \r\n    b\\\n# no\n\n c\nUSER x\\\\\n");
        assert_eq!(all[0].text, "RUN a     b c");
        assert_eq!(all[0].comments, ["c"]);
        assert_eq!(all[0].blank_line, Some(5));
        assert_eq!(all[1].text, "USER x\\\\");
        assert_eq!(all[1].comments.len(), 0);
    }

    #[test]
    fn spans_point_into_the_file() {
        let all = read_all("FROM a\n  RUN é \\\n  b\n");
        let line = &all[1];
        let at = |word: &str| {
            let start = line.text.find(word).unwrap();
            line.span(start..start + word.len())
        };
        assert_eq!(at("é"), Span::on_line(2, 7, 8));
        assert_eq!(at("b"), Span::on_line(3, 3, 4));
        assert_eq!(
            line.whole(),
            Span { first_line: 2, last_line: 3, first_column: 3, end_column: 9 }
        );
    }

    #[test]
    fn too_long_a_line_is_a_fault() {
        let source = format!("RUN {}\n", "x".repeat(MAX_LINE_BYTES));
        let mut faults = Vec::new();
        PhysicalLines::new(&source).next_line(&mut faults);
        assert_eq!(faults[0].message, "the line is longer than 65535 bytes");
    }
}
