//! What a tool wrote, made harmless for a terminal and for a file: of its control sequences at most the
//! colours remain.

use unicode_width::UnicodeWidthChar;

/// What becomes of colours: "select graphic rendition" of ECMA-48, 8.3.117.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colors {
    /// They stay, and end with the line.
    Kept,
    /// They are left out.
    Dropped,
}

/// A part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    /// Text without any control character.
    Text(&'a str),
    /// A control character, or a character that changes the direction of others.
    Control(char),
    /// A byte that is no UTF-8.
    Byte(u8),
    /// A colour, with its introducer.
    Color(&'a str),
}

/// A longer sequence of parameters is no colour, in bytes.
const LONGEST_COLOR: usize = 64;
const RESET: &str = "\u{1b}[0m";

/// Appends `line`, which has no line end, to `out`. Nothing is lost but control sequences: what cannot be
/// shown is written as `\xff` or `\u{7}`.
pub(crate) fn append(line: &[u8], colors: Colors, out: &mut Vec<u8>) {
    if line.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        return out.extend_from_slice(line);
    }
    let mut colored = false;
    pieces(line, &mut |piece| {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Control('\t') => out.push(b'\t'),
            Piece::Control(c) => out.extend(c.escape_default().map(|c| c as u8)),
            Piece::Byte(byte) => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            Piece::Color(color) if colors == Colors::Kept => {
                out.extend_from_slice(color.as_bytes());
                colored = !is_reset(color);
            }
            Piece::Color(_) => {}
        }
        true
    });
    if colored {
        out.extend_from_slice(RESET.as_bytes());
    }
}

/// The beginning of `line` that fits into `width` columns, as a terminal would show it: what a carriage
/// return overwrote is gone, tabs are spaces, wide characters count twice.
pub(crate) fn fitted(line: &[u8], colors: Colors, width: usize) -> String {
    let mut out = String::new();
    let (mut column, mut colored) = (0, false);
    pieces(last_state(line), &mut |piece| match piece {
        Piece::Text(text) => text.chars().all(|c| {
            let wide = c.width().unwrap_or(0);
            let fits = column + wide <= width;
            if fits {
                column += wide;
                out.push(c);
            }
            fits
        }),
        Piece::Control('\t') => {
            let blanks = (8 - column % 8).min(width - column);
            out.extend(std::iter::repeat_n(' ', blanks));
            column += blanks;
            column < width
        }
        Piece::Control(_) => true,
        Piece::Byte(_) if column < width => {
            out.push('\u{fffd}');
            column += 1;
            true
        }
        Piece::Byte(_) => false,
        Piece::Color(color) if colors == Colors::Kept => {
            out.push_str(color);
            colored = !is_reset(color);
            true
        }
        Piece::Color(_) => true,
    });
    if colored {
        out.push_str(RESET);
    }
    out
}

/// What stands in the line after its carriage returns.
fn last_state(line: &[u8]) -> &[u8] {
    let mut states = line.rsplit(|byte| *byte == b'\r');
    states.find(|state| !state.is_empty()).unwrap_or_default()
}

fn is_reset(color: &str) -> bool {
    matches!(color, "\u{1b}[m" | "\u{1b}[0m" | "\u{1b}[00m")
}

/// Cuts a line into pieces, until `each` says that it has enough. Control sequences other than colours
/// (ECMA-48, 5.4 and 5.6) are passed over.
fn pieces(line: &[u8], each: &mut dyn FnMut(Piece<'_>) -> bool) {
    for chunk in line.utf8_chunks() {
        let mut text = chunk.valid();
        while let Some(at) = text.find(is_active) {
            let (before, rest) = text.split_at(at);
            if !before.is_empty() && !each(Piece::Text(before)) {
                return;
            }
            let (piece, length) = active(rest);
            if piece.is_some_and(|piece| !each(piece)) {
                return;
            }
            text = rest.get(length..).unwrap_or_default();
        }
        if !text.is_empty() && !each(Piece::Text(text)) {
            return;
        }
        if !chunk.invalid().iter().all(|byte| each(Piece::Byte(*byte))) {
            return;
        }
    }
}

/// Characters that do something: controls, line separators, and those that turn the direction of text.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The piece that `text` begins with, none where it is left out, and its length in bytes.
fn active(text: &str) -> (Option<Piece<'_>>, usize) {
    let bytes = text.as_bytes();
    match bytes {
        [0x1b, b'[', parameters @ ..] => {
            let Some(end) = parameters.iter().position(|byte| !matches!(byte, b' '..=b'?')) else {
                return (None, bytes.len());
            };
            let length = end + 3;
            // A final byte is one of these; anything else broke the sequence off and is text again.
            match parameters[end] {
                b'm' if length <= LONGEST_COLOR && plain(&parameters[..end]) => {
                    (Some(Piece::Color(&text[..length])), length)
                }
                b'@'..=b'~' => (None, length),
                _ => (None, length - 1),
            }
        }
        // Operating system commands and other strings end with BEL or ESC \.
        [0x1b, b']' | b'P' | b'_' | b'^' | b'X', rest @ ..] => {
            let bell = rest.iter().position(|byte| *byte == 7).map(|at| at + 3);
            let terminator = text[2..].find("\u{1b}\\").map(|at| at + 4);
            let ends = [bell, terminator].into_iter().flatten();
            (None, ends.min().unwrap_or(bytes.len()))
        }
        // Two-byte sequences such as ESC c, and those with an intermediate byte, such as ESC ( B.
        [0x1b, b' '..=b'/', 0x30..=0x7e, ..] => (None, 3),
        [0x1b, 0x30..=0x7e, ..] => (None, 2),
        _ => {
            let c = text.chars().next().unwrap_or_default();
            (Some(Piece::Control(c)), c.len_utf8())
        }
    }
}

/// Are these the parameters of a colour and nothing private?
fn plain(parameters: &[u8]) -> bool {
    parameters.iter().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'))
}

/// `text`, which holds no control characters, cut to `width` columns; a mark says that something is
/// missing.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let total: usize = columns(text);
    if total <= width {
        return text.to_owned();
    }
    let mut out = fitted(text.as_bytes(), Colors::Dropped, width.saturating_sub(1));
    if width > 0 {
        out.push('…');
    }
    out
}

/// The columns that a line takes on a terminal, colours not counted.
pub(crate) fn columns_shown(line: &str) -> usize {
    let mut taken = 0;
    pieces(line.as_bytes(), &mut |piece| {
        if let Piece::Text(text) = piece {
            taken += columns(text);
        }
        true
    });
    taken
}

/// The columns that `text`, which holds no control characters, takes.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appended(line: &[u8], colors: Colors) -> String {
        let mut out = Vec::new();
        append(line, colors, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_colours_pass() {
        let line = b"\x1b[1;31mred\x1b[0m \x1b[2K\x1b[10Aup \x1b]0;title\x07t\x1b]8;;u\x1b\\l \x1bc\x1b(B.";
        assert_eq!(appended(line, Colors::Kept), "\u{1b}[1;31mred\u{1b}[0m up tl .");
        assert_eq!(appended(line, Colors::Dropped), "red up tl .");
        assert_eq!(appended(b"\x1b[32mopen", Colors::Kept), "\u{1b}[32mopen\u{1b}[0m");
        assert_eq!(appended(b"\x1b[?25lhid\x1b[>4;1mden", Colors::Kept), "hidden");
        assert_eq!(appended(b"a\x1b[", Colors::Kept), "a");
        assert_eq!(appended(b"a\x1b", Colors::Kept), "a\\u{1b}");
        assert_eq!(appended(b"a\x1b[3\x07b", Colors::Kept), "a\\u{7}b");
        assert_eq!(appended(b"a\x1b[3\xffb", Colors::Kept), "a\\xffb");
        assert_eq!(appended("a\u{1b}[3é".as_bytes(), Colors::Kept), "aé");
        assert_eq!(appended("\u{9b}2J\u{202e}x".as_bytes(), Colors::Kept), "\\u{9b}2J\\u{202e}x");
    }

    #[test]
    fn nothing_else_is_lost() {
        assert_eq!(appended(b"\tplain text", Colors::Kept), "\tplain text");
        assert_eq!(
            appended(b"\x00\x07\x08\xff\xc3x\xc3\xa9", Colors::Kept),
            "\\u{0}\\u{7}\\u{8}\\xff\\xc3xé"
        );
    }

    #[test]
    fn a_line_is_fitted_as_a_terminal_shows_it() {
        let fit = |line: &str, width| fitted(line.as_bytes(), Colors::Dropped, width);
        assert_eq!(fit("progress 1%\rprogress 50%\r", 80), "progress 50%");
        assert_eq!(fit("abcdef", 4), "abcd");
        assert_eq!(fit("日本語", 5), "日本");
        assert_eq!(fit("e\u{301}\u{301}x", 1), "e\u{301}\u{301}");
        assert_eq!(fit("a\tb", 80), "a       b");
        assert_eq!(fit("a\tb", 4), "a   ");
        assert_eq!(fit("", 4), "");
        assert_eq!(fitted(b"\x1b[31mabc\x1b[0mdef", Colors::Kept, 2), "\u{1b}[31mab\u{1b}[0m");
    }

    #[test]
    fn a_cut_is_marked() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "");
    }
}
