//! Size and names of files, and the manners of lint exceptions. Functions are clippy's `too_many_lines`.

use crate::source::SourceFile;

/// The longest file that is still one idea.
const LONGEST: usize = 400;

/// Names that say nothing about the idea inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "types", "misc"];

/// Files over the limit.
pub(crate) fn too_long(files: &[SourceFile]) -> Vec<String> {
    let counted = files.iter().map(|file| (file, file.text.lines().count()));
    let long = counted.filter(|(_, lines)| *lines > LONGEST);
    long.map(|(file, lines)| {
        format!("{}: {lines} lines, at most {LONGEST}: split it by noun", file.path)
    })
    .collect()
}

/// Files whose name could hold anything.
pub(crate) fn names_without_an_idea(files: &[SourceFile]) -> Vec<String> {
    let empty = |part: &str| {
        let stem = part.trim_end_matches(".rs");
        EMPTY_NAMES.contains(&stem) || stem.ends_with("_helpers") || stem.ends_with("_utils")
    };
    let guilty = files.iter().filter(|file| file.path.split('/').any(empty));
    guilty.map(|file| format!("{}: name it after its main type", file.path)).collect()
}

/// `#[allow(…)]` and `#[expect(…)]` without `reason = "…"`.
pub(crate) fn exceptions_without_reason(files: &[SourceFile]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for opening in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
            for (at, _) in file.code.match_indices(opening) {
                let attribute = file.code[at..].split(']').next().unwrap_or_default();
                if !attribute.contains("reason") {
                    let line = file.code[..at].matches('\n').count() + 1;
                    found.push(format!("{}:{line}: {opening}…) gives no reason", file.path));
                }
            }
        }
    }
    found
}
