//! WorkdirRelativePath: where a relative path leads depends on the base image.

use crate::{
    dockerfile::Kind,
    lint::{
        finding::{Finding, shown},
        rule::WORKDIR_RELATIVE_PATH,
        scope::Scope,
        subject::{Step, View},
    },
};

/// Only the first WORKDIR that this file has for an image; later ones stand on it.
pub(super) fn check(step: &Step<'_>, scope: &Scope, view: &View<'_>, findings: &mut Vec<Finding>) {
    let Kind::Workdir(directory) = &step.instruction.kind else { return };
    if scope.has_workdir {
        return;
    }
    let Ok(path) = view.expander().expand(&directory.text, scope) else { return };
    // A variable that the base sets may hold an absolute path.
    let may_be_absolute = scope.open && directory.text.starts_with('$') && !path.unset.is_empty();
    if !path.text.starts_with('/') && !may_be_absolute {
        findings.push(Finding::new(
            &WORKDIR_RELATIVE_PATH,
            step.lines,
            step.place(directory.span),
            format!("where '{}' leads depends on the base image", shown(&path.text)),
            "write an absolute path",
        ));
    }
}
