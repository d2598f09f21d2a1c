//! FromAsCasing, ConsistentInstructionCasing: capitals or not, but one of them.

use crate::{
    dockerfile::{Instruction, Span, Stage},
    lint::{
        finding::{Finding, shown},
        rule::{CONSISTENT_INSTRUCTION_CASING, FROM_AS_CASING},
        subject::View,
    },
};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    let keywords: Vec<(&str, Span)> = view
        .file
        .stages
        .iter()
        .flat_map(|stage| {
            let own = stage.instructions.iter().map(keyword);
            std::iter::once((from_of(stage), stage.span)).chain(own)
        })
        .collect();
    let count =
        |uniform: fn(&str) -> bool| keywords.iter().filter(|(word, _)| uniform(word)).count();
    let lower = count(is_lower) > count(is_upper);
    for (word, lines) in keywords {
        let (fits, right) = match lower {
            true => (is_lower(word), word.to_lowercase()),
            false => (is_upper(word), word.to_uppercase()),
        };
        if !fits {
            let end = lines.first_column + word.chars().count();
            findings.push(Finding::new(
                &CONSISTENT_INSTRUCTION_CASING,
                lines,
                Span::on_line(lines.first_line, lines.first_column, end),
                format!("'{}' is not written as most instructions of this file", shown(word)),
                format!("write {}", shown(&right)),
            ));
        }
    }
    view.file.stages.iter().for_each(|stage| from_as(stage, findings));
}

fn keyword(instruction: &Instruction) -> (&str, Span) {
    (&instruction.keyword, instruction.span)
}

/// FROM as it is written.
fn from_of(stage: &Stage) -> &str {
    stage.text.split_whitespace().next().unwrap_or_default()
}

/// Nothing is said where FROM itself mixes the cases.
fn from_as(stage: &Stage, findings: &mut Vec<Finding>) {
    if stage.written_name.is_none() {
        return;
    }
    let (from, written) = (from_of(stage), stage.text.split_whitespace().nth_back(1));
    let Some(written) = written.filter(|word| word.eq_ignore_ascii_case("as")) else { return };
    let right = match (is_lower(from), is_upper(from)) {
        (true, _) => "as",
        (_, true) => "AS",
        _ => return,
    };
    if written != right {
        findings.push(Finding::new(
            &FROM_AS_CASING,
            stage.span,
            stage.span,
            format!("'{written}' and '{from}' are not written in the same case"),
            format!("write {right}"),
        ));
    }
}

fn is_lower(word: &str) -> bool {
    word == word.to_lowercase()
}

fn is_upper(word: &str) -> bool {
    word == word.to_uppercase()
}
