//! The differences between two records, one line each.

use std::collections::BTreeSet;

use serde_json::Value;

/// What `ours` has otherwise than `peers`. Empty when they agree. Two refusals agree, whatever their words.
#[must_use]
pub fn differences(peers: &Value, ours: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match (peers.get("refused"), ours.get("refused")) {
        (Some(_), Some(_)) => {}
        (Some(words), None) => found.push(format!("BuildKit refuses this: {words}")),
        (None, Some(words)) => found.push(format!("only touchmark refuses this: {words}")),
        (None, None) => compare("", peers, ours, &mut found),
    }
    found
}

fn compare(place: &str, peers: &Value, ours: &Value, found: &mut Vec<String>) {
    match (peers, ours) {
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for name in names {
                let place = format!("{place}/{name}");
                match (one.get(name), other.get(name)) {
                    (Some(one), Some(other)) => compare(&place, one, other, found),
                    (Some(one), None) => found.push(format!("{place}: only BuildKit has {one}")),
                    (None, Some(other)) => {
                        found.push(format!("{place}: only touchmark has {other}"));
                    }
                    (None, None) => {}
                }
            }
            let order = |value: &serde_json::Map<String, Value>| -> Vec<String> {
                let keys =
                    value.keys().filter(|key| one.contains_key(*key) && other.contains_key(*key));
                keys.cloned().collect()
            };
            if order(one) != order(other) {
                found.push(format!(
                    "{place}: BuildKit's order {:?}, touchmark's {:?}",
                    order(one),
                    order(other)
                ));
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (number, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{place}/{number}"), one, other, found);
            }
        }
        (one, other) if one != other => {
            found.push(format!("{place}:\n    BuildKit   {one}\n    touchmark  {other}"));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::differences;

    #[test]
    fn everything_that_differs_is_told_once() {
        let peers =
            json!({"files": {"a": "file", "b": "dir"}, "history": [1], "config": {"x": 1, "y": 2}});
        assert_eq!(differences(&peers, &peers), Vec::<String>::new());
        let ours =
            json!({"files": {"a": "link", "c": "dir"}, "history": [], "config": {"y": 2, "x": 1}});
        let told = differences(&peers, &ours);
        assert_eq!(told.len(), 5, "{told:#?}");
        assert!(told[0].contains("order [\"x\", \"y\"], touchmark's [\"y\", \"x\"]"), "{told:#?}");
    }

    #[test]
    fn two_refusals_agree() {
        let refused = json!({"refused": "no"});
        assert!(differences(&refused, &json!({"refused": "not so"})).is_empty());
        assert_eq!(differences(&refused, &json!({"files": {}})).len(), 1);
        assert_eq!(differences(&json!({"files": {}}), &refused).len(), 1);
    }
}
