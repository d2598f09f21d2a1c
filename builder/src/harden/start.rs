//! H18 and H23: does what the configuration starts still start? Followed from each command to its
//! interpreter, its loader and its libraries, before the image is exported. What was not there before
//! hardening either is a warning only: it may come from a volume.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use super::{
    command::{self, Command, Field},
    facts::Facts,
    library::Libraries,
    program::{Elf, Program},
    report::{Action, Finding},
    rules,
};
use crate::{
    layer::tree::{Entry, Tree},
    oci::config::{ContainerConfig, DEFAULT_PATH},
};

/// A command that the hardened image cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{field} {} needs {missing}, which hardening removes ({rule}): {detail}\nhelp: {}\nhelp: or \
     keep it: [harden] keep = [\"{missing}\"]",
    shown(command, *is_shell_form), exec_form(*field, *is_shell_form)
)]
pub struct StartFault {
    /// Number of the rule.
    pub rule: &'static str,
    /// The field of the configuration.
    pub field: Field,
    /// The field's value: program and arguments, or the one line of a shell form.
    pub command: Vec<String>,
    /// The field is in shell form.
    pub is_shell_form: bool,
    /// Path that is missing, the one to put into `keep`.
    pub missing: String,
    /// How the command comes to need it.
    pub detail: String,
}

fn shown(command: &[String], is_shell_form: bool) -> String {
    if is_shell_form { command.join(" ") } else { format!("{command:?}") }
}

fn exec_form(field: Field, is_shell_form: bool) -> String {
    if is_shell_form {
        let keyword =
            if field == Field::Healthcheck { "HEALTHCHECK CMD" } else { &field.to_string() };
        format!("write {field} in exec form: {keyword} [\"program\", \"argument\"]")
    } else {
        format!("let {field} start a program that needs no shell")
    }
}

/// The tree before and after, and what is known about its files.
pub(super) struct Starter<'a> {
    before: &'a Tree,
    after: &'a Tree,
    libraries_before: Libraries<'a>,
    libraries_after: Libraries<'a>,
    layers: &'a [Arc<Facts>],
    pub(super) findings: Vec<Finding>,
    pub(super) faults: Vec<StartFault>,
}

/// What a walk from one command has in common.
struct Walk<'a> {
    command: &'a Command,
    config: &'a ContainerConfig,
    seen: BTreeSet<String>,
    /// Files that are yet to be looked at. A queue and no recursion: an image may hold a chain of
    /// libraries of any length.
    pending: VecDeque<String>,
    /// Names that were looked up.
    steps: usize,
}

/// A command is followed over this many names; the largest programs have some thousand, counting each
/// library once for each file that is linked with it.
const MAX_STEPS: usize = 10_000;
/// Directories of PATH that are looked into.
pub(super) const MAX_DIRECTORIES: usize = 256;

impl<'a> Starter<'a> {
    pub(super) fn new(before: &'a Tree, after: &'a Tree, layers: &'a [Arc<Facts>]) -> Self {
        let libraries = |tree| Libraries::new(tree, layers);
        Self {
            before,
            after,
            libraries_before: libraries(before),
            libraries_after: libraries(after),
            layers,
            findings: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Checks each command and rewrites those in shell form.
    pub(super) fn check(&mut self, config: &mut ContainerConfig) {
        for command in command::commands(config) {
            if command.field == Field::Cmd && config.cmd.is_none() {
                continue;
            }
            let Some(command) = self.without_shell(command, config) else { continue };
            if !self.is_mere_argument(&command, config) {
                self.follow(&command, config);
            }
        }
        if !config.on_build.is_empty() && self.find(self.after, "/bin/sh", config).is_none() {
            self.warn("ONBUILD", "its triggers cannot RUN anything without a shell".into());
        }
    }

    /// H18. The command to follow; `None` when it failed.
    fn without_shell(&mut self, command: Command, config: &mut ContainerConfig) -> Option<Command> {
        let Some(line) = &command.line else { return Some(command) };
        let shell = &command.words[0];
        let old = self.find(self.before, shell, config).map(|entry| entry.path.clone());
        if old.is_none() || self.find(self.after, shell, config).is_some() {
            return Some(command);
        }
        match command::plain_words(line) {
            Some(words) => {
                command::store(config, command.field, words.clone());
                let detail = format!("the shell form '{line}' is now {words:?}");
                self.note(
                    rules::SHELL_FORM,
                    &command.field.to_string(),
                    Action::CommandRewritten,
                    detail,
                );
                Some(Command { field: command.field, words, line: None })
            }
            None => {
                self.faults.push(StartFault {
                    rule: rules::SHELL_FORM,
                    field: command.field,
                    command: vec![line.clone()],
                    is_shell_form: true,
                    missing: absolute(shell),
                    detail: "it is in shell form and more than a list of words".into(),
                });
                None
            }
        }
    }

    /// CMD beside an ENTRYPOINT that is no wrapper, and names no program or one that stays.
    fn is_mere_argument(&self, command: &Command, config: &ContainerConfig) -> bool {
        let entrypoint = config.entrypoint.as_deref().unwrap_or_default();
        let Some(first) = entrypoint.first().filter(|_| command.field == Field::Cmd) else {
            return false;
        };
        let program = &command.words[0];
        let known = self.find(self.before, program, config).is_some();
        let stays = self.find(self.after, program, config).is_some();
        !known || (stays && !is_wrapper(first))
    }

    /// A CMD that the base image brought, and that is nothing but a shell, goes with the shell.
    pub(super) fn forgo_shell(&mut self, config: &mut ContainerConfig) {
        let only_shell = |fault: &StartFault| {
            fault.field == Field::Cmd
                && !fault.is_shell_form
                && fault.command.first().is_some_and(|program| {
                    rules::by_name(program.rsplit('/').next().unwrap_or(program))
                        == Some(rules::SHELL)
                })
        };
        let before = self.faults.len();
        self.faults.retain(|fault| !only_shell(fault));
        if self.faults.len() < before {
            config.cmd = None;
            self.note(
                rules::SHELL,
                "CMD",
                Action::CommandRewritten,
                "the base image's default command is a shell; the image has none".into(),
            );
        }
    }

    fn follow(&mut self, command: &Command, config: &ContainerConfig) {
        let (seen, pending) = (BTreeSet::new(), VecDeque::new());
        let mut walk = Walk { command, config, seen, pending, steps: 0 };
        let program = &command.words[0];
        if !self.need(&mut walk, program, "it is the program itself") {
            let detail = format!("'{program}' is not in the image");
            return self.warn(&command.field.to_string(), detail);
        }
        if let Some(inner) = wrapped(&command.words) {
            self.need(&mut walk, inner, &format!("'{program}' starts it"));
        }
        while let Some(path) = walk.pending.pop_front() {
            self.file(&mut walk, &path);
        }
        if walk.steps > MAX_STEPS {
            let detail = format!("'{program}' was followed over {MAX_STEPS} names, not to its end");
            self.warn(&command.field.to_string(), detail);
        }
    }

    /// Follows a program by name. False when it was not there before hardening either.
    fn need(&mut self, walk: &mut Walk<'_>, program: &str, why: &str) -> bool {
        let Some(old) = self.find(self.before, program, walk.config) else { return false };
        let old = old.path.clone();
        match self.find(self.after, program, walk.config).map(|entry| entry.path.clone()) {
            Some(path) => walk.add(path),
            None => {
                let named = if program.contains('/') { absolute(program) } else { absolute(&old) };
                self.fault(walk, named, why);
            }
        }
        true
    }

    fn file(&mut self, walk: &mut Walk<'_>, path: &str) {
        walk.steps += 1;
        match self.program(path) {
            Some(Program::Script { words }) => self.script(walk, path, &words),
            Some(Program::Elf(elf)) => self.elf(walk, path, &elf),
            None => {}
        }
    }

    /// What a path of the hardened tree is; a hard link is what its target is.
    fn program(&self, path: &str) -> Option<Program> {
        let mut entry = self.after.resolve(path)?;
        for _ in 0..4 {
            let facts = self.layers.get(entry.layer)?;
            if let Some(program) = entry.position.and_then(|at| facts.programs.get(&at)) {
                return Some(program.clone());
            }
            entry = self.after.get(entry.link.as_deref()?)?;
        }
        None
    }

    fn script(&mut self, walk: &mut Walk<'_>, path: &str, words: &[String]) {
        let why = format!("'/{path}' is a script that begins with '#!{}'", words.join(" "));
        if !self.need(walk, &words[0], &why) {
            self.warn(&walk.command.field.to_string(), format!("{why}, which is not in the image"));
        }
        if words[0].rsplit('/').next() == Some("env") {
            let mut arguments = words[1..].iter();
            let started = arguments.find(|word| !word.starts_with('-') && !word.contains('='));
            if let Some(program) = started {
                self.need(walk, program, &why);
            }
        }
    }

    fn elf(&mut self, walk: &mut Walk<'_>, path: &str, elf: &Elf) {
        if let Some(loader) = &elf.interpreter {
            let why = format!("'/{path}' is loaded by it");
            self.need(walk, loader, &why);
        }
        for name in &elf.needed {
            walk.steps += 1;
            if walk.steps > MAX_STEPS {
                return walk.pending.clear();
            }
            let own = variable(walk.config, "LD_LIBRARY_PATH");
            let found = |libraries: &Libraries<'_>| libraries.find(path, elf, name, own);
            match (found(&self.libraries_before), found(&self.libraries_after)) {
                (_, Some(library)) => walk.add(library),
                (Some(library), None) => {
                    let why = format!("'/{path}' is linked with it");
                    self.fault(walk, absolute(&library), &why);
                }
                (None, None) => {
                    let detail = format!("'/{path}' needs the library '{name}', not in the image");
                    self.warn(&walk.command.field.to_string(), detail);
                }
            }
        }
    }

    /// The executable that a name leads to, by PATH or by the work directory.
    fn find<'t>(&self, tree: &'t Tree, name: &str, config: &ContainerConfig) -> Option<&'t Entry> {
        let executable = |path: &str| tree.resolve(path).filter(|entry| entry.is_executable());
        if name.starts_with('/') {
            return executable(name);
        }
        if name.contains('/') {
            return executable(&format!("{}/{name}", config.working_dir));
        }
        let path = variable(config, "PATH").unwrap_or(DEFAULT_PATH);
        path.split(':')
            .take(MAX_DIRECTORIES)
            .find_map(|directory| executable(&format!("{directory}/{name}")))
    }

    fn fault(&mut self, walk: &Walk<'_>, missing: String, why: &str) {
        let is_shell_form = walk.command.line.is_some();
        let command = match &walk.command.line {
            Some(line) => vec![line.clone()],
            None => walk.command.words.clone(),
        };
        self.faults.push(StartFault {
            rule: rules::DANGLING,
            field: walk.command.field,
            command,
            is_shell_form,
            missing,
            detail: why.to_owned(),
        });
    }

    fn warn(&mut self, field: &str, detail: String) {
        self.note(rules::DANGLING, field, Action::Warned, detail);
    }

    fn note(&mut self, rule: &str, field: &str, action: Action, detail: String) {
        self.findings.push(Finding {
            rule: rule.into(),
            path: field.into(),
            layer: None,
            action,
            sha256: None,
            old_mode: None,
            new_mode: None,
            detail,
        });
    }
}

impl Walk<'_> {
    fn add(&mut self, path: String) {
        if self.seen.insert(path.clone()) {
            self.pending.push_back(path);
        }
    }
}

/// Programs whose arguments are another command, with the number of their own leading arguments.
const WRAPPERS: [(&str, usize); 9] = [
    ("catatonit", 0),
    ("chpst", 0),
    ("dumb-init", 0),
    ("env", 0),
    ("gosu", 1),
    ("nice", 0),
    ("setpriv", 0),
    ("su-exec", 1),
    ("tini", 0),
];

fn wrapper(program: &str) -> Option<usize> {
    let name = program.rsplit('/').next().unwrap_or(program).trim_end_matches("-static");
    WRAPPERS.iter().find(|(known, _)| *known == name).map(|(_, own)| *own)
}

fn is_wrapper(program: &str) -> bool {
    wrapper(program).is_some()
}

/// The command that a wrapper starts: the first word that is no option and no assignment.
fn wrapped(words: &[String]) -> Option<&String> {
    let own = wrapper(words.first()?)?;
    let mut rest = words[1..].iter().filter(|word| !word.starts_with('-') && !word.contains('='));
    rest.nth(own)
}

fn absolute(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}

/// The last value of an environment variable.
fn variable<'a>(config: &'a ContainerConfig, name: &str) -> Option<&'a str> {
    let value = |text: &'a String| text.strip_prefix(name)?.strip_prefix('=');
    config.env.iter().rev().find_map(value)
}
