//! JSONArgsRecommended, MultipleInstructionsDisallowed, MaintainerDeprecated: instructions as such.

use crate::{
    dockerfile::{Kind, Span, instruction::CommandLine},
    lint::{
        finding::Finding,
        rule::{JSON_ARGS_RECOMMENDED, MAINTAINER_DEPRECATED, MULTIPLE_INSTRUCTIONS_DISALLOWED},
        subject::{Step, View},
    },
};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    view.walk(|step, scope| match &step.instruction.kind {
        Kind::Cmd(command) if !scope.has_shell => json("CMD", step, command, findings),
        Kind::Entrypoint(command) if !scope.has_shell => {
            json("ENTRYPOINT", step, command, findings);
        }
        _ => {}
    });
    let all = view.file.stages.iter().flat_map(|stage| &stage.instructions);
    for instruction in all.filter(|instruction| matches!(instruction.kind, Kind::Maintainer(_))) {
        findings.push(Finding::new(
            &MAINTAINER_DEPRECATED,
            instruction.span,
            instruction.span,
            "MAINTAINER is out of use",
            "write LABEL org.opencontainers.image.authors=\"…\"",
        ));
    }
    for (index, ..) in view.stages() {
        for name in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
            repeated(name, &view.steps(index), findings);
        }
    }
}

fn json(name: &str, step: &Step<'_>, command: &CommandLine, findings: &mut Vec<Finding>) {
    if !command.exec {
        findings.push(Finding::new(
            &JSON_ARGS_RECOMMENDED,
            step.lines,
            step.place(command.span),
            format!("{name} in shell form runs a shell that passes no signals on"),
            format!("write {name} [\"program\", \"argument\"], or name a shell with SHELL"),
        ));
    }
}

/// The one that is reported is the one that has no effect.
fn repeated(name: &str, steps: &[Step<'_>], findings: &mut Vec<Finding>) {
    let is_it = |step: &&Step<'_>| {
        let found = match step.instruction.kind {
            Kind::Cmd(_) => "CMD",
            Kind::Entrypoint(_) => "ENTRYPOINT",
            Kind::Healthcheck(_) => "HEALTHCHECK",
            _ => "",
        };
        found == name
    };
    let places: Vec<Span> = steps.iter().filter(is_it).map(|step| step.lines).collect();
    for pair in places.windows(2) {
        let [before, after] = pair else { continue };
        findings.push(
            Finding::new(
                &MULTIPLE_INSTRUCTIONS_DISALLOWED,
                *before,
                *before,
                format!("this {name} has no effect: a later one of the stage takes its place"),
                "remove one of them",
            )
            .related(*after, "this one counts"),
        );
    }
}
