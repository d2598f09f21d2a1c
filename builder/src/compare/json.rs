//! The first field in which two JSON documents differ.

use std::collections::BTreeSet;

use serde_json::Value;

/// Longer values are cut.
const SHOWN: usize = 200;

/// The path of the field with both values, as JSON; an absent one is empty.
pub(super) fn first(old: &Value, new: &Value) -> Option<(String, String, String)> {
    difference(String::new(), Some(old), Some(new))
}

fn difference(
    path: String,
    old: Option<&Value>,
    new: Option<&Value>,
) -> Option<(String, String, String)> {
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            keys.into_iter().find_map(|key| {
                let dot = if path.is_empty() { "" } else { "." };
                difference(format!("{path}{dot}{key}"), old.get(key), new.get(key))
            })
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => (0..old.len().max(new.len()))
            .find_map(|at| difference(format!("{path}[{at}]"), old.get(at), new.get(at))),
        (old, new) if old == new => None,
        (old, new) => Some((path, shown(old), shown(new))),
    }
}

fn shown(value: Option<&Value>) -> String {
    let text = value.map(Value::to_string).unwrap_or_default();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
