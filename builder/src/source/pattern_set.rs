//! An ordered list of patterns with exceptions, the rule of ignore files, `--exclude` and
//! `--parents`: the last pattern that matches decides, `!` takes a match back, and what matches a
//! folder matches everything in it.

use super::{error::SourceError, path::clean, pattern::Pattern};

/// One pattern of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pattern: Pattern,
    exception: bool,
    line: usize,
}

/// Patterns in order. Walk a tree from the top and hand each folder's [`State`] to its children.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatternSet {
    rules: Vec<Rule>,
    exceptions: bool,
}

/// Which patterns matched a folder; empty above the first level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State(Vec<bool>);

impl PatternSet {
    /// A set from pattern texts; `!` in front makes an exception.
    ///
    /// # Errors
    /// When a pattern cannot be read.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, SourceError> {
        let mut set = Self::default();
        for (index, text) in texts.into_iter().enumerate() {
            set.add(text, index + 1, false)?;
        }
        Ok(set)
    }

    /// Adds a pattern that stands on this line of an ignore file, where a leading `/` says nothing.
    pub(super) fn push(&mut self, text: &str, line: usize) -> Result<(), SourceError> {
        self.add(text, line, true)
    }

    fn add(&mut self, text: &str, line: usize, rooted: bool) -> Result<(), SourceError> {
        let text = text.trim();
        let (exception, body) = match text.strip_prefix('!') {
            Some(body) => (true, body.trim()),
            None => (false, text),
        };
        if body.is_empty() {
            if exception {
                let reason = "an exception needs a pattern after the '!'";
                return Err(SourceError::BadPattern { pattern: text.into(), reason });
            }
            return Ok(());
        }
        let body = clean(body);
        let body = if rooted && body.len() > 1 { body.trim_start_matches('/') } else { &body };
        self.rules.push(Rule { pattern: Pattern::ignore(body)?, exception, line });
        self.exceptions |= exception;
        Ok(())
    }

    /// Is there no pattern at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Does `path` match, given its parent's state? Also its own state and the deciding rule.
    ///
    /// A rule that could not change the verdict is not looked at, and a child takes over only what
    /// its parent looked at: this is the order of evaluation of Docker's own matcher.
    pub(super) fn step(&self, path: &str, parent: &State) -> (Option<&Rule>, State) {
        let mut verdict: Option<&Rule> = None;
        let mut state = vec![false; self.rules.len()];
        for (index, rule) in self.rules.iter().enumerate() {
            let inherited = parent.0.get(index).copied().unwrap_or(false);
            let open = rule.exception == verdict.is_some();
            if inherited || (open && rule.pattern.matches(path)) {
                state[index] = true;
                verdict = if rule.exception { None } else { Some(rule) };
            }
        }
        (verdict, State(state))
    }

    /// The rule that matches this path, its parents walked from the top.
    pub(super) fn rule_for(&self, path: &str) -> (Option<&Rule>, State) {
        let mut state = State::default();
        let mut rule = None;
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            (rule, state) = self.step(&path[..end], &state);
        }
        (rule, state)
    }

    /// Can an exception match below this folder?
    pub(super) fn may_except_below(&self, folder: &str) -> bool {
        self.exceptions
            && self.rules.iter().any(|r| r.exception && r.pattern.may_match_below(folder))
    }

    /// Can any pattern match below this folder?
    pub(super) fn may_match_below(&self, folder: &str) -> bool {
        self.rules.iter().any(|rule| rule.pattern.may_match_below(folder))
    }
}

impl Rule {
    /// The pattern's text.
    pub(super) fn text(&self) -> &str {
        self.pattern.text()
    }

    /// The line of its file, from 1.
    pub(super) fn line(&self) -> usize {
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(patterns: &[&str], path: &str) -> bool {
        PatternSet::new(patterns.iter().copied()).unwrap().rule_for(path).0.is_some()
    }

    #[test]
    fn the_last_match_decides() {
        assert!(matches(&["*.md", "!README.md"], "x.md"));
        assert!(!matches(&["*.md", "!README.md"], "README.md"));
        assert!(matches(&["*.md", "!README*.md", "README-secret.md"], "README-secret.md"));
        assert!(!matches(&["*.md", "README-secret.md", "!README*.md"], "README-secret.md"));
    }

    #[test]
    fn a_folder_takes_its_contents_along() {
        assert!(matches(&["dir"], "dir/a/b"));
        assert!(!matches(&["dir", "!dir/a"], "dir/a/b"));
        assert!(matches(&["dir", "!dir/a"], "dir/c"));
        assert!(matches(&["dir", "!dir/a", "dir/a/b"], "dir/a/b"));
        assert!(!matches(&["dir"], "dirt"));
    }

    #[test]
    fn leading_slashes_dots_and_spaces_are_cleaned() {
        assert!(matches(&["a/./b/"], "a/b"));
        assert!(!matches(&["/a"], "a"), "only in an ignore file is this the root");
        let mut set = PatternSet::default();
        set.push("/a/./b/", 1).unwrap();
        assert!(set.rule_for("a/b").0.is_some());
        assert!(matches(&["  a/b  "], "a/b"));
        assert!(!matches(&["*", "! a"], "a"));
        assert!(!matches(&["../a"], "a"));
        assert!(PatternSet::new(["", "  "]).unwrap().is_empty());
    }

    #[test]
    fn a_lone_exclamation_mark_is_refused() {
        assert_eq!(
            PatternSet::new(["!"]).unwrap_err().to_string(),
            "the pattern '!' cannot be read: an exception needs a pattern after the '!'"
        );
    }

    #[test]
    fn exceptions_below_are_seen() {
        let set = PatternSet::new(["node_modules", "!src/keep"]).unwrap();
        assert!(!set.may_except_below("node_modules"));
        assert!(set.may_except_below("src"));
    }
}
