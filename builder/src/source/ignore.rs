//! `.dockerignore`: which paths of a context do not exist for the build.

use std::{io::Read, path::Path};

use super::{
    error::SourceError,
    pattern_set::{PatternSet, Rule, State},
    rooted::missing,
};

/// Largest ignore file that is read, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// The rules of one ignore file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignore {
    file: String,
    rules: PatternSet,
}

impl Ignore {
    /// Reads the text of an ignore file; `file` is its name in messages.
    ///
    /// A line that starts with `#` is a comment; white space around a pattern, a leading slash and a
    /// byte order mark do not count; `!` takes a match back.
    ///
    /// # Errors
    /// When a pattern cannot be read.
    pub fn parse(text: &str, file: &str) -> Result<Self, SourceError> {
        let mut rules = PatternSet::default();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            rules.push(line, index + 1).map_err(|cause| SourceError::BadIgnoreFile {
                file: file.into(),
                line: index + 1,
                cause: Box::new(cause),
            })?;
        }
        Ok(Self { file: file.into(), rules })
    }

    /// The ignore file of a build: `<Dockerfile>.dockerignore` beside the Dockerfile, else
    /// `.dockerignore` in the context; `None` when there is neither.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn load(context: &Path, dockerfile: Option<&Path>) -> Result<Option<Self>, SourceError> {
        let own = dockerfile.map(|path| {
            let mut name = path.as_os_str().to_owned();
            name.push(".dockerignore");
            name.into()
        });
        for path in own.into_iter().chain([context.join(".dockerignore")]) {
            if let Some(text) = read(&path)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                return Self::parse(&text, &name).map(Some);
            }
        }
        Ok(None)
    }

    /// Name of the ignore file.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Is this path, relative to the context and without a leading slash, hidden?
    #[must_use]
    pub fn hides(&self, path: &str) -> bool {
        self.rule_for(path).0.is_some()
    }

    pub(super) fn rule_for(&self, path: &str) -> (Option<&Rule>, State) {
        self.rules.rule_for(path)
    }

    pub(super) fn rules(&self) -> &PatternSet {
        &self.rules
    }

    /// The error for a source that this rule hides.
    pub(super) fn explain(&self, pattern: &str, rule: &Rule) -> SourceError {
        SourceError::Ignored {
            pattern: pattern.into(),
            rule: rule.text().into(),
            line: rule.line(),
            file: self.file.clone(),
        }
    }
}

fn read(path: &Path) -> Result<Option<String>, SourceError> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(cause) if missing(&cause) => return Ok(None),
        Err(cause) => return Err(SourceError::io("open", path)(cause)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(SourceError::io("read", path))?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(SourceError::TooLarge { path: path.display().to_string(), limit: MAX_SIZE });
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_marks_and_line_ends() {
        let text = "\u{feff}# not this\n #/but\r\n\n  *.tmp  \r\n/build/\n!build/keep\n";
        let ignore = Ignore::parse(text, ".dockerignore").unwrap();
        assert!(ignore.hides("x.tmp"));
        assert!(!ignore.hides("a/x.tmp"));
        assert!(ignore.hides("build/x"));
        assert!(!ignore.hides("build/keep/y"));
        assert!(ignore.hides("#/but"), "a comment starts in the first column");
    }

    #[test]
    fn the_file_of_the_dockerfile_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let dockerfile = dir.path().join("web.Dockerfile");
        assert_eq!(Ignore::load(dir.path(), Some(&dockerfile)).unwrap(), None);
        std::fs::write(dir.path().join(".dockerignore"), "general").unwrap();
        let found = Ignore::load(dir.path(), Some(&dockerfile)).unwrap().unwrap();
        assert!(found.hides("general"));
        std::fs::write(dir.path().join("web.Dockerfile.dockerignore"), "special").unwrap();
        let found = Ignore::load(dir.path(), Some(&dockerfile)).unwrap().unwrap();
        assert!(found.hides("special") && !found.hides("general"));
        assert_eq!(found.file(), "web.Dockerfile.dockerignore");
    }

    #[test]
    fn a_malformed_line_is_named() {
        assert_eq!(
            Ignore::parse("a\nb[\n", ".dockerignore").unwrap_err().to_string(),
            ".dockerignore, line 2: the pattern 'b[' cannot be read: a '[' is not closed"
        );
    }
}
