//! RootUser, ShellFormHardened: what the image runs, and as whom.

use crate::{
    dockerfile::{Kind, Span, instruction::CommandLine},
    graph::StageBase,
    lint::{
        finding::{Finding, shown},
        rule::{ROOT_USER, SHELL_FORM_HARDENED},
        subject::View,
    },
};

/// The user, and the instruction that starts what, as they are at the end of the target.
#[derive(Default)]
struct Last<'v> {
    user: Option<(&'v str, Span)>,
    /// Is it known what the base image sets?
    known: bool,
    started: [Option<(&'static str, &'v CommandLine)>; 3],
}

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    let Some(target) = view.file.stages.get(view.survey.target) else { return };
    let (mut chain, mut base_user) = (vec![view.survey.target], None);
    let mut known = true;
    while let Some(StageBase::Stage(base)) =
        chain.last().and_then(|index| view.survey.stages.get(*index)).map(|stage| &stage.base)
    {
        chain.push(*base);
    }
    if let Some(first) = chain.last().and_then(|index| view.survey.stages.get(*index)) {
        base_user = view.base_config(first).map(|config| config.config.user.as_str());
        known = base_user.is_some() || first.base == StageBase::Scratch;
    }
    let user = base_user.map(|user| (user, target.span));
    let mut last = Last { user, known, ..Last::default() };
    for index in chain.iter().rev() {
        for instruction in &view.file.stages[*index].instructions {
            match &instruction.kind {
                Kind::User(user) => last.user = Some((&user.text, user.span)),
                Kind::Cmd(command) => last.started[0] = Some(("CMD", command)),
                Kind::Entrypoint(command) => last.started[1] = Some(("ENTRYPOINT", command)),
                Kind::Healthcheck(check) => {
                    last.started[2] =
                        check.command.as_ref().map(|command| ("HEALTHCHECK", command));
                }
                _ => {}
            }
        }
    }
    report(&last, target.span, findings);
}

fn report(last: &Last<'_>, from: Span, findings: &mut Vec<Finding>) {
    let (user, span) = last.user.unwrap_or(("", from));
    if is_root(user) {
        let message = match user {
            "" if !last.known => {
                "no USER is set: the image runs as root, unless its base says otherwise".to_owned()
            }
            "" => "no USER is set: the image runs as root".to_owned(),
            user => format!("the image runs as '{}', which is root", shown(user)),
        };
        let help = "end the stage with a USER that is not root, such as USER 65532:65532";
        findings.push(Finding::new(&ROOT_USER, span, span, message, help));
    }
    for (name, command) in last.started.iter().flatten().filter(|(_, command)| !command.exec) {
        findings.push(Finding::new(
            &SHELL_FORM_HARDENED,
            command.span,
            command.span,
            format!("{name} in shell form needs a shell, and hardening removes it"),
            format!("write {name} [\"program\", \"argument\"]"),
        ));
    }
}

/// Is it root, as far as the text tells?
fn is_root(user: &str) -> bool {
    let name = user.split(':').next().unwrap_or_default();
    name.is_empty() || name == "root" || name.parse::<u64>() == Ok(0)
}
