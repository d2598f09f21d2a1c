//! Cargo's sparse index: one JSON object for each version of a crate, a line each.

use serde::Deserialize;

use super::{
    digest_of::{Algorithm, Hash},
    statement::{About, Statement},
};

#[derive(Deserialize)]
struct Line {
    name: String,
    vers: String,
    cksum: String,
}

/// Tells `tell` the hash of each version. Where its file is, the registry's configuration says; the two ways of
/// writing its address that there are name crate and version at the end.
pub(super) fn read(text: &str, tell: &mut dyn FnMut(Statement)) {
    for line in text.lines() {
        let Ok(Line { name, vers, cksum }) = serde_json::from_str(line) else { continue };
        let Some(hash) = Hash::hex(Algorithm::Sha256, &cksum) else { continue };
        for end in [format!("/{name}/{vers}/download"), format!("/{name}/{name}-{vers}.crate")] {
            tell(Statement { about: About::PathEnd(end), hash: hash.clone() });
        }
    }
}

/// Is this the path of a crate's file in the index: its name below directories of its first letters?
pub(super) fn is_index(segments: &[&str]) -> bool {
    let Some(name) = segments.last().map(|name| name.to_ascii_lowercase()) else { return false };
    let Some(above) = segments.len().checked_sub(2).map(|at| segments[at].to_ascii_lowercase())
    else {
        return false;
    };
    let first = segments.len().checked_sub(3).map(|at| segments[at].to_ascii_lowercase());
    match name.len() {
        0 => false,
        length @ 1..=2 => above == length.to_string(),
        3 => name.get(..1) == Some(above.as_str()) && first.as_deref() == Some("3"),
        _ => name.get(2..4) == Some(above.as_str()) && name.get(..2) == first.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_states_the_hash_of_a_version() {
        let a = "aa".repeat(32);
        let text = format!(
            "{{\"name\":\"left-pad\",\"vers\":\"1.0.0+b\",\"deps\":[],\"cksum\":\"{a}\",\"yanked\":false}}\n\nodd\n"
        );
        let mut all = Vec::new();
        read(&text, &mut |statement| all.push(statement));
        assert_eq!(all.len(), 2);
        assert!(all[0].about.names("https://s.example/crates/left-pad/1.0.0%2Bb/download"));
        assert!(all[1].about.names("https://s.example/crates/left-pad/left-pad-1.0.0+b.crate?x"));
        assert!(!all[1].about.names("https://s.example/other/left-pad-1.0.0+b.crate"));
    }

    #[test]
    fn the_index_has_a_fixed_layout() {
        let is = |path: &str| is_index(&path.split('/').collect::<Vec<_>>());
        for path in ["1/a", "2/ab", "3/a/abc", "ab/cd/abcd", "le/ft/left-pad", "x/Le/ft/Left-Pad"] {
            assert!(is(path), "{path}");
        }
        for path in ["a", "", "1/ab", "4/a/abc", "ab/ce/abcd", "b/abcd", "3/b/abc"] {
            assert!(!is(path), "{path}");
        }
    }
}
