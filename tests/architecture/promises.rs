//! Documents that speak of code: tests that the specification names exist, rooms of the table are on the map.

use crate::{floors, source::SourceFile};

/// Tests that `docs/specification.md` names as `file::test` or `file` and that `tests/e2e` does not have.
pub(crate) fn named_but_missing(specification: &str, tests: &[SourceFile]) -> Vec<String> {
    let has_file =
        |name: &str| tests.iter().find(|file| file.path == format!("tests/e2e/{name}.rs"));
    let mut found = Vec::new();
    for row in specification.lines().filter(|line| line.starts_with("| ")) {
        let Some(proof) = row.trim_end_matches(" |").rsplit(" | ").next() else { continue };
        for name in proof.split('`').skip(1).step_by(2).filter(|name| !name.contains(['/', '.'])) {
            let missing = match name.split_once("::") {
                Some((file, test)) => {
                    has_file(file).map(|file| !file.text.contains(&format!("fn {test}()")))
                }
                None => has_file(name).map(|_| false),
            };
            // A name that is no end-to-end file speaks of unit tests, which move freely.
            if missing.unwrap_or(name.contains("::") && !is_room(name)) {
                found.push(format!(
                    "docs/specification.md: names {name}, which is not in tests/e2e"
                ));
            }
        }
    }
    found
}

fn is_room(name: &str) -> bool {
    let first = name.split("::").next().unwrap_or_default();
    rooms().any(|room| room == first)
}

fn rooms() -> impl Iterator<Item = &'static str> {
    floors::BUILDER.iter().chain(floors::ATTEST).flat_map(|floor| floor.rooms.iter().copied())
}

/// Rooms of the table that `docs/architecture.md` does not show.
pub(crate) fn missing_on_the_map(architecture: &str) -> Vec<String> {
    let words: Vec<&str> = architecture.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let missing = rooms().filter(|room| !words.contains(room));
    missing.map(|room| format!("docs/architecture.md: room '{room}' is not on the map")).collect()
}
