//! Typed reading of one table of the policy file, with a fault for each key that is unknown or has
//! the wrong type.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::fault::{Faults, nearest};

/// A table of the file and the name by which messages call it.
#[derive(Debug)]
pub(super) struct Section<'a> {
    name: String,
    table: &'a DeTable<'a>,
    span: Range<usize>,
}

/// A text with its place in the file.
#[derive(Debug, Clone)]
pub(super) struct Text<'a> {
    pub(super) value: &'a str,
    pub(super) span: Range<usize>,
}

impl<'a> Section<'a> {
    pub(super) fn new(name: &str, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self { name: name.into(), table: table.get_ref(), span: table.span() }
    }

    /// Where the table stands.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Every key that is not one of `known` is a fault, with the nearest known one as the help.
    pub(super) fn only(&self, known: &[&str], faults: &mut Faults<'_>) {
        for key in self.table.keys() {
            let word: &str = key.get_ref();
            if !known.contains(&word) {
                let help = match nearest(word, known) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("known here: {}", known.join(", ")),
                };
                faults.add(key.span(), format!("unknown key '{word}' in {}", self.name), help);
            }
        }
    }

    /// The keys with their places.
    pub(super) fn keys(&self) -> impl Iterator<Item = Text<'a>> {
        self.table.keys().map(|key| Text { value: key.get_ref(), span: key.span() })
    }

    pub(super) fn text(&self, key: &str, faults: &mut Faults<'_>) -> Option<Text<'a>> {
        let value = self.table.get(key)?;
        text(value).or_else(|| wrong(key, value, "a text in quotes", faults))
    }

    /// A text that has to be there; its absence is a fault of the table.
    pub(super) fn required(&self, key: &str, faults: &mut Faults<'_>) -> Option<Text<'a>> {
        if !self.table.contains_key(key) {
            let message = format!("{} has no '{key}'", self.name);
            faults.add(self.span(), message, format!("add {key} = \"…\" to it"));
        }
        self.text(key, faults)
    }

    pub(super) fn flag(&self, key: &str, faults: &mut Faults<'_>) -> Option<bool> {
        let value = self.table.get(key)?;
        value.get_ref().as_bool().or_else(|| wrong(key, value, "true or false", faults))
    }

    /// A whole number from 1.
    pub(super) fn count(&self, key: &str, faults: &mut Faults<'_>) -> Option<u64> {
        let value = self.table.get(key)?;
        let number = value.get_ref().as_integer();
        number
            .and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok())
            .filter(|n| *n > 0)
            .or_else(|| wrong(key, value, "a whole number from 1", faults))
    }

    pub(super) fn texts(&self, key: &str, faults: &mut Faults<'_>) -> Option<Vec<Text<'a>>> {
        let value = self.table.get(key)?;
        let items = value.get_ref().as_array();
        let texts = items.and_then(|items| items.iter().map(text).collect());
        texts.or_else(|| wrong(key, value, "a list of texts, as in [\"a\", \"b\"]", faults))
    }

    /// One of the words in `choices`.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        choices: &[(&str, T)],
        faults: &mut Faults<'_>,
    ) -> Option<T> {
        let word = self.text(key, faults)?;
        let found = choices.iter().find(|(name, _)| *name == word.value);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let message = format!("'{}' is not a value of '{key}'", word.value);
            faults.add(word.span, message, format!("write one of: {}", names.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// The table under `key`.
    pub(super) fn section(&self, key: &str, faults: &mut Faults<'_>) -> Option<Section<'a>> {
        let value = self.table.get(key)?;
        let name = match self.name.as_str() {
            "the policy" => format!("[{key}]"),
            outer => format!("[{}.{key}]", outer.trim_matches(['[', ']'])),
        };
        let table = value.get_ref().as_table();
        table
            .map(|table| Section { name, table, span: value.span() })
            .or_else(|| wrong(key, value, "a table", faults))
    }

    /// The tables of an array of tables, `[[section.key]]`.
    pub(super) fn sections(&self, key: &str, faults: &mut Faults<'_>) -> Vec<Section<'a>> {
        let Some(value) = self.table.get(key) else { return Vec::new() };
        let name = match self.name.as_str() {
            "the policy" => format!("[[{key}]]"),
            outer => format!("[[{}.{key}]]", outer.trim_matches(['[', ']'])),
        };
        let items: Option<Vec<Section<'a>>> = value.get_ref().as_array().and_then(|items| {
            let section = |item: &'a Spanned<DeValue<'a>>| {
                let table = item.get_ref().as_table()?;
                Some(Section { name: name.clone(), table, span: item.span() })
            };
            items.iter().map(section).collect()
        });
        let tables = format!("written as {name}");
        items.or_else(|| wrong(key, value, &tables, faults)).unwrap_or_default()
    }
}

fn text<'a>(value: &'a Spanned<DeValue<'a>>) -> Option<Text<'a>> {
    value.get_ref().as_str().map(|text| Text { value: text, span: value.span() })
}

fn wrong<T>(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    wanted: &str,
    faults: &mut Faults<'_>,
) -> Option<T> {
    let found = match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    let message = format!("'{key}' is {wanted}, here it is {found}");
    faults.add(value.span(), message, format!("write {key} as {wanted}"));
    None
}
