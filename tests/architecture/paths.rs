//! The paths that a file names: `use` trees spread out, and `a::b::c` wherever it stands in code.

use crate::source::SourceFile;

/// A path with the line where it begins (from 1).
pub(crate) struct NamedPath {
    /// Line number, from 1.
    pub(crate) line: usize,
    /// The segments; a leading `super` chain is already resolved to `crate::…`.
    pub(crate) segments: Vec<String>,
}

impl NamedPath {
    /// Whether the path begins with `prefix`, given as `std::fs`.
    pub(crate) fn starts_with(&self, prefix: &str) -> bool {
        let mut segments = self.segments.iter();
        prefix.split("::").all(|wanted| segments.next().is_some_and(|segment| segment == wanted))
    }

    /// The path as text.
    pub(crate) fn text(&self) -> String {
        self.segments.join("::")
    }
}

#[derive(Clone, PartialEq)]
enum Token {
    Name(String),
    Colons,
    Sign(char),
}

/// Every path of `file`, in order.
pub(crate) fn named(file: &SourceFile) -> Vec<NamedPath> {
    let tokens = tokens(&file.code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let (line, token) = &tokens[at];
        match token {
            Token::Name(word) if word == "use" => {
                at = use_tree(&tokens, at + 1, &[], &mut found);
            }
            Token::Name(word) if tokens.get(at + 1).is_some_and(|(_, t)| *t == Token::Colons) => {
                let mut segments = vec![word.clone()];
                at += 1;
                while let (Some((_, Token::Colons)), Some((_, Token::Name(next)))) =
                    (tokens.get(at), tokens.get(at + 1))
                {
                    segments.push(next.clone());
                    at += 2;
                }
                found.push(NamedPath { line: *line, segments });
            }
            _ => at += 1,
        }
    }
    for path in &mut found {
        resolve_super(&mut path.segments, &file.module());
    }
    found
}

/// Reads one tree of a `use`, returns the index behind it.
fn use_tree(
    tokens: &[(usize, Token)],
    from: usize,
    prefix: &[String],
    found: &mut Vec<NamedPath>,
) -> usize {
    let mut at = from;
    let mut segments = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |(line, _)| *line);
    while let Some((_, token)) = tokens.get(at) {
        match token {
            Token::Name(word) if word == "as" => at += 2,
            Token::Name(word) => {
                segments.push(word.clone());
                at += 1;
            }
            Token::Colons => at += 1,
            Token::Sign('*') => at += 1,
            Token::Sign('{') => {
                at += 1;
                while tokens.get(at).is_some_and(|(_, t)| *t != Token::Sign('}')) {
                    at = use_tree(tokens, at, &segments, found);
                    if tokens.get(at).is_some_and(|(_, t)| *t == Token::Sign(',')) {
                        at += 1;
                    }
                }
                return at + 1;
            }
            Token::Sign(_) => break,
        }
    }
    found.push(NamedPath { line, segments });
    // A sign that cannot be in a tree is skipped, so that no text makes the reader stand still.
    if at == from { at + 1 } else { at }
}

/// `super::super::x` in module `a::b` is `crate::x`; `self::x` is `crate::a::b::x`.
fn resolve_super(segments: &mut Vec<String>, module: &[&str]) {
    let ups = segments.iter().take_while(|s| *s == "super").count();
    let own = usize::from(segments.first().is_some_and(|s| s == "self"));
    if ups + own == 0 || ups > module.len() {
        return;
    }
    let mut absolute = vec!["crate".to_owned()];
    absolute.extend(module[..module.len() - ups].iter().map(|&part| part.to_owned()));
    absolute.extend(segments.drain(..).skip(ups + own));
    *segments = absolute;
}

fn tokens(code: &str) -> Vec<(usize, Token)> {
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if first.is_alphanumeric() || first == '_' {
                let length =
                    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                found.push((number + 1, Token::Name(rest[..length].to_owned())));
                length
            } else if rest.starts_with("::") {
                found.push((number + 1, Token::Colons));
                2
            } else {
                found.push((number + 1, Token::Sign(first)));
                first.len_utf8()
            };
            rest = rest[length..].trim_start();
        }
    }
    found
}
