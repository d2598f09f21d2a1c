//! Any word expands or is refused, within its bound. The first line is a variable's value.

use std::collections::BTreeMap;

use touchmark_builder::dockerfile::expansion::Expander;

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (value, word) = text.split_once('\n').unwrap_or(("", text));
    let variables: BTreeMap<String, String> =
        [("a".to_owned(), value.to_owned()), ("b".to_owned(), String::new())].into();
    for escape in ['\\', '`'] {
        let mut plain = Expander::new(escape);
        plain.limit = 4096;
        let mut kept = plain;
        (kept.keep_quotes, kept.keep_escapes, kept.keep_unset) = (true, true, true);
        for expander in [plain, kept, Expander { limit: 4096, ..Expander::heredoc() }] {
            match expander.expand(word, &variables) {
                Ok(expanded) => assert!(expanded.text.len() <= expander.limit.max(word.len())),
                Err(error) => drop(error.to_string()),
            }
        }
    }
}
