//! The findings for tools that show them beside the text: SARIF 2.1.0 (OASIS).

use serde_json::{Value, json};

use super::{report::Report, rule::RULES};
use crate::dockerfile::{Diagnostic, Span};

impl Report<'_> {
    /// One SARIF log with one run.
    ///
    /// # Errors
    /// Never in practice: nothing in it can fail to be written.
    pub fn sarif(&self, version: &str) -> Result<String, serde_json::Error> {
        let rules: Vec<Value> = RULES
            .iter()
            .map(|rule| {
                json!({
                    "id": rule.name,
                    "shortDescription": { "text": rule.summary },
                    "help": { "text": rule.page, "markdown": rule.page },
                })
            })
            .collect();
        let findings = self.findings.iter().map(|finding| &finding.diagnostic);
        let results: Vec<Value> = findings
            .map(|finding| self.result(finding, "warning"))
            .chain(self.faults.iter().map(|fault| self.result(fault, "error")))
            .collect();
        let mut text = serde_json::to_string_pretty(&json!({
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "touchmark", "semanticVersion": version, "rules": rules,
                }},
                "columnKind": "unicodeCodePoints",
                "results": results,
            }],
        }))?;
        text.push('\n');
        Ok(text)
    }

    fn result(&self, diagnostic: &Diagnostic, level: &str) -> Value {
        let text = match &diagnostic.help {
            Some(help) => format!("{}; {help}", diagnostic.message),
            None => diagnostic.message.clone(),
        };
        let related = diagnostic.related.iter().map(|(span, label)| {
            let mut place = self.place(*span);
            place["message"] = json!({ "text": label });
            place
        });
        let mut result = json!({
            "level": level,
            "message": { "text": text },
            "locations": [self.place(diagnostic.span)],
            "relatedLocations": related.collect::<Vec<_>>(),
        });
        if let Some(rule) = diagnostic.rule {
            result["ruleId"] = json!(rule);
        }
        result
    }

    fn place(&self, span: Span) -> Value {
        json!({ "physicalLocation": {
            "artifactLocation": { "uri": self.name },
            "region": {
                "startLine": span.first_line,
                "startColumn": span.first_column.max(1),
                "endLine": span.first_line,
                "endColumn": span.end_column.max(span.first_column + 1),
            },
        }})
    }
}
