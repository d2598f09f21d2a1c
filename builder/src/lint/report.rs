//! The findings as text for people, and as JSON in BuildKit's form with a little more.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{finding::Finding, place::Location};
use crate::dockerfile::{Diagnostic, excerpt, warning_excerpt};

/// What was looked at, and what came of it.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The file's name as the user gave it.
    pub name: &'a str,
    /// Its text.
    pub source: &'a str,
    /// What the rules found.
    pub findings: &'a [Finding],
    /// Why it cannot be built.
    pub faults: &'a [Diagnostic],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    warnings: Vec<Warning<'a>>,
    sources: [Source<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    build_error: Option<Fault<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Warning<'a> {
    rule_name: &'a str,
    description: &'a str,
    url: String,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    column: usize,
    location: Location,
}

#[derive(Serialize)]
struct Source<'a> {
    filename: &'a str,
    language: &'static str,
    data: String,
}

#[derive(Serialize)]
struct Fault<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    location: Location,
}

impl<'a> From<&'a Diagnostic> for Fault<'a> {
    fn from(fault: &'a Diagnostic) -> Self {
        let help = fault.help.as_deref();
        Self { message: &fault.message, help, location: fault.span.into() }
    }
}

impl Report<'_> {
    /// Is there nothing to say?
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.faults.is_empty()
    }

    /// Each finding and fault with its line, in the order of the file, and how many there are.
    #[must_use]
    pub fn text(&self) -> String {
        let findings = self.findings.iter().map(|finding| {
            let text = warning_excerpt(self.name, self.source, &finding.diagnostic);
            (finding.diagnostic.span, text)
        });
        let faults = self.faults.iter();
        let faults = faults.map(|fault| (fault.span, excerpt(self.name, self.source, fault)));
        let mut all: Vec<_> = findings.chain(faults).collect();
        all.sort_by_key(|(span, _)| (span.first_line, span.first_column));
        let mut text: String = all.into_iter().map(|(_, shown)| shown + "\n").collect();
        text.push_str(&format!(
            "{}: {}, {}\n",
            self.name,
            count(self.faults.len(), "error"),
            count(self.findings.len(), "warning"),
        ));
        text
    }

    /// One JSON object, in the form of docs/lint.md.
    ///
    /// # Errors
    /// Never in practice: nothing in it can fail to be written.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        let warnings = self.findings.iter().map(|finding| Warning {
            rule_name: finding.rule.name,
            description: finding.rule.summary,
            url: format!("docs/rules/{}.md", finding.rule.name),
            detail: &finding.diagnostic.message,
            help: finding.diagnostic.help.as_deref(),
            column: finding.diagnostic.span.first_column,
            location: finding.lines.into(),
        });
        let data = STANDARD.encode(self.source);
        let mut text = serde_json::to_string_pretty(&Answer {
            warnings: warnings.collect(),
            sources: [Source { filename: self.name, language: "Dockerfile", data }],
            build_error: self.faults.first().map(Fault::from),
            errors: self.faults.iter().map(Fault::from).collect(),
        })?;
        text.push('\n');
        Ok(text)
    }
}

fn count(number: usize, word: &str) -> String {
    match number {
        0 => format!("no {word}s"),
        1 => format!("1 {word}"),
        more => format!("{more} {word}s"),
    }
}
