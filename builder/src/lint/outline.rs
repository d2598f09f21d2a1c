//! What a target takes: `--call outline`.

use std::{cell::RefCell, collections::BTreeMap, collections::BTreeSet};

use serde::Serialize;

use super::{
    place::{Location, description},
    scope::Scope,
    subject::{Reach, Step, Subject, View},
};
use crate::{
    dockerfile::{
        Dockerfile, Instruction, Kind, Span,
        expansion::Variables,
        instruction::Argument,
        mount::{MountOptions, MountType},
    },
    graph::{BaseConfigs, BuildOptions},
};

/// The answer, in the form that BuildKit gives it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outline {
    /// The target, where it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the comment before it says behind its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its build arguments, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Taken>,
    /// The secrets that its steps ask for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Asked>,
    /// The agents that its steps ask for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<Asked>,
}

/// A build argument.
#[derive(Debug, Clone, Serialize)]
pub struct Taken {
    /// Its name.
    pub name: String,
    /// What the comment before it says behind its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The value that it has: the one that was given, else the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The ARG.
    pub location: Location,
    #[serde(skip)]
    line: usize,
}

/// A secret or an agent.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    /// Its id.
    pub name: String,
    /// Does the step fail without it?
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The RUN.
    pub location: Location,
}

impl Outline {
    /// What the target of `options` takes, with the stages that it needs.
    #[must_use]
    pub fn of(file: &Dockerfile, options: &BuildOptions) -> Self {
        let configs = BaseConfigs::new();
        let ignored = |_: &str| false;
        let subject =
            Subject { file, options, configs: &configs, ignored: &ignored, reach: Reach::Needed };
        let view = subject.view();
        let Some(target) = file.stages.get(view.survey.target) else { return Self::default() };
        let mut found = Found::default();
        found.global(&view);
        view.walk(|step, scope| found.step(step, scope, &view));
        let mut args: Vec<Taken> = found.args.into_values().collect();
        args.sort_by_key(|arg| arg.line);
        Self {
            name: target.name.clone(),
            description: target.name.as_ref().and_then(|name| description(&target.comments, name)),
            args,
            secrets: found.secrets,
            ssh: found.ssh,
        }
    }

    /// Tables for people: the arguments, the secrets and the agents, each with its heading.
    #[must_use]
    pub fn tables(&self) -> Vec<Vec<Vec<String>>> {
        let heading = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let args = self.args.iter().map(|arg| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            vec![arg.name.clone(), text(&arg.value), text(&arg.description)]
        });
        let asked = |name: &str, all: &[Asked]| -> Vec<Vec<String>> {
            let rows = all.iter().map(|one| {
                vec![one.name.clone(), if one.required { "true" } else { "" }.to_owned()]
            });
            std::iter::once(heading(&[name, "REQUIRED"])).chain(rows).collect()
        };
        let head = heading(&["BUILD ARG", "VALUE", "DESCRIPTION"]);
        let args: Vec<Vec<String>> = std::iter::once(head).chain(args).collect();
        let tables = [args, asked("SECRET", &self.secrets), asked("SSH", &self.ssh)];
        tables.into_iter().filter(|table| table.len() > 1).collect()
    }
}

#[derive(Default)]
struct Found {
    args: BTreeMap<String, Taken>,
    secrets: Vec<Asked>,
    ssh: Vec<Asked>,
}

/// Variables that note which of them are asked for.
struct Noting<'v> {
    values: &'v BTreeMap<String, String>,
    names: RefCell<BTreeSet<String>>,
}

impl Variables for Noting<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        self.names.borrow_mut().insert(name.to_owned());
        self.values.value(name)
    }
}

impl Found {
    /// The arguments before the first FROM that a needed FROM uses, also by another's default.
    fn global(&mut self, view: &View<'_>) {
        let noting = Noting { values: &view.survey.global, names: RefCell::default() };
        for (_, stage, _) in view.stages() {
            for word in std::iter::once(&stage.base).chain(&stage.platform) {
                let _ = view.expander().expand(&word.text, &noting);
            }
        }
        // A default stands before its uses, so that one walk backwards finds all.
        let declared: Vec<_> = view.file.global.iter().flat_map(arguments).collect();
        for (instruction, argument) in declared.into_iter().rev() {
            if !noting.names.borrow().contains(&argument.name) {
                continue;
            }
            if let Some(default) = &argument.default {
                let _ = view.expander().expand(default, &noting);
            }
            let value = view.survey.global.get(&argument.name).cloned();
            self.take(instruction, argument, value);
        }
    }

    fn step(&mut self, step: &Step<'_>, scope: &Scope, view: &View<'_>) {
        let mut scope = scope.clone();
        for (instruction, argument) in arguments(step.instruction) {
            let _ = scope.declare(argument, view);
            if !is_automatic(&argument.name) {
                self.declared(instruction, argument, &scope, view);
            }
        }
        let Kind::Run(run) = &step.instruction.kind else { return };
        for mount in &run.mounts {
            let expand = |text: &str| Ok(view.expander().expand(text, &scope)?.text);
            if let Ok(options) = MountOptions::parse(&mount.written.text, &expand) {
                self.mount(&options, step.lines);
            }
        }
    }

    /// An ARG that only takes over the one before the first FROM is described there.
    fn declared(
        &mut self,
        instruction: &Instruction,
        argument: &Argument,
        scope: &Scope,
        view: &View<'_>,
    ) {
        let given = view.options.build_args.get(&argument.name).is_some_and(Option::is_some);
        let global = view.file.global.iter().flat_map(arguments);
        let global = global.filter(|(_, other)| other.name == argument.name).last();
        let (from, origin) = match global {
            Some(found) if !given && argument.default.is_none() => found,
            _ => (instruction, argument),
        };
        self.take(from, origin, scope.value(&argument.name).map(str::to_owned));
    }

    fn take(&mut self, instruction: &Instruction, argument: &Argument, value: Option<String>) {
        let taken = Taken {
            name: argument.name.clone(),
            description: description(&instruction.comments, &argument.name),
            value: value.filter(|value| !value.is_empty()),
            location: instruction.span.into(),
            line: instruction.span.first_line,
        };
        self.args.insert(argument.name.clone(), taken);
    }

    fn mount(&mut self, options: &MountOptions, lines: Span) {
        let name = |text: &Option<String>| text.as_ref().filter(|text| !text.is_empty()).cloned();
        let base = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
        let (all, name) = match options.kind {
            MountType::Secret => {
                let id = name(&options.id).or_else(|| name(&options.source));
                (&mut self.secrets, id.or_else(|| name(&options.target).map(base)))
            }
            MountType::Ssh => {
                (&mut self.ssh, Some(name(&options.id).unwrap_or_else(|| "default".into())))
            }
            _ => return,
        };
        let Some(name) = name.filter(|name| all.iter().all(|known| known.name != *name)) else {
            return;
        };
        all.push(Asked { name, required: options.required, location: lines.into() });
    }
}

/// The arguments that an instruction declares.
fn arguments(instruction: &Instruction) -> impl Iterator<Item = (&Instruction, &Argument)> {
    let arguments = match &instruction.kind {
        Kind::Arg(arguments) => arguments.as_slice(),
        _ => &[],
    };
    arguments.iter().map(move |argument| (instruction, argument))
}

/// Is it one that the platforms and the target set?
fn is_automatic(name: &str) -> bool {
    let rest = name.strip_prefix("BUILD").or_else(|| name.strip_prefix("TARGET"));
    matches!(rest, Some("PLATFORM" | "OS" | "OSVERSION" | "ARCH" | "VARIANT" | "STAGE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "# BASE is the base\nARG BASE=scratch\nARG SECOND=$BASE\nARG NOTUSED=1\n\
        # FINAL is good\nARG FINAL=yes\nFROM $SECOND AS a\n# Z hello\nARG Z=1\n\
        FROM scratch AS other\nARG OTHER\nFROM a\nARG FINAL TARGETARCH Z=2\n\
        RUN --mount=type=secret,id=q true\nRUN --mount=type=secret,id=q,required=true true\n\
        RUN --mount=type=ssh,id=gh,required true\n";

    fn outline(options: impl FnOnce(&mut BuildOptions)) -> Vec<String> {
        let mut wanted = BuildOptions::new("linux/amd64".parse().unwrap());
        options(&mut wanted);
        let outline = Outline::of(&Dockerfile::parse(SOURCE).unwrap(), &wanted);
        let rows = outline.tables().into_iter().flatten();
        let lines = outline.args.iter().map(|arg| format!("{}@{}", arg.name, arg.line));
        rows.map(|row| row.join("|")).chain(lines).collect()
    }

    #[test]
    fn what_the_last_stage_takes() {
        assert_eq!(
            outline(|_| {}),
            [
                "BUILD ARG|VALUE|DESCRIPTION",
                "BASE|scratch|is the base",
                "SECOND|scratch|",
                "FINAL|yes|is good",
                "Z|2|",
                "SECRET|REQUIRED",
                "q|",
                "SSH|REQUIRED",
                "gh|true",
                "BASE@2",
                "SECOND@3",
                "FINAL@6",
                "Z@13",
            ]
        );
    }

    #[test]
    fn a_given_value_belongs_to_the_stage() {
        let found = outline(|options| {
            options.build_args.insert("FINAL".into(), Some("no".into()));
        });
        assert!(found.contains(&"FINAL|no|".into()) && found.contains(&"FINAL@13".into()));
    }

    #[test]
    fn only_what_the_target_needs() {
        let found = outline(|options| options.target = Some("other".into()));
        assert_eq!(found, ["BUILD ARG|VALUE|DESCRIPTION", "OTHER||", "OTHER@11"]);
    }
}
