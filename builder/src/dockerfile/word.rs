//! How an instruction's text is cut into words: at blanks, or at blanks outside quotes. Quotes and
//! escapes stay in the words; [`super::expansion`] takes them away.

use std::ops::Range;

/// A word and where it stands in the text it was cut from, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) range: Range<usize>,
}

/// An instruction cut into its keyword, its leading `--flags` and the rest, as ranges of the text.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) keyword: Range<usize>,
    /// Quotes and escapes already removed.
    pub(super) flags: Vec<Word>,
    /// The arguments without the blanks around them.
    pub(super) arguments: Range<usize>,
}

/// The blanks that part words: not the line end, and no blank of other scripts.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}')
}

/// The range of `part`, a piece of `text`, without the white space around it.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..(start + part.trim().len())
}

/// Cuts the instruction that stands in this range of the text.
pub(super) fn command(text: &str, range: Range<usize>, escape: char) -> Command {
    let whole = trimmed(text, range);
    let line = &text[whole.clone()];
    let end = line.find(is_blank).unwrap_or(line.len());
    let keyword = whole.start..whole.start + end;
    let (flags, rest) = flags(text, trimmed(text, keyword.end..whole.end), escape);
    Command { keyword, flags, arguments: trimmed(text, rest) }
}

/// The leading words that begin with `--`, and what follows them. A lone `--` ends the flags.
fn flags(text: &str, range: Range<usize>, escape: char) -> (Vec<Word>, Range<usize>) {
    let mut flags = Vec::new();
    let mut at = range.start;
    loop {
        at = trimmed(text, at..range.end).start;
        if !text[at..range.end].starts_with("--") {
            return (flags, at..range.end);
        }
        let mut word = String::new();
        let mut quote = None;
        let mut end = range.end;
        let mut characters = text[at..range.end].char_indices();
        while let Some((offset, c)) = characters.next() {
            match quote {
                None if c.is_whitespace() => {
                    end = at + offset;
                    break;
                }
                None if c == '\'' || c == '"' => quote = Some(c),
                Some(open) if c == open => quote = None,
                _ if c == escape => word.extend(characters.next().map(|(_, next)| next)),
                _ => word.push(c),
            }
        }
        if word == "--" {
            return (flags, end..range.end);
        }
        flags.push(Word { text: word, range: at..end });
        at = end;
    }
}

/// Words parted by blanks; quotes mean nothing.
pub(super) fn plain(text: &str, range: Range<usize>) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = None;
    for (offset, c) in text[range.clone()].char_indices() {
        let at = range.start + offset;
        match start {
            Some(from) if is_blank(c) => {
                words.push(Word { text: text[from..at].into(), range: from..at });
                start = None;
            }
            None if !is_blank(c) => start = Some(at),
            _ => {}
        }
    }
    if let Some(from) = start {
        words.push(Word { text: text[from..range.end].into(), range: from..range.end });
    }
    words
}

/// Words parted by white space outside quotes, for ENV, LABEL and ARG. Quotes and escapes stay.
pub(super) fn quoted(text: &str, range: Range<usize>, escape: char) -> Vec<Word> {
    let mut words = Vec::new();
    let (mut word, mut start, mut quote, mut blank_ok) = (String::new(), None, None, false);
    let mut characters = text[range.clone()].char_indices();
    while let Some((offset, c)) = characters.next() {
        let at = range.start + offset;
        if quote.is_none() && c.is_whitespace() {
            if let Some(from) = start.take()
                && (blank_ok || !word.is_empty())
            {
                words.push(Word { text: std::mem::take(&mut word), range: from..at });
            }
            blank_ok = false;
            continue;
        }
        start.get_or_insert(at);
        match quote {
            None if c == '\'' || c == '"' => (quote, blank_ok) = (Some(c), true),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        // Nothing is an escape inside single quotes.
        if c == escape && quote != Some('\'') {
            // An escape character at the very end is dropped.
            let Some((_, next)) = characters.next() else { break };
            word.push(c);
            word.push(next);
        } else {
            word.push(c);
        }
    }
    if let Some(from) = start
        && (blank_ok || !word.is_empty())
    {
        words.push(Word { text: word, range: from..range.end });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[Word]) -> Vec<&str> {
        words.iter().map(|word| word.text.as_str()).collect()
    }

    #[test]
    fn a_command_is_cut_at_its_flags() {
        let text = " copy  --from=b --chown=\"a b\" \t--  --x y ";
        let cut = command(text, 0..text.len(), '\\');
        assert_eq!(&text[cut.keyword], "copy");
        assert_eq!(texts(&cut.flags), ["--from=b", "--chown=a b"]);
        assert_eq!(&text[cut.arguments], "--x y");
        let cut = command("RUN", 0..3, '\\');
        assert_eq!((cut.flags.len(), cut.arguments), (0, 3..3));
        assert_eq!(&"RUN -- x"[command("RUN -- x", 0..8, '\\').arguments], "x");
        assert_eq!(texts(&command("RUN --a='x", 0..10, '\\').flags), ["--a=x"]);
    }

    #[test]
    fn quotes_hold_words_together() {
        let text = "a=\"b c\" d='e \\' f=g\\ h \"\" i\\";
        assert_eq!(
            texts(&quoted(text, 0..text.len(), '\\')),
            ["a=\"b c\"", "d='e \\'", "f=g\\ h", "\"\"", "i"]
        );
        let text = "\"a b\"\tc";
        assert_eq!(texts(&plain(text, 0..text.len())), ["\"a", "b\"", "c"]);
    }
}
