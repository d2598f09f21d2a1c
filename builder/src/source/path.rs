//! Lexical forms of slash-separated paths, as Go's `path.Clean` has them.

use std::path::{Component, Path, PathBuf};

/// The shortest equal path: no empty or `.` names, `..` taken back where possible; `.` when nothing
/// is left. `..` at the top of a rooted path is dropped, of a relative one kept.
#[must_use]
pub(super) fn clean(text: &str) -> String {
    let rooted = text.starts_with('/');
    let mut names: Vec<&str> = Vec::new();
    for name in text.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            ".." if rooted => {}
            other => names.push(other),
        }
    }
    match (rooted, names.join("/")) {
        (true, rest) => format!("/{rest}"),
        (false, rest) if rest.is_empty() => ".".into(),
        (false, rest) => rest,
    }
}

/// The path below a root: cleaned, `..` clamped at the root, without a leading slash; empty for the
/// root itself.
#[must_use]
pub(super) fn below_root(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

/// The path as text with `/` between names; bytes that are not UTF-8 are replaced.
#[must_use]
pub(super) fn text(path: &Path) -> std::borrow::Cow<'_, str> {
    path.to_string_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaned_as_go_does() {
        for (text, expected) in [
            ("", "."),
            ("a//b/./c/..", "a/b"),
            ("/../a", "/a"),
            ("../a", "../a"),
            ("a/../..", ".."),
            ("/", "/"),
            ("a/", "a"),
        ] {
            assert_eq!(clean(text), expected, "{text}");
        }
        assert_eq!(below_root(Path::new("/../../etc/./x")), Path::new("etc/x"));
        assert_eq!(below_root(Path::new("/")), Path::new(""));
    }
}
