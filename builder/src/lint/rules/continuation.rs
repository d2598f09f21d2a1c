//! NoEmptyContinuation, MalformedJSONArray: what the parser saw on its way.

use crate::{
    dockerfile::Span,
    lint::{
        finding::Finding,
        rule::{MALFORMED_JSON_ARRAY, NO_EMPTY_CONTINUATION, Rule},
        subject::View,
    },
};

/// The rules whose doubts the parser has.
const RULES: [&Rule; 2] = [&NO_EMPTY_CONTINUATION, &MALFORMED_JSON_ARRAY];

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    for doubt in &view.file.warnings {
        let Some(rule) = RULES.iter().find(|rule| doubt.rule == Some(rule.name)) else { continue };
        // BuildKit names the last line of an instruction that holds a blank one.
        let last = doubt.related.first().map(|(whole, _)| whole.last_line);
        let lines = last.map_or(doubt.span, |line| Span::on_line(line, 1, 2));
        findings.push(Finding { rule, lines, diagnostic: doubt.clone() });
    }
}
