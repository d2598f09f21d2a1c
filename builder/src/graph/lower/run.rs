//! RUN.

use super::{
    Lowering,
    copy::upper_keyword,
    created_by, path,
    stage::{StageState, Step},
};
use crate::{
    dockerfile::{
        expansion::{Expander, Variables},
        heredoc::Heredoc,
        instruction::CommandLine,
        run::{Network, Run},
    },
    graph::{
        operation::{InlineFile, Mount, MountKind, Op, RunOp},
        options,
    },
};

impl Lowering<'_, '_> {
    pub(super) fn run(&mut self, state: &mut StageState, step: &Step<'_>, run: &Run) {
        let (script, files) = script(run);
        let args = match script {
            Some(script) => {
                let (words, span) = (vec![script], run.command.span);
                state.with_shell(&CommandLine { exec: false, words, span })
            }
            None => state.with_shell(&run.command),
        };
        let Some(mounts) = self.mounts(state, step, run) else { return };
        let text = self.shown_run(state, step, run, &mounts);
        let network = match run.network {
            Network::Default => self.plan.options.network,
            network => network,
        };
        let op = RunOp {
            base: state.vertex,
            args: args.clone(),
            env: state.env.pairs(),
            proxy: self.proxies(),
            cwd: path::clean("/", state.cwd()),
            user: state.config.config.user.clone(),
            mounts,
            network,
            security: run.security,
            files,
            devices: run.devices.iter().map(|device| device.text.clone()).collect(),
            platform: state.platform.clone(),
        };
        state.vertex = self.push(Op::Run(op), step.origin(text));
        state.commit(created_by::run(&declared(state), &args), Some(state.vertex));
    }

    /// They are of the place where the build runs, not of the build, and often hold a password: so they
    /// are in no cache key and in no provenance, unless the Dockerfile declares them.
    fn proxies(&self) -> Vec<(String, String)> {
        let mut proxies = Vec::new();
        for (name, value) in &self.plan.options.build_args {
            if let Some(value) = value
                && options::is_proxy(name)
            {
                let upper = name.to_ascii_uppercase();
                for name in [upper.to_ascii_lowercase(), upper] {
                    proxies.retain(|(known, _)| *known != name);
                    proxies.push((name, value.clone()));
                }
            }
        }
        proxies
    }

    /// RUN as a progress display shows it: known variables are resolved, but the values of secrets are
    /// not, and quotes stay.
    fn shown_run(
        &self,
        state: &StageState,
        step: &Step<'_>,
        run: &Run,
        mounts: &[Mount],
    ) -> String {
        let mut text = step.instruction.text.clone();
        if let (Some(heredoc), true) = (run.heredocs.first(), is_only_heredoc(&run.command)) {
            let mut lines = heredoc.contents.trim().lines();
            let first = lines.next().unwrap_or_default();
            let more = if lines.next().is_some() { "..." } else { "" };
            text += &format!(" ({first}{more})");
        }
        let secrets = mounts.iter().filter_map(|mount| match &mount.kind {
            MountKind::Secret { env, .. } => env.as_deref(),
            _ => None,
        });
        let variables = Masked { secrets: secrets.collect(), state };
        let rules = Expander { keep_quotes: true, keep_unset: true, ..self.expander() };
        let expanded = rules.expand(&text, &variables);
        upper_keyword(expanded.map_or(text, |shown| shown.text))
    }
}

/// The variables of a stage, with those that hold secrets hidden.
struct Masked<'s> {
    secrets: Vec<&'s str>,
    state: &'s StageState,
}

impl Variables for Masked<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        if self.secrets.contains(&name) { Some("****") } else { self.state.env.value(name) }
    }
}

/// Is the command one here-document and nothing else?
fn is_only_heredoc(command: &CommandLine) -> bool {
    !command.exec && command.words.first().is_some_and(|word| Heredoc::parse(word).is_some())
}

/// The shell's script where RUN has here-documents, and the files it needs: one that is the whole
/// command is the script itself, or a program when it begins with `#!`; others go to the shell as they
/// were written.
fn script(run: &Run) -> (Option<String>, Vec<InlineFile>) {
    let Some(first) = run.heredocs.first() else { return (None, Vec::new()) };
    if !is_only_heredoc(&run.command) {
        let mut script = run.command.words.join(" ");
        for heredoc in &run.heredocs {
            script += &format!("\n{}{}", heredoc.contents, heredoc.name);
        }
        return (Some(script), Vec::new());
    }
    let contents = first.text();
    if !contents.starts_with("#!") {
        return (Some(contents), Vec::new());
    }
    let path = path::clean("/dev/pipes", &first.name);
    let file = InlineFile { name: first.name.clone(), contents, mode: 0o755 };
    (Some(path), vec![file])
}

/// The declared ARGs with the values that RUN sees, each once.
fn declared(state: &StageState) -> Vec<(String, String)> {
    let mut seen = std::collections::BTreeSet::new();
    let fresh = state.args.iter().filter(|(name, _)| seen.insert(name));
    fresh
        .map(|(name, value)| {
            let current = state.env.value(name).or(value.as_deref());
            (name.clone(), current.unwrap_or_default().to_owned())
        })
        .collect()
}
