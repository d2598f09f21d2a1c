//! The rules, one file for each or for a small family. A rule looks at the whole file, or at each
//! instruction with the variables before it.

mod base_image;
mod casing;
mod command;
mod context;
mod continuation;
mod description;
mod expose;
mod from_argument;
mod legacy;
mod platform;
mod result;
pub(super) mod secret_name;
mod secret_value;
mod stage_name;
mod variable;
mod workdir;

use super::{
    finding::Finding,
    scope::Scope,
    subject::{Step, View},
};

/// After so many findings no more are looked for; they would only hide the first ones.
const MAX_FINDINGS: usize = 1000;

/// A rule on the whole file.
type Whole = fn(&View<'_>, &mut Vec<Finding>);

/// A rule on one instruction.
type Each = fn(&Step<'_>, &Scope, &View<'_>, &mut Vec<Finding>);

const WHOLE: &[Whole] = &[
    stage_name::check,
    casing::check,
    continuation::check,
    from_argument::check,
    platform::check,
    command::check,
    description::check,
    base_image::check,
    result::check,
];

const EACH: &[Each] = &[
    variable::check,
    workdir::check,
    legacy::check,
    secret_name::check,
    secret_value::check,
    context::check,
    expose::check,
];

/// What all rules find.
pub(super) fn run(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in WHOLE {
        rule(view, &mut findings);
    }
    view.walk(|step, scope| {
        if findings.len() < MAX_FINDINGS {
            EACH.iter().for_each(|rule| rule(step, scope, view, &mut findings));
        }
    });
    findings.truncate(MAX_FINDINGS);
    findings
}
