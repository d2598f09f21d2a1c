//! The patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*` and `?` only, no brackets. As in BuildKit
//! neither of them matches a line end.

/// One piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// `*`
    Star,
    /// `?`
    Any,
    Char(char),
}

impl Token {
    fn takes(self, c: char) -> bool {
        match self {
            Token::Star => false,
            Token::Any => c != '\n',
            Token::Char(own) => own == c,
        }
    }
}

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Token>);

impl Pattern {
    /// # Errors
    /// The character behind a backslash that may not stand there; `None` is the end.
    pub(super) fn parse(text: &str) -> Result<Self, Option<char>> {
        let mut tokens = Vec::new();
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            tokens.push(match c {
                '*' => Token::Star,
                '?' => Token::Any,
                // The escape that keeps `}` and `/` inside `${…}` is no part of the pattern.
                '\\' if matches!(characters.peek(), Some('}' | '/')) => continue,
                '\\' => match characters.next() {
                    Some(c @ ('*' | '?' | '\\')) => Token::Char(c),
                    other => return Err(other),
                },
                c => Token::Char(c),
            });
        }
        tokens.dedup_by(|a, b| *a == Token::Star && *b == Token::Star);
        Ok(Self(tokens))
    }

    /// `${v#p}`, or `${v##p}` when `longest`.
    pub(super) fn without_prefix(&self, value: &str, longest: bool) -> String {
        let value: Vec<char> = value.chars().collect();
        let end = self.match_at(&value, 0, longest).unwrap_or(0);
        value[end..].iter().collect()
    }

    /// `${v%p}`, or `${v%%p}` when `longest`.
    pub(super) fn without_suffix(&self, value: &str, longest: bool) -> String {
        let value: Vec<char> = value.chars().rev().collect();
        let mirrored = Self(self.0.iter().rev().copied().collect());
        let end = mirrored.match_at(&value, 0, longest).unwrap_or(0);
        value[end..].iter().rev().collect()
    }

    /// `${v/p/r}`, or `${v//p/r}` when `all`. The leftmost longest match is replaced.
    pub(super) fn replace(&self, value: &str, replacement: &str, all: bool) -> String {
        let value: Vec<char> = value.chars().collect();
        let (mut out, mut at, mut last_end) = (String::new(), 0, None);
        while at <= value.len() {
            match self.match_at(&value, at, true) {
                // An empty match directly behind another match does not count.
                Some(end) if end > at || last_end != Some(at) => {
                    out.push_str(replacement);
                    if end == at {
                        out.extend(value.get(at));
                    }
                    last_end = Some(end);
                    at = end.max(at + 1);
                    if !all {
                        break;
                    }
                }
                found => {
                    // Where the beginning fits and the rest is nowhere on this line, no later start on
                    // the line can fit either; without this a long value would take quadratic time.
                    let skip = found.is_none()
                        && self.begins_at(&value, at)
                        && self.0.contains(&Token::Star);
                    let to = if skip { line_end(&value, at).max(at + 1) } else { at + 1 };
                    out.extend(value.get(at..to.min(value.len())).unwrap_or_default());
                    at = to;
                }
            }
        }
        out.extend(value.get(at..).unwrap_or_default());
        out
    }

    fn begins_at(&self, value: &[char], at: usize) -> bool {
        self.0.split(|token| *token == Token::Star).next().is_some_and(|head| fits(head, value, at))
    }

    /// The end of the match that starts at `at`.
    fn match_at(&self, value: &[char], at: usize, longest: bool) -> Option<usize> {
        let mut segments = self.0.split(|token| *token == Token::Star);
        let head = segments.next()?;
        if !fits(head, value, at) {
            return None;
        }
        let mut at = at + head.len();
        let mut segments = segments.peekable();
        while let Some(segment) = segments.next() {
            let line_end = line_end(value, at);
            let mut starts = at..=line_end;
            let found = if segments.peek().is_none() && longest {
                starts.rev().find(|start| fits(segment, value, *start))
            } else {
                starts.find(|start| fits(segment, value, *start))
            };
            at = found? + segment.len();
        }
        Some(at)
    }
}

fn fits(segment: &[Token], value: &[char], at: usize) -> bool {
    value
        .get(at..at + segment.len())
        .is_some_and(|part| segment.iter().zip(part).all(|(token, c)| token.takes(*c)))
}

fn line_end(value: &[char], at: usize) -> usize {
    value[at..].iter().position(|c| *c == '\n').map_or(value.len(), |length| at + length)
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn prefixes_and_suffixes() {
        let prefix = |pattern: &str, longest| {
            Pattern::parse(pattern).unwrap().without_prefix("foobarfoobar", longest)
        };
        assert_eq!(prefix("*oo", false), "barfoobar");
        assert_eq!(prefix("*oo", true), "bar");
        assert_eq!(prefix("?o", false), "obarfoobar");
        assert_eq!(prefix("*", true), "");
        assert_eq!(prefix("*", false), "foobarfoobar");
        assert_eq!(prefix("x*", true), "foobarfoobar");
        let suffix = |pattern: &str, longest| {
            Pattern::parse(pattern).unwrap().without_suffix("a.tar.gz", longest)
        };
        assert_eq!((suffix(".*", false), suffix(".*", true)), ("a.tar".into(), "a".into()));
        assert_eq!(suffix("\\*", false), "a.tar.gz");
    }

    #[test]
    fn replacement() {
        let replace = |pattern: &str, value: &str, all| {
            Pattern::parse(pattern).unwrap().replace(value, "-", all)
        };
        assert_eq!(replace("o", "foo", false), "f-o");
        assert_eq!(replace("o", "foo", true), "f--");
        assert_eq!(replace("*", "abc", true), "-");
        assert_eq!(replace("", "abc", true), "-a-b-c-");
        assert_eq!(replace("a*c", "xabcabcx", true), "x-x");
        assert_eq!(replace("\\/", "a/b/c", true), "a-b-c");
        assert_eq!(Pattern::parse("a\\x").err(), Some(Some('x')));
        assert_eq!(Pattern::parse("a\\").err(), Some(None));
    }

    #[test]
    fn long_values_take_linear_time() {
        let value = "a".repeat(200_000);
        assert_eq!(Pattern::parse("a*b").unwrap().replace(&value, "", true), value);
    }
}
