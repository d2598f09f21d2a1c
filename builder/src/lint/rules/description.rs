//! InvalidDefinitionDescription: comments that describe a stage or an argument begin with its name.

use crate::{
    dockerfile::{Kind, Span},
    lint::{
        finding::{Finding, shown},
        rule::INVALID_DEFINITION_DESCRIPTION,
        subject::View,
    },
};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    let all = view.file.stages.iter().flat_map(|stage| &stage.instructions);
    for instruction in view.file.global.iter().chain(all) {
        let Kind::Arg(arguments) = &instruction.kind else { continue };
        let names: Vec<&str> = arguments.iter().map(|argument| argument.name.as_str()).collect();
        judge("ARG", &names, &instruction.comments, instruction.span, findings);
    }
    for stage in &view.file.stages {
        if let Some(name) = &stage.name {
            judge("FROM", &[name], &stage.comments, stage.span, findings);
        }
    }
}

fn judge(
    keyword: &str,
    names: &[&str],
    comments: &[String],
    lines: Span,
    findings: &mut Vec<Finding>,
) {
    // Only the last comment counts, and an empty one says nothing.
    let Some(last) = comments.last().filter(|comment| !comment.is_empty()) else { return };
    if last.split(' ').next().is_some_and(|word| names.contains(&word)) {
        return;
    }
    let name = shown(names.first().copied().unwrap_or_default());
    findings.push(Finding::new(
        &INVALID_DEFINITION_DESCRIPTION,
        lines,
        lines,
        format!("the comment before this {keyword} does not begin with its name"),
        format!("write # {name} …, as --call outline and --call targets show it"),
    ));
}
