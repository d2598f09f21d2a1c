//! Paths inside an image, without looking at any file system.

/// Absolute and clean: `.`, `..` and double slashes are gone, and `..` does not leave the root.
pub(super) fn clean(base: &str, path: &str) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The new working directory: as written when it is absolute, as BuildKit keeps it; else joined to the
/// current one.
pub(super) fn working_dir(current: &str, path: &str) -> String {
    match path {
        "" => clean("/", current),
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        relative => clean(current, relative),
    }
}

/// The destination of COPY: clean, with a trailing slash where it has to be a directory.
pub(super) fn destination(cwd: &str, path: &str) -> String {
    let directory = path.is_empty() || path == "." || path.ends_with('/') || path.ends_with("/.");
    let clean = clean(cwd, path);
    if directory && !clean.ends_with('/') { format!("{clean}/") } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(clean("/a/b", "../c//./d"), "/a/c/d");
        assert_eq!(clean("/a", "../../../x"), "/x");
        assert_eq!(clean("/a", "/"), "/");
        assert_eq!(working_dir("/a", "/b/"), "/b/");
        assert_eq!(working_dir("", "b"), "/b");
        assert_eq!(working_dir("/a/", "b/"), "/a/b");
        assert_eq!(destination("/w", "."), "/w/");
        assert_eq!(destination("/w", "x"), "/w/x");
        assert_eq!(destination("/w", "x/"), "/w/x/");
        assert_eq!(destination("/", "./"), "/");
        assert_eq!(destination("/w", "/y/."), "/y/");
    }
}
