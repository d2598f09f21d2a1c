//! Bytes as they come become lines. Nothing is lost, and a line without an end does not fill the memory.

/// A line of at most so many bytes is whole; a longer one comes in pieces.
const LONGEST: usize = 64 * 1024;

/// One stream of one step.
#[derive(Debug, Default)]
pub(super) struct LogLines {
    open: Vec<u8>,
    /// The open line goes on one that was passed on already.
    continued: bool,
    /// The last byte was a carriage return: a line feed after it ends the same line.
    returned: Returned,
}

/// What a carriage return at the end of the bytes so far has ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Returned {
    /// There is none.
    #[default]
    No,
    /// A line that was passed on.
    Line,
    /// Nothing, unless a line feed makes it an empty line.
    Nothing,
}

/// A line, or a piece of a very long one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogLine<'a> {
    /// Its bytes, without the line end.
    pub(super) bytes: &'a [u8],
    /// Does it go on the line before?
    pub(super) continued: bool,
}

impl LogLines {
    /// Takes the next bytes and gives each line that ends in them. A carriage return ends a line too: what
    /// a progress bar overwrites on a terminal are lines here.
    pub(super) fn push(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(LogLine<'_>)) {
        if bytes.is_empty() {
            return;
        }
        let returned = std::mem::take(&mut self.returned);
        if let (Returned::Line | Returned::Nothing, Some(rest)) =
            (returned, bytes.strip_prefix(b"\n"))
        {
            bytes = rest;
            if returned == Returned::Nothing {
                self.end(&[], true, each);
            }
        }
        while let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, rest) = bytes.split_at(at);
            let feed = rest[0] == b'\n' || rest.get(1) == Some(&b'\n');
            let ended = self.end(line, feed, each);
            self.returned = match (rest, ended) {
                (b"\r", true) => Returned::Line,
                (b"\r", false) => Returned::Nothing,
                _ => Returned::No,
            };
            bytes = rest.strip_prefix(b"\r\n").unwrap_or(&rest[1..]);
        }
        self.open.extend_from_slice(bytes);
        while self.open.len() > LONGEST {
            let rest = self.open.split_off(whole_characters(&self.open[..LONGEST]));
            let line = std::mem::replace(&mut self.open, rest);
            each(LogLine { bytes: &line, continued: self.continued });
            self.continued = true;
        }
    }

    /// Gives the line that has no end, when the stream is at its end.
    pub(super) fn finish(&mut self, each: &mut dyn FnMut(LogLine<'_>)) {
        if !self.open.is_empty() {
            self.end(&[], true, each);
        }
        *self = Self::default();
    }

    /// Ends the open line with `line`; says whether there was one.
    fn end(&mut self, line: &[u8], feed: bool, each: &mut dyn FnMut(LogLine<'_>)) -> bool {
        let continued = std::mem::take(&mut self.continued);
        if self.open.is_empty() {
            // Nothing between two carriage returns is not even an empty line.
            let is_line = !line.is_empty() || (feed && !continued);
            if is_line {
                each(LogLine { bytes: line, continued });
            }
            return is_line || continued;
        }
        self.open.extend_from_slice(line);
        each(LogLine { bytes: &self.open, continued });
        self.open.clear();
        true
    }
}

/// How many of these bytes there are up to the last whole character.
fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    let begins = |at: &usize| !matches!(bytes[*at], 0x80..=0xbf);
    match (tail..bytes.len()).rev().find(begins) {
        Some(at) if bytes[at] >= 0xc0 => at,
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(bytes: &[u8], piece: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = LogLines::default();
        let mut each = |line: LogLine<'_>| {
            let mark = if line.continued { "+" } else { "" };
            found.push(format!("{mark}{}", String::from_utf8_lossy(line.bytes)));
        };
        for part in bytes.chunks(piece) {
            lines.push(part, &mut each);
        }
        lines.finish(&mut each);
        found
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_are_cut() {
        for piece in 1..20 {
            assert_eq!(split(b"one\ntwo\r\n\nfour", piece), ["one", "two", "", "four"]);
            assert_eq!(split(b"1%\r\r50%\r100%\r\nend\r", piece), ["1%", "50%", "100%", "end"]);
            assert_eq!(split(b"\r\n", piece), [""]);
            assert_eq!(split(b"", piece), Vec::<String>::new());
        }
    }

    #[test]
    fn a_very_long_line_comes_in_pieces_without_loss() {
        let text = "äöü€".repeat(50_000);
        for piece in [1000, 32 * 1024] {
            let found = split(format!("{text}\nnext\n").as_bytes(), piece);
            assert!(!found[0].starts_with('+') && found[1].starts_with('+'));
            assert!(found.iter().all(|line| line.len() <= LONGEST + 32 * 1024));
            let (last, long) = found.split_last().unwrap();
            assert_eq!(last, "next");
            let joined: String = long.iter().map(|line| line.trim_start_matches('+')).collect();
            assert_eq!(joined, text);
        }
    }
}
