//! What is wrong with a policy file, shown with its line and a caret. All faults of a file are
//! reported in one go.

use std::{fmt, ops::Range};

/// The policy file cannot be used. Displays every fault with file, line, excerpt and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct PolicyError {
    file: String,
    faults: Vec<Fault>,
}

/// One fault: what happened, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What happened, one line.
    pub message: String,
    /// What to do, one line.
    pub help: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The line itself, shortened to 200 characters.
    excerpt: String,
    /// How many characters the carets cover.
    width: usize,
}

impl PolicyError {
    /// The faults in the order of the file, at least one.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    fn text(&self) -> String {
        let shown: Vec<String> =
            self.faults.iter().map(|fault| format!("{}:{fault}", self.file)).collect();
        shown.join("\n\n")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, help, line, column, excerpt, width } = self;
        let margin = " ".repeat(line.to_string().len());
        let indent = " ".repeat(column - 1);
        let carets = "^".repeat(*width);
        writeln!(f, "{line}:{column}: {message}")?;
        writeln!(f, "{margin} |\n{line} | {excerpt}\n{margin} | {indent}{carets}")?;
        write!(f, "help: {help}")
    }
}

/// Gathers the faults of one source text.
#[derive(Debug)]
pub(super) struct Faults<'a> {
    source: &'a str,
    found: Vec<(usize, Fault)>,
}

/// Long lines are cut here, so that a hostile file cannot flood a terminal.
const EXCERPT_CHARACTERS: usize = 200;

impl<'a> Faults<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, found: Vec::new() }
    }

    /// Notes a fault at the byte range `span` of the source.
    pub(super) fn add(&mut self, span: Range<usize>, message: String, help: String) {
        let start = self.boundary(span.start);
        let end = self.boundary(span.end.max(start));
        let before = &self.source[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.source[start..].find('\n').map_or(self.source.len(), |at| start + at);
        let text = self.source[line_start..line_end].trim_end_matches('\r');
        let lead = self.source[line_start..start].chars().count();
        let column = lead.min(EXCERPT_CHARACTERS) + 1;
        let covered = self.source[start..end.clamp(start, line_end)].chars().count();
        let fault = Fault {
            message,
            help,
            line: before.matches('\n').count() + 1,
            column,
            excerpt: text.chars().take(EXCERPT_CHARACTERS).map(printable).collect(),
            width: covered.clamp(1, (EXCERPT_CHARACTERS + 1).saturating_sub(column).max(1)),
        };
        self.found.push((start, fault));
    }

    /// The line at which `span` begins, counted from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.source[..self.boundary(span.start)].matches('\n').count() + 1
    }

    /// Nothing when no fault was noted, else the error for `file`.
    pub(super) fn into_result(mut self, file: &str) -> Result<(), PolicyError> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|(at, _)| *at);
        let faults = self.found.into_iter().map(|(_, fault)| fault).collect();
        Err(PolicyError { file: file.to_owned(), faults })
    }

    fn boundary(&self, at: usize) -> usize {
        let mut at = at.min(self.source.len());
        while !self.source.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// A control character in an excerpt could repaint the terminal; a tab would misplace the carets.
fn printable(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

/// The nearest of `known` to `word`, when it is near enough to be a typo of it.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let ranked = known.iter().map(|candidate| (distance(word, candidate), *candidate));
    let (distance, candidate) = ranked.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + candidate.len() / 4).then_some(candidate)
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j - 1] + same).min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
