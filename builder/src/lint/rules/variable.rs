//! UndefinedVar: variables that nothing sets.

use std::collections::BTreeSet;

use crate::{
    dockerfile::{
        Kind, Span,
        expansion::{Expander, ExpansionError, Variables as _},
        instruction::Located,
        suggest,
    },
    lint::{
        finding::{Finding, shown},
        rule::UNDEFINED_VAR,
        scope::Scope,
        subject::{Step, View},
    },
};

/// So short a name is close to too many others.
const SHORT: usize = 3;

/// EXPOSE is left out, as BuildKit does.
pub(super) fn check(step: &Step<'_>, scope: &Scope, view: &View<'_>, findings: &mut Vec<Finding>) {
    if let Kind::Arg(arguments) = &step.instruction.kind {
        let mut scope = scope.clone();
        for argument in arguments {
            let unset = scope.declare(argument, view);
            report(step, argument.span, &unset, &scope, findings);
        }
        return;
    }
    for (text, span, expander) in words(step, view.expander()) {
        if !text.contains('$') {
            continue;
        }
        match expander.expand(text, scope) {
            Ok(expanded) => report(step, span, &expanded.unset, scope, findings),
            // `${name:?…}` of an empty variable is a fault as well, and said to be one.
            Err(ExpansionError::Required { name, .. }) if scope.value(&name).is_none() => {
                report(step, span, &[name].into(), scope, findings);
            }
            Err(_) => {}
        }
    }
}

/// The words in which variables count, with their places.
fn words<'s>(step: &'s Step<'_>, expander: Expander) -> Vec<(&'s str, Span, Expander)> {
    let mut words = Vec::new();
    let located = |word: &'s Located| (word.text.as_str(), word.span, expander);
    match &step.instruction.kind {
        Kind::Env(pairs) | Kind::Label(pairs) => {
            for pair in pairs {
                words.push((pair.name.as_str(), pair.span, expander));
                words.push((pair.value.as_str(), pair.span, expander));
            }
        }
        Kind::Copy(copy) | Kind::Add(copy) => {
            let flags = copy.chown.iter().chain(&copy.chmod).chain(&copy.checksum);
            let paths = copy.sources.iter().chain(std::iter::once(&copy.destination));
            words.extend(flags.chain(paths).map(located));
            let bodies = copy.inline.iter().filter(|heredoc| heredoc.expand);
            words.extend(bodies.map(|heredoc| {
                (heredoc.contents.as_str(), copy.destination.span, Expander::heredoc())
            }));
        }
        Kind::User(word) | Kind::Workdir(word) | Kind::StopSignal(word) => {
            words.push(located(word))
        }
        Kind::Volume(volumes) => words.extend(volumes.iter().map(located)),
        Kind::Run(run) => words.extend(run.mounts.iter().map(|mount| located(&mount.written))),
        _ => {}
    }
    words
}

/// Where the base's environment is not known, only a name that is almost one of this file's is reported.
fn report(
    step: &Step<'_>,
    span: Span,
    unset: &BTreeSet<String>,
    scope: &Scope,
    findings: &mut Vec<Finding>,
) {
    for name in unset.iter().filter(|name| !scope.declared.contains(*name)) {
        let known = scope.names().chain(scope.declared.iter().map(String::as_str));
        let near = suggest::nearest(name, known).filter(|_| name.chars().count() > SHORT);
        if scope.open && near.is_none() {
            continue;
        }
        let help = match near {
            Some(near) => format!("did you mean ${near}?"),
            None => format!("declare it with ARG {0} or ENV {0}=…", shown(name)),
        };
        findings.push(Finding::new(
            &UNDEFINED_VAR,
            step.lines,
            step.place(span),
            format!("the variable '{}' is not set", shown(name)),
            help,
        ));
    }
}
