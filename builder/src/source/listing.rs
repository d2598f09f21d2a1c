//! The files that a COPY takes, in few words: enough to name those that changed since an earlier build.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use super::path::text;
use crate::oci::digest::{Digest, Hashing};

/// Lines that are kept; a longer list becomes one of folders.
const MAX_LINES: usize = 1000;
/// Hexadecimal digits of a digest that are kept and shown.
const DIGITS: usize = 12;

/// Files by path below the context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing(BTreeMap<String, Listed>);

/// What is known of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    /// Permission bits; none for the files of a folder together.
    mode: Option<u32>,
    /// The beginning of a digest.
    content: String,
}

/// A difference between two lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChange {
    /// Another content: path, and the beginnings of both digests.
    Content(String, String, String),
    /// Another mode: path, and both modes.
    Mode(String, u32, u32),
    /// Was not there.
    New(String),
    /// Is not there any more.
    Gone(String),
    /// Files in this folder.
    Folder(String),
}

impl Listing {
    /// Adds a file, a link or a folder.
    pub(super) fn add(&mut self, path: &Path, mode: u32, content: &Digest) {
        let content = short(content);
        self.0.insert(text(path).into_owned(), Listed { mode: Some(mode), content });
    }

    /// Adds those of another list.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// As text, a line for each file; of very many, a line for each folder.
    #[must_use]
    pub fn to_text(&self) -> String {
        let folders = (1..=8).rev().map(|depth| self.folders(depth));
        let lists = std::iter::once(self.clone()).chain(folders);
        let fitting = lists.into_iter().find(|list| list.0.len() <= MAX_LINES).unwrap_or_default();
        let mut out = String::new();
        for (path, Listed { mode, content }) in &fitting.0 {
            // No name has a line break in it that would be mistaken for one.
            let path = path.replace('\n', "?");
            let _ = match mode {
                Some(mode) => writeln!(out, "{mode:o} {content} {path}"),
                None => writeln!(out, "- {content} {path}"),
            };
        }
        out
    }

    /// Reads what [`Listing::to_text`] wrote; lines that are none are left out.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let line = |line: &str| {
            let mut words = line.splitn(3, ' ');
            let mode = match words.next()? {
                "-" => None,
                mode => Some(u32::from_str_radix(mode, 8).ok()?),
            };
            let content = words.next()?.to_owned();
            Some((words.next()?.to_owned(), Listed { mode, content }))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// What is different in `now`, in the order of paths.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Vec<FileChange> {
        let mut changes = Vec::new();
        let paths: std::collections::BTreeSet<&String> =
            self.0.keys().chain(now.0.keys()).collect();
        for path in paths {
            let name = || path.clone();
            changes.extend(match (self.0.get(path), now.0.get(path)) {
                (Some(a), Some(b)) if a == b => None,
                (Some(Listed { mode: None, .. }), _) | (_, Some(Listed { mode: None, .. })) => {
                    Some(FileChange::Folder(name()))
                }
                (Some(a), Some(b)) if a.content == b.content => {
                    a.mode.zip(b.mode).map(|(a, b)| FileChange::Mode(name(), a, b))
                }
                (Some(a), Some(b)) => {
                    Some(FileChange::Content(name(), a.content.clone(), b.content.clone()))
                }
                (None, Some(_)) => Some(FileChange::New(name())),
                (Some(_), None) => Some(FileChange::Gone(name())),
                (None, None) => None,
            });
        }
        changes
    }

    /// The folders down to this depth, each with the digest of what is in it.
    fn folders(&self, depth: usize) -> Self {
        let mut folders: BTreeMap<String, Hashing<std::io::Sink>> = BTreeMap::new();
        for (path, Listed { mode, content }) in &self.0 {
            let parts: Vec<&str> = path.split('/').collect();
            let kept = parts.len().saturating_sub(1).min(depth);
            let folder = parts[..kept].join("/");
            let hashing = folders.entry(folder).or_insert_with(|| Hashing::new(std::io::sink()));
            // A sink takes everything.
            let _ = std::io::Write::write_all(
                hashing,
                format!("{} {content} {path}\n", mode.unwrap_or_default()).as_bytes(),
            );
        }
        let folder = |(path, hashing): (String, Hashing<std::io::Sink>)| {
            let path = if path.is_empty() { ".".to_owned() } else { path };
            (path, Listed { mode: None, content: short(&hashing.finish().1) })
        };
        Self(folders.into_iter().map(folder).collect())
    }
}

fn short(digest: &Digest) -> String {
    digest.hex().chars().take(DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(files: &[(&str, u32, &[u8])]) -> Listing {
        let mut list = Listing::default();
        for (path, mode, bytes) in files {
            list.add(Path::new(path), *mode, &Digest::of(bytes));
        }
        list
    }

    #[test]
    fn what_changed_is_named() {
        let before = list(&[("a b", 0o644, b"1"), ("m", 0o644, b"m"), ("old", 0o644, b"o")]);
        let now = list(&[("a b", 0o644, b"2"), ("m", 0o755, b"m"), ("new", 0o644, b"n")]);
        let before = Listing::from_text(&before.to_text());
        let (one, two) = (short(&Digest::of(b"1")), short(&Digest::of(b"2")));
        assert_eq!(
            before.changes(&now),
            [
                FileChange::Content("a b".into(), one, two),
                FileChange::Mode("m".into(), 0o644, 0o755),
                FileChange::New("new".into()),
                FileChange::Gone("old".into()),
            ]
        );
        assert_eq!(before.changes(&before), []);
    }

    #[test]
    fn very_many_files_are_told_by_folder() {
        let mut before = Listing::default();
        for number in 0..20_000 {
            let path = format!("src/{:02}/deep/{number}", number % 50);
            before.add(Path::new(&path), 0o644, &Digest::of(b"x"));
        }
        let mut now = before.clone();
        now.add(Path::new("src/07/deep/7"), 0o644, &Digest::of(b"y"));
        let kept = |list: &Listing| Listing::from_text(&list.to_text());
        let changed = FileChange::Folder("src/07/deep".into());
        assert_eq!(kept(&before).changes(&kept(&now)), [changed]);
        assert!(before.to_text().len() < 4000);
    }
}
