//! UndefinedArgInFrom, InvalidDefaultArgInFrom: the variables of FROM.

use std::collections::BTreeMap;

use crate::{
    dockerfile::{Stage, instruction::Located, suggest},
    graph::{BaseConfigs, BuildOptions, survey},
    lint::{
        finding::{Finding, shown},
        rule::{INVALID_DEFAULT_ARG_IN_FROM, UNDEFINED_ARG_IN_FROM},
        subject::View,
    },
    oci::reference::Reference,
};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    let declared: Vec<&str> = view
        .file
        .global
        .iter()
        .flat_map(|instruction| match &instruction.kind {
            crate::dockerfile::Kind::Arg(arguments) => arguments.as_slice(),
            _ => &[],
        })
        .map(|argument| argument.name.as_str())
        .collect();
    let defaults = defaults(view);
    for stage in &view.file.stages {
        for word in std::iter::once(&stage.base).chain(&stage.platform) {
            undefined(view, stage, word, &declared, findings);
        }
        invalid_default(view, stage, &defaults, findings);
    }
}

/// The global scope as it is when no build argument is given.
fn defaults(view: &View<'_>) -> BTreeMap<String, String> {
    if view.options.build_args.is_empty() {
        return view.survey.global.clone();
    }
    let options = BuildOptions { build_args: BTreeMap::new(), ..view.options.clone() };
    survey(view.file, &options, &BaseConfigs::new()).global
}

/// An argument that has no value is not set, but declared.
fn undefined(
    view: &View<'_>,
    stage: &Stage,
    word: &Located,
    declared: &[&str],
    findings: &mut Vec<Finding>,
) {
    let global = &view.survey.global;
    let Ok(expanded) = view.expander().expand(&word.text, global) else { return };
    for name in expanded.unset.iter().filter(|name| !declared.contains(&name.as_str())) {
        let known = declared.iter().copied().chain(global.keys().map(String::as_str));
        let help = match suggest::nearest(name, known) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("declare it with ARG {} before the first FROM", shown(name)),
        };
        findings.push(Finding::new(
            &UNDEFINED_ARG_IN_FROM,
            stage.span,
            word.span,
            format!("no ARG before the first FROM declares '{}'", shown(name)),
            help,
        ));
    }
}

fn invalid_default(
    view: &View<'_>,
    stage: &Stage,
    defaults: &BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
) {
    if !stage.base.text.contains('$') {
        return;
    }
    let Ok(expanded) = view.expander().expand(&stage.base.text, defaults) else { return };
    if expanded.text.parse::<Reference>().is_err() {
        let base = shown(&stage.base.text);
        let found = match expanded.text.as_str() {
            "" => "nothing".to_owned(),
            text => format!("'{}'", shown(text)),
        };
        findings.push(Finding::new(
            &INVALID_DEFAULT_ARG_IN_FROM,
            stage.span,
            stage.base.span,
            format!("without build arguments '{base}' is {found}, which names no image"),
            "give each ARG of it a default that makes the name whole",
        ));
    }
}
