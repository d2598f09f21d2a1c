//! Untrusted text in messages. Evidence comes from whoever can write to a registry: what it says is
//! shown bounded and escaped, so that it can neither move the reader's cursor nor fill the screen.

use std::fmt;

/// How many characters of a foreign text are shown.
const MAX_CHARS: usize = 160;

/// A foreign text as shown in a message: control and direction characters escaped, length bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Excerpt<'a>(pub(crate) &'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, c) in self.0.chars().enumerate() {
            if count == MAX_CHARS {
                return f.write_str("…");
            }
            if c.is_control() || redirects(c) {
                write!(f, "{}", c.escape_unicode())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// Characters that change the direction of the text around them or are not seen at all
/// (UAX #9, section 2): with them one digest can be made to look like another.
fn redirects(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_are_escaped() {
        let shown = Excerpt("a\x1b[2J\nb\u{202e}c").to_string();
        assert_eq!(shown, "a\\u{1b}[2J\\u{a}b\\u{202e}c");
    }

    #[test]
    fn a_long_text_is_cut() {
        let shown = Excerpt(&"x".repeat(10_000)).to_string();
        assert_eq!(shown.chars().count(), MAX_CHARS + 1);
        assert!(shown.ends_with("x…"));
    }
}
