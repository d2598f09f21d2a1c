//! Variables, quotes and escapes in a word (Dockerfile reference, "Environment replacement"):
//! `$v ${v} ${v:-w} ${v-w} ${v:+w} ${v+w} ${v:?m} ${v?m} ${v#p} ${v##p} ${v%p} ${v%%p} ${v/p/r}
//! ${v//p/r}`, with BuildKit's behaviour in the corners.

mod error;

use std::{collections::BTreeSet, iter::Peekable, str::Chars};

pub use self::error::ExpansionError;

use super::pattern::Pattern;

/// The longest value a word may expand to, in bytes. Linux gives no process a longer environment
/// string, and without a limit `ENV A=$A$A` doubles with each line.
pub const MAX_WORD_BYTES: usize = 128 * 1024;
/// The longest text a heredoc may expand to, in bytes.
pub const MAX_HEREDOC_BYTES: usize = 16 * 1024 * 1024;
/// How deep `${a:-${b:-…}}` may nest; a limit because each level takes stack.
const MAX_DEPTH: usize = 64;
/// The longest pattern in characters, because matching takes its length times the value's.
const MAX_PATTERN: usize = 512;

/// Where values of variables come from.
pub trait Variables {
    /// The value, `None` when the variable is not set.
    fn value(&self, name: &str) -> Option<&str>;
}

impl Variables for std::collections::BTreeMap<String, String> {
    fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// No variables at all.
impl Variables for () {
    fn value(&self, _: &str) -> Option<&str> {
        None
    }
}

/// What became of a word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The text.
    pub text: String,
    /// The text cut at white space that was neither quoted nor escaped (EXPOSE, here-documents). As in
    /// BuildKit, `${v…}` with a modifier drops what stood before it in its word: `80-${v:-82}` is `82`.
    pub words: Vec<String>,
    /// Variables that were not set.
    pub unset: BTreeSet<String>,
}

/// How words are read.
#[derive(Debug, Clone, Copy)]
pub struct Expander {
    /// The escape character.
    pub escape: char,
    /// Keep quotes in the text.
    pub keep_quotes: bool,
    /// Keep escape characters in the text.
    pub keep_escapes: bool,
    /// Quotes are letters like any other (heredocs).
    pub plain_quotes: bool,
    /// Leave variables that are not set as they are written.
    pub keep_unset: bool,
    /// The longest result, in bytes.
    pub limit: usize,
}

impl Expander {
    /// The way the words of instructions are read.
    #[must_use]
    pub fn new(escape: char) -> Self {
        Self {
            escape,
            keep_quotes: false,
            keep_escapes: false,
            plain_quotes: false,
            keep_unset: false,
            limit: MAX_WORD_BYTES,
        }
    }

    /// The way the body of a heredoc is read: always `\`, and quotes are letters.
    #[must_use]
    pub fn heredoc() -> Self {
        Self { plain_quotes: true, limit: MAX_HEREDOC_BYTES, ..Self::new('\\') }
    }

    /// Expands a word.
    ///
    /// # Errors
    /// See [`ExpansionError`].
    pub fn expand(
        &self,
        word: &str,
        variables: &dyn Variables,
    ) -> Result<Expanded, ExpansionError> {
        let mut reader = Reader {
            rules: *self,
            rest: word.chars().peekable(),
            variables,
            unset: BTreeSet::new(),
            depth: 0,
            modified: false,
        };
        let (text, words) = reader.until(None, self.keep_escapes)?;
        Ok(Expanded { text, words, unset: reader.unset })
    }
}

/// The words of a text while it is read.
#[derive(Default)]
struct Words {
    word: String,
    words: Vec<String>,
}

impl Words {
    fn push(&mut self, c: char) {
        if !c.is_whitespace() {
            self.word.push(c);
        } else if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        self.words
    }
}

struct Reader<'a> {
    rules: Expander,
    rest: Peekable<Chars<'a>>,
    variables: &'a dyn Variables,
    unset: BTreeSet<String>,
    depth: usize,
    /// Had the last `$…` a modifier?
    modified: bool,
}

type Text = Result<String, ExpansionError>;

impl<'a> Reader<'a> {
    /// Reads up to `stop`, which is taken away, or to the end when there is none.
    fn until(
        &mut self,
        stop: Option<char>,
        keep_escapes: bool,
    ) -> Result<(String, Vec<String>), ExpansionError> {
        let (mut text, mut words) = (String::new(), Words::default());
        while let Some(&c) = self.rest.peek() {
            if text.len() > self.rules.limit {
                return Err(ExpansionError::TooLong(self.rules.limit));
            }
            if stop == Some(c) {
                self.rest.next();
                return Ok((text, words.finish()));
            }
            if c == '$' {
                let value = self.dollar()?;
                if self.modified {
                    words.word.clear();
                }
                value.chars().for_each(|c| words.push(c));
                text.push_str(&value);
            } else if !self.rules.plain_quotes && (c == '\'' || c == '"') {
                let quoted = self.quoted(c, keep_escapes)?;
                words.word.push_str(&quoted);
                text.push_str(&quoted);
            } else if c == self.rules.escape {
                self.rest.next();
                let kept = keep_escapes.then_some(c).into_iter().chain(self.rest.next());
                for c in kept {
                    words.word.push(c);
                    text.push(c);
                }
            } else {
                self.rest.next();
                words.push(c);
                text.push(c);
            }
        }
        if text.len() > self.rules.limit {
            return Err(ExpansionError::TooLong(self.rules.limit));
        }
        match stop {
            None => Ok((text, words.finish())),
            Some('/') => Err(ExpansionError::NoReplacement),
            Some(_) => Err(ExpansionError::Unclosed),
        }
    }

    /// A quoted piece. In double quotes variables count, and the escape character stands before `"`,
    /// `$` and itself.
    fn quoted(&mut self, quote: char, keep_escapes: bool) -> Text {
        self.rest.next();
        let mut text = String::new();
        if self.rules.keep_quotes {
            text.push(quote);
        }
        while let Some(&c) = self.rest.peek() {
            if text.len() > self.rules.limit {
                return Err(ExpansionError::TooLong(self.rules.limit));
            }
            if c == quote {
                self.rest.next();
                if self.rules.keep_quotes {
                    text.push(quote);
                }
                return Ok(text);
            }
            if quote == '"' && c == '$' {
                text.push_str(&self.dollar()?);
                continue;
            }
            self.rest.next();
            if quote == '"' && c == self.rules.escape {
                if keep_escapes {
                    text.push(c);
                }
                let next = self.rest.next_if(|next| matches!(next, '"' | '$') || *next == c);
                text.push(next.unwrap_or(c));
            } else {
                text.push(c);
            }
        }
        Err(ExpansionError::Quote(quote))
    }

    fn dollar(&mut self) -> Text {
        self.rest.next();
        self.modified = false;
        if self.rest.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(match self.value(&name) {
                _ if name.is_empty() => "$".into(),
                Some(value) => value.to_owned(),
                None if self.rules.keep_unset => format!("${name}"),
                None => String::new(),
            });
        }
        if matches!(self.rest.peek(), Some('{' | '}' | ':')) {
            return Err(ExpansionError::NoName);
        }
        if self.depth == MAX_DEPTH {
            return Err(ExpansionError::TooDeep);
        }
        self.depth += 1;
        let text = self.braces();
        self.depth -= 1;
        text
    }

    /// What follows `${`.
    fn braces(&mut self) -> Text {
        let name = self.name();
        let text = match self.rest.next().ok_or(ExpansionError::Unclosed)? {
            '}' => {
                return Ok(match self.value(&name) {
                    Some(value) => value.to_owned(),
                    None if self.rules.keep_unset => format!("${{{name}}}"),
                    None => String::new(),
                });
            }
            ':' => {
                let modifier = self.rest.next().ok_or(ExpansionError::Unclosed)?;
                self.modified(&name, modifier, true)
            }
            '/' => self.replaced(&name),
            modifier => self.modified(&name, modifier, false),
        };
        self.modified = true;
        text
    }

    /// `${name` is read, `modifier` is the character behind it or behind its colon.
    fn modified(&mut self, name: &str, modifier: char, colon: bool) -> Text {
        let written = if colon { format!(":{modifier}") } else { modifier.to_string() };
        if !"+-?#%".contains(modifier) {
            return Err(ExpansionError::Modifier(written));
        }
        let (word, _) = self.until(Some('}'), matches!(modifier, '#' | '%'))?;
        let value = self.value(name).map(str::to_owned);
        if value.is_none() && self.rules.keep_unset {
            return Ok(format!("${{{name}{written}{word}}}"));
        }
        let counts = value.as_deref().is_some_and(|value| !colon || !value.is_empty());
        match modifier {
            '-' if counts => Ok(value.unwrap_or_default()),
            '-' => Ok(word),
            '+' => Ok(if counts { word } else { String::new() }),
            '?' if counts => Ok(value.unwrap_or_default()),
            '?' => {
                let state = if value.is_none() { "unset" } else { "empty" };
                let reason = format!("is not allowed to be {state}");
                let message = if word.is_empty() { reason } else { word };
                Err(ExpansionError::Required { name: name.into(), message })
            }
            _ => {
                let (longest, pattern) = match word.strip_prefix(modifier) {
                    Some(rest) => (true, rest),
                    None => (false, word.as_str()),
                };
                let pattern = parse_pattern(pattern)?;
                let value = value.unwrap_or_default();
                Ok(if modifier == '%' {
                    pattern.without_suffix(&value, longest)
                } else {
                    pattern.without_prefix(&value, longest)
                })
            }
        }
    }

    /// `${name/` is read.
    fn replaced(&mut self, name: &str) -> Text {
        let all = self.rest.next_if_eq(&'/').is_some();
        let (pattern, _) = self.until(Some('/'), true)?;
        let (replacement, _) = self.until(Some('}'), true)?;
        let value = self.value(name).map(str::to_owned);
        if value.is_none() && self.rules.keep_unset {
            return Ok(format!("${{{name}/{pattern}/{replacement}}}"));
        }
        let text = parse_pattern(&pattern)?.replace(&value.unwrap_or_default(), &replacement, all);
        if text.len() > self.rules.limit {
            return Err(ExpansionError::TooLong(self.rules.limit));
        }
        Ok(text)
    }

    /// Letters, digits and `_`; or digits alone; or one special parameter, none of which is ever set.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.rest.peek() {
            Some('0'..='9') => {
                while let Some(c) = self.rest.next_if(char::is_ascii_digit) {
                    name.push(c);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.rest.next()),
            _ => {
                while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
        }
        name
    }

    fn value(&mut self, name: &str) -> Option<&'a str> {
        let value = self.variables.value(name);
        if value.is_none() && !name.is_empty() {
            self.unset.insert(name.to_owned());
        }
        value
    }
}

fn parse_pattern(text: &str) -> Result<Pattern, ExpansionError> {
    let shown = || text.chars().take(60).collect();
    if text.chars().count() > MAX_PATTERN {
        return Err(ExpansionError::Pattern(shown(), "it is longer than 512 characters"));
    }
    Pattern::parse(text)
        .map_err(|_| ExpansionError::Pattern(shown(), "a backslash stands where it may not"))
}

#[cfg(test)]
mod tests;
