//! One path pattern and its matcher: Go's `filepath.Match` for COPY sources, and Docker's ignore
//! language, which adds `**`. The matcher steps a set of positions over the path, so its time is
//! length of path × length of pattern for every input; a pattern cannot make a build hang.

use super::error::SourceError;

/// One element of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// This character.
    Literal(char),
    /// `?`: one character but `/`.
    One,
    /// `*`: any run without `/`.
    Run,
    /// `[a-z]`, `[^a-z]`.
    Class { negated: bool, ranges: Vec<(char, char)> },
    /// `**` before more: nothing, or any run that ends in `/`.
    Folders,
    /// `**` at the end: anything.
    Rest,
}

/// How the pattern is compared, in the order in which Docker's matcher prefers the forms.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// A path without wildcards.
    Exact,
    /// `**/name` or `**name`: the end of the path.
    Suffix(String),
    /// Everything else.
    Tokens(Vec<Token>),
}

/// A compiled pattern for slash-separated paths without a leading slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    form: Form,
}

impl Pattern {
    /// A pattern of Go's `filepath.Match`: `*`, `?`, `[…]`, backslash escapes.
    ///
    /// # Errors
    /// When a class is not closed, is empty, or the text ends in a backslash.
    pub fn glob(text: &str) -> Result<Self, SourceError> {
        let tokens = tokenize(text, false)?;
        Ok(Self { text: text.into(), form: Form::Tokens(tokens) })
    }

    /// A pattern of an ignore file, already cleaned (no leading slash, no `!`).
    ///
    /// # Errors
    /// As [`Pattern::glob`].
    pub fn ignore(text: &str) -> Result<Self, SourceError> {
        let tokens = tokenize(text, true)?;
        let suffix = text.strip_prefix("**").filter(|rest| !has_wildcard(rest));
        let form = match suffix {
            // `**name` ends a path anywhere, as Docker compares it, `**/name` at a name's border.
            Some(rest) => Form::Suffix(rest.to_owned()),
            None if !has_wildcard(text) && !text.contains('\\') => Form::Exact,
            None => Form::Tokens(tokens),
        };
        Ok(Self { text: text.into(), form })
    }

    /// The text that the pattern was made from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Does the pattern match this whole path?
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match &self.form {
            Form::Exact => path == self.text,
            Form::Suffix(suffix) => {
                path.ends_with(suffix.as_str()) || suffix.strip_prefix('/') == Some(path)
            }
            Form::Tokens(tokens) => run(tokens, path),
        }
    }

    /// Can the pattern match anything below the folder `path`? Errs on the side of yes.
    #[must_use]
    pub fn may_match_below(&self, path: &str) -> bool {
        let literal = self.text.split('/').take_while(|name| !has_wildcard(name));
        let same = literal.clone().zip(path.split('/')).all(|(a, b)| a == b || a.contains('\\'));
        let whole = literal.count() == self.text.split('/').count();
        let deeper = self.text.split('/').count() > path.split('/').count();
        same && (deeper || !whole)
    }
}

/// Does the text hold an unescaped `*`, `?` or `[`?
#[must_use]
pub fn has_wildcard(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

fn tokenize(text: &str, folders: bool) -> Result<Vec<Token>, SourceError> {
    let bad = |reason| SourceError::BadPattern { pattern: text.into(), reason };
    let mut chars = text.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' if folders && chars.next_if_eq(&'*').is_some() => {
                chars.next_if_eq(&'/');
                if chars.peek().is_none() { Token::Rest } else { Token::Folders }
            }
            '*' => Token::Run,
            '?' => Token::One,
            '[' => class(&mut chars).map_err(bad)?,
            '\\' => Token::Literal(chars.next().ok_or_else(|| bad("it ends in a backslash"))?),
            other => Token::Literal(other),
        });
    }
    Ok(tokens)
}

/// The rest of a class after its `[`.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "a '[' is not closed";
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let low = match chars.next().ok_or(OPEN)? {
            ']' if !ranges.is_empty() => break,
            ']' | '-' => return Err("a class is empty, or '-' or ']' in it is not escaped"),
            '\\' => chars.next().ok_or(OPEN)?,
            other => other,
        };
        let high = match chars.next_if_eq(&'-') {
            Some(_) => match chars.next() {
                Some('\\') => chars.next().ok_or(OPEN)?,
                Some(']' | '-') => return Err("a range in a class has no end"),
                other => other.ok_or(OPEN)?,
            },
            None => low,
        };
        ranges.push((low, high));
    }
    Ok(Token::Class { negated, ranges })
}

/// Runs the tokens as a set of positions. Position `2i` stands before token `i`; `2i + 1` inside the
/// run of a [`Token::Folders`], which only a `/` leaves.
fn run(tokens: &[Token], path: &str) -> bool {
    let end = tokens.len() * 2;
    let mut now = vec![false; end + 1];
    add(tokens, &mut now, 0);
    for c in path.chars() {
        let mut next = vec![false; end + 1];
        for (index, token) in tokens.iter().enumerate() {
            if now[index * 2] {
                step(tokens, &mut next, index, token, c);
            }
            if now[index * 2 + 1] {
                next[index * 2 + 1] = true;
                if c == '/' {
                    add(tokens, &mut next, index + 1);
                }
            }
        }
        if !next.contains(&true) {
            return false;
        }
        now = next;
    }
    now[end]
}

fn step(tokens: &[Token], next: &mut [bool], index: usize, token: &Token, c: char) {
    match token {
        Token::Literal(literal) if *literal == c => add(tokens, next, index + 1),
        Token::One if c != '/' => add(tokens, next, index + 1),
        Token::Run if c != '/' => add(tokens, next, index),
        Token::Rest => add(tokens, next, index),
        Token::Class { negated, ranges }
            if ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated =>
        {
            add(tokens, next, index + 1);
        }
        _ => {}
    }
}

/// Adds the position before token `index` and all that can be reached from it without a character.
fn add(tokens: &[Token], set: &mut [bool], index: usize) {
    let mut index = index;
    loop {
        if set[index * 2] {
            return;
        }
        set[index * 2] = true;
        match tokens.get(index) {
            Some(Token::Run | Token::Rest) => {}
            Some(Token::Folders) => set[index * 2 + 1] = true,
            _ => return,
        }
        index += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_those_of_filepath_match() {
        for (pattern, path, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("ab[c]", "abc", true),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a?b", "a/b", false),
            ("arr[[]0].txt", "arr[0].txt", true),
            ("**", "a/b", false),
            ("[\\-x]", "-", true),
        ] {
            assert_eq!(Pattern::glob(pattern).unwrap().matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn ignore_patterns_know_folders_at_any_depth() {
        for (pattern, path, expected) in [
            ("**", "a/b", true),
            ("**/foo", "foo", true),
            ("**/foo", "a/b/foo", true),
            ("**/foo", "a/xfoo", false),
            ("**foo", "a/xfoo", true),
            ("a/**", "a", false),
            ("a/**", "a/b/c", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/xb", false),
            ("**/*.o", "x.o", true),
            ("**/*.o", "d/e/x.o", true),
            ("*.o", "d/x.o", false),
            ("**/a/**/*.c", "z/a/y/x/w.c", true),
            ("doc?", "docs", true),
            ("a.c", "abc", false),
            ("a+(b)|{c}$", "a+(b)|{c}$", true),
        ] {
            let matched = Pattern::ignore(pattern).unwrap().matches(path);
            assert_eq!(matched, expected, "{pattern} {path}");
        }
    }

    #[test]
    fn broken_patterns_are_refused_with_their_text() {
        for (pattern, reason) in [
            ("a[", "a '[' is not closed"),
            ("[]a]", "a class is empty, or '-' or ']' in it is not escaped"),
            ("[a-]", "a range in a class has no end"),
            ("a\\", "it ends in a backslash"),
        ] {
            assert_eq!(
                Pattern::glob(pattern).unwrap_err().to_string(),
                format!("the pattern '{pattern}' cannot be read: {reason}")
            );
        }
    }

    #[test]
    fn time_stays_linear_in_the_path() {
        let pattern = Pattern::ignore(&"**/*a".repeat(60)).unwrap();
        let path = "a/".repeat(20_000);
        let start = std::time::Instant::now();
        assert!(!pattern.matches(&path));
        assert!(start.elapsed().as_secs() < 5);
    }

    #[test]
    fn below_is_ruled_out_by_literal_names_only() {
        for (pattern, folder, expected) in [
            ("a/b/c", "a", true),
            ("a/b/c", "a/b", true),
            ("a/b/c", "x", false),
            ("a/b", "a/b", false),
            ("**/c", "x/y", true),
            ("a/*/c", "a/q", true),
            ("a/*/c", "b/q", false),
            ("a*/c", "abc", true),
        ] {
            let pattern = Pattern::ignore(pattern).unwrap();
            assert_eq!(pattern.may_match_below(folder), expected, "{pattern:?} {folder}");
        }
    }
}
