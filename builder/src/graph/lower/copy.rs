//! COPY and ADD.

use super::{
    Lowering, created_by, path,
    stage::{StageState, Step},
};
use crate::{
    dockerfile::{
        Diagnostic, Instruction, Span, chmod, copy::Copy, expansion::Expander, heredoc::Heredoc,
        instruction::Located,
    },
    graph::operation::{CopyOp, InlineFile, NetworkMode, Op},
    remote::Remote,
};

impl Lowering<'_, '_> {
    pub(super) fn copy(&mut self, state: &mut StageState, step: &Step<'_>, copy: &Copy, add: bool) {
        let known = self.faults.len();
        let text = self.shown(state, step.instruction);
        let chown = self.optional(state, copy.chown.as_ref());
        let chmod = self.optional(state, copy.chmod.as_ref());
        if let (Some(mode), Some(written)) = (&chmod, &copy.chmod)
            && let Err(message) = chmod::check(mode)
        {
            self.faults.push(Diagnostic::new(written.span, message).help(chmod::HELP));
        }
        let (sources, remote) = self.sources(state, copy, add);
        let checksum = self.checksum(state, copy, &remote);
        let dest = self.expand(state, &copy.destination);
        let inline: Vec<InlineFile> =
            copy.inline.iter().filter_map(|file| self.inline(state, file, copy)).collect();
        let from = copy.from.as_ref();
        let from_span = from.map_or(step.instruction.span, |from| from.span);
        let from = self.copy_from(from.map(|from| from.text.as_str()), from_span, &step.stage);
        let (Some(dest), Some(from)) = (dest, from) else { return };
        if self.faults.len() > known {
            return;
        }
        let mut created_by = String::from(if add { "ADD" } else { "COPY" });
        if copy.parents {
            created_by += " --parents";
        }
        chown.iter().for_each(|owner| created_by += &format!(" --chown={owner}"));
        chmod.iter().for_each(|mode| created_by += &format!(" --chmod={mode}"));
        created_by.extend(self.in_order(state, copy).iter().map(|source| format!(" {source}")));
        created_by.extend(inline.iter().map(|file| format!(" <<{}", file.name)));
        created_by += &format!(" {dest}{}", created_by::BUILDKIT);
        let op = CopyOp {
            base: state.vertex,
            from,
            sources,
            inline,
            dest: path::destination(state.cwd(), &dest),
            chown,
            chmod,
            unpack: copy.unpack.unwrap_or(add),
            unpack_remote: copy.unpack.unwrap_or(false),
            exclude: copy.exclude.clone(),
            parents: copy.parents,
            link: copy.link,
            remote,
            checksum,
            keep_git_dir: copy.keep_git_dir,
        };
        state.vertex = self.push(Op::Copy(op), step.origin(text));
        state.commit(created_by, Some(state.vertex));
    }

    /// A flag's value; one that expands to nothing counts as not given.
    fn optional(&mut self, state: &StageState, value: Option<&Located>) -> Option<String> {
        self.expand(state, value?).filter(|value| !value.is_empty())
    }

    /// Paths, and the addresses that ADD fetches.
    fn sources(
        &mut self,
        state: &StageState,
        copy: &Copy,
        add: bool,
    ) -> (Vec<String>, Vec<String>) {
        let (mut paths, mut remote) = (Vec::new(), Vec::new());
        for source in &copy.sources {
            let Some(text) = self.expand(state, source) else { continue };
            match (Remote::is_address(&text), add) {
                (false, _) => paths.push(text),
                (true, true) if self.plan.options.network == NetworkMode::None => self.faults.push(
                    Diagnostic::new(source.span, "ADD cannot fetch anything with --network none")
                        .help("leave the flag out, or bring the file with the build context"),
                ),
                (true, true) => match Remote::parse(&text) {
                    Ok(_) => remote.push(text),
                    Err(error) => {
                        let message = error.to_string();
                        let (first, rest) = message.split_once('\n').unwrap_or((&message, ""));
                        let fault = Diagnostic::new(source.span, first);
                        self.faults.push(match rest.strip_prefix("help: ") {
                            Some(help) => fault.help(help),
                            None => fault,
                        });
                    }
                },
                (true, false) => self.faults.push(
                    Diagnostic::new(source.span, "COPY cannot fetch from the network")
                        .help("use ADD for an address"),
                ),
            }
        }
        (paths, remote)
    }

    fn checksum(&mut self, state: &StageState, copy: &Copy, remote: &[String]) -> Option<String> {
        let checksum = self.optional(state, copy.checksum.as_ref())?;
        if remote.len() != 1 || copy.sources.len() != 1 {
            let span = copy.checksum.as_ref().map_or(Span::default(), |written| written.span);
            self.faults.push(
                Diagnostic::new(span, "--checksum goes with exactly one address")
                    .help("write one ADD for each file"),
            );
        }
        Some(checksum)
    }

    /// A file given in the Dockerfile; its name and its text are expanded unless the word was quoted.
    fn inline(&mut self, state: &StageState, file: &Heredoc, copy: &Copy) -> Option<InlineFile> {
        let text = file.text();
        let contents = if file.expand {
            match Expander::heredoc().expand(&text, &state.env) {
                Ok(expanded) => expanded.text,
                Err(error) => {
                    let message = format!("in the heredoc '{}': {error}", file.name);
                    let span = copy.destination.span;
                    self.faults.push(Diagnostic::new(span, message).help(error.help()));
                    return None;
                }
            }
        } else {
            text
        };
        Some(InlineFile { name: file.name.clone(), contents, mode: 0o644 })
    }

    /// The sources as the history shows them.
    fn in_order(&self, state: &StageState, copy: &Copy) -> Vec<String> {
        let expander = self.expander();
        let expand = |source: &Located| expander.expand(&source.text, &state.env);
        copy.sources.iter().filter_map(|source| expand(source).ok()).map(|done| done.text).collect()
    }

    /// The instruction as a progress display shows it: one line, variables and quotes resolved.
    pub(super) fn shown(&self, state: &StageState, instruction: &Instruction) -> String {
        let expanded = self.expander().expand(&instruction.text, &state.env);
        upper_keyword(expanded.map_or_else(|_| instruction.text.clone(), |shown| shown.text))
    }
}

/// The same line with its keyword in capitals.
pub(super) fn upper_keyword(text: String) -> String {
    match text.split_once(' ') {
        Some((keyword, rest)) => format!("{} {rest}", keyword.to_uppercase()),
        None => text.to_uppercase(),
    }
}
