//! What is wrong with a Dockerfile, where, and what to do about it.

use std::fmt::Write as _;

use super::{span::Span, suggest};

/// One fault or warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where it is.
    pub span: Span,
    /// What happened, one line.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Other places that explain it: where the stage or the argument was defined.
    pub related: Vec<(Span, String)>,
    /// The lint rule that a warning belongs to, by BuildKit's name.
    pub rule: Option<&'static str>,
}

impl Diagnostic {
    /// A fault at `span`.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None, related: Vec::new(), rule: None }
    }

    /// The same with what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with `did you mean …?` where a candidate is close to `word`; else unchanged.
    #[must_use]
    pub fn suggest<'a>(
        mut self,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        if let Some(near) = suggest::nearest(word, candidates) {
            self.help = Some(format!("did you mean {near}?"));
        }
        self
    }

    /// The same with another place that explains it.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// The same, as a finding of this lint rule.
    #[must_use]
    pub fn rule(mut self, rule: &'static str) -> Self {
        self.rule = Some(rule);
        self
    }
}

/// The longest piece of a source line that an excerpt shows, in characters.
const MAX_SHOWN: usize = 160;

/// An error as the user sees it: message, place, the line with a caret, related places, help.
/// `source_name` is the file's name as the user gave it, `source` its text.
#[must_use]
pub fn excerpt(source_name: &str, source: &str, diagnostic: &Diagnostic) -> String {
    render("error", source_name, source, diagnostic)
}

/// The same for a warning; a lint rule's name stands in brackets.
#[must_use]
pub fn warning_excerpt(source_name: &str, source: &str, diagnostic: &Diagnostic) -> String {
    match diagnostic.rule {
        Some(rule) => render(&format!("warning[{rule}]"), source_name, source, diagnostic),
        None => render("warning", source_name, source, diagnostic),
    }
}

fn render(level: &str, source_name: &str, source: &str, diagnostic: &Diagnostic) -> String {
    let lines = diagnostic.related.iter().map(|(span, _)| span.first_line);
    let width = lines.chain([diagnostic.span.first_line]).max().unwrap_or(1).to_string().len();
    let margin = " ".repeat(width);
    let mut out = format!("{level}: {}\n", clean(&diagnostic.message));
    place(&mut out, "-->", &margin, source_name, source, diagnostic.span);
    for (span, label) in &diagnostic.related {
        let _ = writeln!(out, "{margin} = note: {}", clean(label));
        place(&mut out, ":::", &margin, source_name, source, *span);
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "{margin} = help: {}", clean(help));
    }
    if let Some(rule) = diagnostic.rule {
        let _ = writeln!(out, "{margin} = more: touchmark lint --explain {rule}");
    }
    out
}

/// One source line with its caret; only the place where the line does not exist.
fn place(out: &mut String, arrow: &str, margin: &str, name: &str, source: &str, span: Span) {
    let _ = writeln!(out, "{margin}{arrow} {name}:{span}");
    let Some(line) = span.first_line.checked_sub(1).and_then(|index| source.lines().nth(index))
    else {
        return;
    };
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let start = span.first_column.saturating_sub(1);
    let length = span.end_column.saturating_sub(span.first_column).max(1);
    // A very long line is shown from shortly before the caret.
    let skipped = if start > MAX_SHOWN / 2 { start - MAX_SHOWN / 4 } else { 0 };
    let shown: String = line.chars().skip(skipped).take(MAX_SHOWN).map(printable).collect();
    let shown = shown.trim_end();
    let caret = start - skipped;
    let length = length.min(shown.chars().count().saturating_sub(caret).max(1));
    let number = format!("{:<width$}", span.first_line, width = margin.len());
    let _ = writeln!(out, "{margin} |");
    let _ = writeln!(out, "{number} | {shown}");
    let _ = writeln!(out, "{margin} | {}{}", " ".repeat(caret), "^".repeat(length));
}

fn clean(text: &str) -> String {
    text.chars().map(printable).collect()
}

/// A tab is one column wide here, and control characters must not reach a terminal.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "FROM debian\n\nRNU apt-get update\n";

    #[test]
    fn an_error_shows_the_line_and_a_caret() {
        let fault = Diagnostic::new(Span::on_line(3, 1, 4), "unknown instruction 'RNU'")
            .help("did you mean RUN?");
        assert_eq!(
            excerpt("Dockerfile", SOURCE, &fault),
            "error: unknown instruction 'RNU'\n --> Dockerfile:3:1\n  |\n3 | RNU apt-get update\n  | ^^^\n  = help: did you mean RUN?\n"
        );
    }

    #[test]
    fn related_places_and_rules_are_shown() {
        let fault = Diagnostic::new(Span::on_line(3, 5, 12), "m")
            .related(Span::on_line(1, 6, 12), "defined here")
            .rule("StageNameCasing");
        assert_eq!(
            warning_excerpt("f", SOURCE, &fault),
            "warning[StageNameCasing]: m\n --> f:3:5\n  |\n3 | RNU apt-get update\n  |     ^^^^^^^\n  = note: defined here\n ::: f:1:6\n  |\n1 | FROM debian\n  |      ^^^^^^\n  = more: touchmark lint --explain StageNameCasing\n"
        );
    }

    #[test]
    fn hostile_places_and_texts_do_no_harm() {
        let far = Diagnostic::new(Span::on_line(99, 9, 3), "m");
        assert_eq!(excerpt("f", SOURCE, &far), "error: m\n  --> f:99:9\n");
        let long = format!("RUN {}\u{1b}[31m", "x".repeat(100_000));
        let text = excerpt("f", &long, &Diagnostic::new(Span::on_line(1, 99_999, 100_010), "m"));
        assert!(text.len() < 1000 && !text.contains('\u{1b}'), "{text}");
        let wide = excerpt("f", "a", &Diagnostic::new(Span::on_line(1, 1, usize::MAX), "m"));
        assert_eq!(wide, "error: m\n --> f:1:1\n  |\n1 | a\n  | ^\n");
    }
}
