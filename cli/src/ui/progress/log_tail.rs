//! The end of what a step wrote, in bounded memory: shown while it runs, and again when it fails.

use super::super::log_text::{self, Colors};

/// So much of a step's output is kept at least, in bytes.
const KEPT: usize = 256 * 1024;

/// The last bytes of both streams of a step, as they came.
#[derive(Debug, Default)]
pub(super) struct LogTail {
    bytes: Vec<u8>,
    /// Line ends that were dropped.
    dropped: usize,
}

impl LogTail {
    /// Takes the next bytes. Old ones are dropped in large pieces, so that each is moved about once.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 2 * KEPT {
            let surplus = self.bytes.len() - KEPT;
            // From the begin of a line on, unless the line is longer than that.
            let line_end = self.bytes[surplus..].iter().position(|byte| *byte == b'\n');
            let surplus = line_end.map_or(surplus, |at| surplus + at + 1);
            let lines = self.bytes.drain(..surplus).filter(|byte| *byte == b'\n').count();
            self.dropped += lines;
        }
    }

    /// Is there nothing?
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The last `count` lines that show something, each cut to `width` columns.
    pub(super) fn last(&self, count: usize, colors: Colors, width: usize) -> Vec<String> {
        let lines = self.bytes.rsplit(|byte| *byte == b'\n');
        let shown = lines.map(|line| log_text::fitted(line, colors, width));
        let mut last: Vec<String> =
            shown.filter(|line| !line.trim().is_empty()).take(count).collect();
        last.reverse();
        last
    }

    /// Everything that is kept, line by line and harmless, with `prefix` before each. A first line says
    /// how much is missing.
    pub(super) fn whole(&self, prefix: &str, colors: Colors) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len() + 80);
        if self.dropped > 0 {
            let text = format!(
                "{prefix}({} earlier lines are not shown; --progress plain shows all)\n",
                self.dropped
            );
            out.extend_from_slice(text.as_bytes());
        }
        let bytes = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        for line in bytes.split(|byte| *byte == b'\n').filter(|_| !self.is_empty()) {
            out.extend_from_slice(prefix.as_bytes());
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let state = line.rsplit(|byte| *byte == b'\r').next().unwrap_or_default();
            log_text::append(state, colors, &mut out);
            out.push(b'\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_those_that_show_something() {
        let mut tail = LogTail::default();
        assert!(tail.last(6, Colors::Dropped, 80).is_empty() && tail.is_empty());
        tail.push(b"one\ntwo\n\n   \nthree\n1%\r2%");
        assert_eq!(tail.last(2, Colors::Dropped, 80), ["three", "2%"]);
        assert_eq!(tail.last(9, Colors::Dropped, 2), ["on", "tw", "th", "2%"]);
        assert_eq!(tail.whole("> ", Colors::Dropped), b"> one\n> two\n> \n>    \n> three\n> 2%\n");
    }

    #[test]
    fn memory_is_bounded_and_what_is_missing_is_said() {
        let mut tail = LogTail::default();
        for number in 0..200_000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        assert!(tail.bytes.len() <= 2 * KEPT && tail.bytes.capacity() <= 8 * KEPT);
        let text = String::from_utf8(tail.whole("", Colors::Dropped)).unwrap();
        let missing = 200_000 - (text.lines().count() - 1);
        assert!(text.starts_with(&format!("({missing} earlier lines are not shown; ")));
        assert!(text.ends_with("\nline 199999\n"));
        let mut tail = LogTail::default();
        tail.push(&vec![b'x'; 3 << 20]);
        assert!(tail.bytes.len() <= 2 * KEPT);
    }
}
