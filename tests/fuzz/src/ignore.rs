//! Any text is an ignore file or an error. Its last line is a path that is asked for: what is hidden as
//! a folder hides what is in it, unless an exception could say otherwise.

use touchmark_builder::source::{
    ignore::Ignore,
    pattern::{Pattern, has_wildcard},
};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (rules, path) = text.rsplit_once('\n').unwrap_or((text, "a/b"));
    match Ignore::parse(rules, ".dockerignore") {
        Ok(ignore) => {
            let below = format!("{path}/below");
            if !rules.contains('!') && !path.is_empty() && ignore.hides(path) {
                assert!(ignore.hides(&below), "{path:?} is hidden, what is in it is not");
            }
        }
        Err(error) => drop(error.to_string()),
    }
    for line in rules.lines() {
        if let Ok(pattern) = Pattern::glob(line) {
            let found = pattern.matches(path);
            if !has_wildcard(line) && !line.contains('\\') {
                assert_eq!(found, line == path);
            }
        }
    }
}
