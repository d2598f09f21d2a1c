//! Source files as the rules see them: product code only, without comments, literals and test items.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One Rust file.
pub(crate) struct SourceFile {
    /// Path from the repository's root, with `/`.
    pub(crate) path: String,
    /// The text as written.
    pub(crate) text: String,
    /// The text with comments, string contents and `#[cfg(test)]` items blanked; lines keep their numbers.
    pub(crate) code: String,
}

impl SourceFile {
    /// A file from memory; the reader and the self-tests share it.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = if is_test_file(path) {
            "\n".repeat(text.lines().count())
        } else {
            blank_test_items(&blank_comments_and_literals(text))
        };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// `attest`, `builder`, `cli` or `tests`.
    pub(crate) fn house(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// The module path inside the crate: `builder/src/oci/digest.rs` → `["oci", "digest"]`, `lib.rs` → `[]`.
    pub(crate) fn module(&self) -> Vec<&str> {
        let inside = self.path.split_once("/src/").map_or("", |(_, inside)| inside);
        let mut parts: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
        if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
            parts.pop();
        }
        parts
    }

    /// The first part of the module path; `None` for the crate's root.
    pub(crate) fn room(&self) -> Option<&str> {
        self.module().first().copied()
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_owned()
}

/// Every `.rs` file below `folders`, sorted. Files that are modules of tests only keep an empty `code`.
pub(crate) fn read(folders: &[&str]) -> Vec<SourceFile> {
    let mut paths = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut paths);
    }
    paths.sort();
    let mut files: Vec<SourceFile> = paths.iter().map(|path| read_one(path)).collect();
    blank_test_modules(&mut files);
    files
}

fn read_one(path: &Path) -> SourceFile {
    let name = path.strip_prefix(root()).expect("found below the root");
    SourceFile::new(&name.to_string_lossy(), &fs::read_to_string(path).expect("readable source"))
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// A file that only tests reach, by its name.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") && path.contains("/src/")
}

/// Blanks the files behind `#[cfg(test)] mod name;`, and those that a test file takes in by `#[path]`.
fn blank_test_modules(files: &mut [SourceFile]) {
    let stems: Vec<String> = files.iter().flat_map(test_modules).collect();
    for file in files.iter_mut() {
        let inside = |stem: &String| {
            file.path
                .strip_prefix(stem.as_str())
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        if stems.iter().any(inside) {
            file.code = "\n".repeat(file.text.lines().count());
        }
    }
}

/// Paths, without `.rs`, of the modules that `file` declares for tests only.
fn test_modules(file: &SourceFile) -> Vec<String> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    if is_test_file(&file.path) {
        let attributes =
            file.text.lines().filter_map(|line| line.trim().strip_prefix("#[path = \""));
        let named = attributes.filter_map(|rest| rest.split_once(".rs\"]"));
        return named.map(|(stem, _)| format!("{folder}/{stem}")).collect();
    }
    let inside = match name {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        _ => file.path.trim_end_matches(".rs").to_owned(),
    };
    let plain = blank_comments_and_literals(&file.text);
    let declared = plain.split("#[cfg(test)]").skip(1).filter_map(|after| {
        let rest = after.trim_start().trim_start_matches("pub(crate) ").strip_prefix("mod ")?;
        rest.split_once(';').map(|(name, _)| name.trim())
    });
    let names = declared.filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'));
    names.map(|name| format!("{inside}/{name}")).collect()
}

/// Replaces comments and the contents of literals by spaces; line breaks stay.
pub(crate) fn blank_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let length = blank_length(&chars, at);
        if length == 0 {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        out.extend(chars[at..at + length].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
        at += length;
    }
    out
}

/// How many characters from `at` on belong to one comment or literal; 0 when none starts there.
fn blank_length(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => chars[at..].iter().take_while(|&&c| c != '\n').count(),
        '/' if next == Some('*') => block_comment(&chars[at..]),
        '"' => quoted(&chars[at..], '"'),
        'r' if !preceded_by_name(chars, at) => raw_string(&chars[at..]),
        '\'' if next == Some('\\') => quoted(&chars[at..], '\''),
        '\'' if chars.get(at + 2) == Some(&'\'') => 3,
        _ => 0,
    }
}

fn preceded_by_name(chars: &[char], at: usize) -> bool {
    // `br"…"` is one literal too: its `b` stays behind as a name, which no rule looks for.
    at > 0 && chars[at - 1] != 'b' && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_')
}

fn block_comment(chars: &[char]) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at.min(chars.len());
        }
    }
    chars.len()
}

fn quoted(chars: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn raw_string(chars: &[char]) -> usize {
    let hashes = chars[1..].iter().take_while(|&&c| c == '#').count();
    if chars.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let mut at = 2 + hashes;
    while at < chars.len() {
        let closes =
            chars[at] == '"' && chars[at + 1..].iter().take_while(|&&c| c == '#').count() >= hashes;
        if closes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    chars.len()
}

/// Blanks each item behind `#[cfg(test)]`: up to its closing brace or semicolon.
fn blank_test_items(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(MARK) {
        out.push_str(&rest[..start]);
        let item = &rest[start..];
        let length = MARK.len() + item_length(&item[MARK.len()..]);
        out.extend(item[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &item[length..];
    }
    out.push_str(rest);
    out
}

fn item_length(item: &str) -> usize {
    let mut depth = 0usize;
    for (at, c) in item.char_indices() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}
