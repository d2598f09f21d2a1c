//! The table of docs/compatibility.md.

use std::collections::BTreeMap;

use super::case::Case;

/// The document, from the cases and those that differ.
#[must_use]
pub fn document(peer: &str, cases: &[Case]) -> String {
    let mut categories: BTreeMap<&str, (usize, Vec<&Case>)> = BTreeMap::new();
    for case in cases {
        let category = categories.entry(&case.category).or_default();
        category.0 += 1;
        if case.agreed_difference().is_some() {
            category.1.push(case);
        }
    }
    let mut text = format!("{}\n", HEAD.replace("PEER", peer).trim_start());
    text.push_str("| category | agree | of |\n|---|---|---|\n");
    let (mut agree, mut all) = (0, 0);
    for (name, (count, differ)) in &categories {
        let same = count - differ.len();
        text.push_str(&format!("| {name} | {same} | {count} |\n"));
        (agree, all) = (agree + same, all + count);
    }
    text.push_str(&format!("| **all** | **{agree}** | **{all}** |\n"));
    text.push_str("\n## Differences left\n\n");
    if agree == all {
        text.push_str("None.\n");
    }
    for case in categories.values().flat_map(|(_, differ)| differ) {
        let why = case.agreed_difference().unwrap_or_default();
        text.push_str(&format!("- `{}`: {}\n", case.title(), why.replace('\n', " ")));
    }
    text
}

const HEAD: &str = "
# Compatibility with BuildKit

Generated from `tests/differential/cases` by the test `differential`; `UPDATE_GOLDEN=1` writes it anew.

Each case is a Dockerfile with its context. It is built with `--harden off`, and what comes out is compared with what
BuildKit (PEER) made of it, kept as `peer.json` in the case: the flattened root file system relative to the base image
(path, type, mode, owner, time, size, digest, link target, device, hard links, extended attributes), the names in every
layer with whiteouts, the configuration and the order of its fields, the history with `empty_layer`; or that it is
refused. Both build with the same `SOURCE_DATE_EPOCH`, and BuildKit with `rewrite-timestamp=true`: times that a tool
sets by itself are the epoch then, and all others are compared. Not compared: digests of layers (they depend on the
compressor) and the words of a refusal.
";
