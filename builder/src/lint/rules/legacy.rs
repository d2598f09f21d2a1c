//! LegacyKeyValueFormat: `ENV name value`.

use crate::{
    dockerfile::Kind,
    lint::{
        finding::{Finding, shown},
        rule::LEGACY_KEY_VALUE_FORMAT,
        scope::Scope,
        subject::{Step, View},
    },
};

pub(super) fn check(step: &Step<'_>, _: &Scope, _: &View<'_>, findings: &mut Vec<Finding>) {
    let (name, pairs) = match &step.instruction.kind {
        Kind::Env(pairs) => ("ENV", pairs),
        Kind::Label(pairs) => ("LABEL", pairs),
        _ => return,
    };
    for pair in pairs.iter().filter(|pair| pair.legacy) {
        findings.push(Finding::new(
            &LEGACY_KEY_VALUE_FORMAT,
            step.lines,
            step.place(pair.span),
            format!("{name} is written without an equals sign"),
            format!(
                "write {name} {}=…, with quotes around a value that has blanks",
                shown(&pair.name)
            ),
        ));
    }
}
