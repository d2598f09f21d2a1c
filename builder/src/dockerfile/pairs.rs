//! ENV, LABEL and ARG: lists of `name=value`.

use super::{
    instruction::{Argument, Kind, Pair},
    statement::Statement,
    word::Word,
};

pub(super) fn env(statement: &mut Statement<'_>) -> Option<Kind> {
    pairs(statement, "ENV NAME=value").map(Kind::Env)
}

pub(super) fn label(statement: &mut Statement<'_>) -> Option<Kind> {
    pairs(statement, "LABEL name=value").map(Kind::Label)
}

/// `name=value …`, or the old form `name value`, which one word without `=` at the front marks.
fn pairs(statement: &mut Statement<'_>, example: &str) -> Option<Vec<Pair>> {
    statement.flags(&[]);
    let name = statement.name();
    let words = statement.quoted_words();
    let Some(first) = words.first() else {
        let message = format!("{name} needs at least one name and value");
        statement.fault_here(message, &format!("write for example: {example}"));
        return None;
    };
    if !first.text.contains('=') {
        return legacy(statement, first, example).map(|pair| vec![pair]);
    }
    let mut pairs = Vec::new();
    for word in &words {
        match word.text.split_once('=') {
            Some(("", _)) => blank(statement, word),
            Some((name, value)) => pairs.push(Pair {
                name: name.into(),
                value: value.into(),
                legacy: false,
                span: statement.span(&word.range),
            }),
            None => {
                let message = format!("'{}' is no name=value", shown(&word.text));
                let help = "put a value that holds blanks in double quotes";
                statement.fault(&word.range, message, help);
            }
        }
    }
    Some(pairs)
}

fn legacy(statement: &mut Statement<'_>, first: &Word, example: &str) -> Option<Pair> {
    let rest = statement.rest();
    // The old form is cut at the first blank, even inside quotes.
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}');
    let Some((name, value)) = rest.split_once(is_blank) else {
        let message = format!("{} needs a value for '{}'", statement.name(), shown(&first.text));
        statement.fault(&first.range, message, &format!("write for example: {example}"));
        return None;
    };
    let value = value.trim_start_matches(is_blank).to_owned();
    let span = statement.span(&statement.arguments);
    Some(Pair { name: name.into(), value, legacy: true, span })
}

fn blank(statement: &mut Statement<'_>, word: &Word) {
    let message = format!("a name of {} is empty", statement.name());
    statement.fault(&word.range, message, "write a name before the '='");
}

pub(super) fn arg(statement: &mut Statement<'_>) -> Option<Kind> {
    statement.flags(&[]);
    let words = statement.quoted_words();
    if words.is_empty() {
        let help = "write for example: ARG VERSION=1.0";
        statement.fault_here("ARG needs at least one name".into(), help);
        return None;
    }
    let mut arguments = Vec::new();
    for word in &words {
        let (name, default) = match word.text.split_once('=') {
            Some(("", _)) => {
                blank(statement, word);
                continue;
            }
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (word.text.as_str(), None),
        };
        let span = statement.span(&word.range);
        arguments.push(Argument { name: name.into(), default, span });
    }
    Some(Kind::Arg(arguments))
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}
