//! The instructions that change the configuration: ENV, LABEL, USER, WORKDIR, VOLUME, STOPSIGNAL, CMD,
//! ENTRYPOINT, HEALTHCHECK, SHELL, MAINTAINER.

use super::{
    Lowering, created_by, path,
    stage::{StageState, Step},
};
use crate::{
    dockerfile::{
        Diagnostic, Span,
        healthcheck::Healthcheck,
        instruction::{CommandLine, Located, Pair},
    },
    graph::operation::{MkdirOp, Op},
    oci::config::{self, Empty},
};

impl Lowering<'_, '_> {
    /// All pairs see the variables as they were before the instruction.
    fn pairs(&mut self, state: &StageState, pairs: &[Pair]) -> Vec<(String, String)> {
        let mut expanded = Vec::new();
        for pair in pairs {
            let name = self.expand_text(state, &pair.name, pair.span);
            let value = self.expand_text(state, &pair.value, pair.span);
            expanded.extend(name.zip(value));
        }
        expanded
    }

    pub(super) fn env(&mut self, state: &mut StageState, pairs: &[Pair]) {
        let mut text = String::from("ENV");
        for (name, value) in self.pairs(state, pairs) {
            state.env.set_last(&name, &value);
            state.image_env.set(&name, &value);
            text += &format!(" {name}={value}");
        }
        state.commit(text, None);
    }

    pub(super) fn label(&mut self, state: &mut StageState, pairs: &[Pair]) {
        let mut text = String::from("LABEL");
        for (name, value) in self.pairs(state, pairs) {
            text += &format!(" {name}={value}");
            state.config.config.labels.insert(name, value);
        }
        state.commit(text, None);
    }

    pub(super) fn user(&mut self, state: &mut StageState, user: &Located) {
        let Some(name) = self.expand(state, user) else { return };
        state.lines.user = Some(user.span);
        state.commit(format!("USER {name}"), None);
        state.config.config.user = name;
    }

    /// The directory is made, which is a layer, unless it is the root.
    pub(super) fn workdir(&mut self, state: &mut StageState, step: &Step<'_>, directory: &Located) {
        let text = self.shown(state, step.instruction);
        let Some(written) = self.expand(state, directory) else { return };
        let directory = path::working_dir(state.cwd(), &written);
        let mut vertex = None;
        if directory != "/" {
            let op = MkdirOp {
                base: state.vertex,
                path: path::clean("/", &directory),
                user: state.config.config.user.clone(),
            };
            state.vertex = self.push(Op::Mkdir(op), step.origin(text));
            vertex = Some(state.vertex);
        }
        state.commit(format!("WORKDIR {directory}"), vertex);
        state.config.config.working_dir = directory;
    }

    pub(super) fn volume(&mut self, state: &mut StageState, volumes: &[Located]) {
        let mut paths = Vec::new();
        for volume in volumes {
            match self.expand(state, volume) {
                Some(path) if path.is_empty() => {
                    let message = format!("'{}' of VOLUME is empty", volume.text);
                    self.faults.push(Diagnostic::new(volume.span, message).help("give it a value"));
                }
                Some(path) => paths.push(path),
                None => {}
            }
        }
        let known = paths.iter().map(|path| (path.clone(), Empty {}));
        state.config.config.volumes.extend(known);
        state.commit(format!("VOLUME {}", created_by::list(&paths)), None);
    }

    pub(super) fn stop_signal(&mut self, state: &mut StageState, signal: &Located) {
        let Some(name) = self.expand(state, signal) else { return };
        if !is_signal(&name) {
            let shown: String = name.chars().take(60).collect();
            self.faults.push(
                Diagnostic::new(signal.span, format!("'{shown}' is not a signal"))
                    .help("write a name such as SIGTERM, or a number")
                    .suggest(&name, SIGNALS),
            );
        }
        state.commit(format!("STOPSIGNAL {name}"), None);
        state.config.config.stop_signal = name;
    }
}

impl StageState {
    /// A command with the shell before it where it is in shell form.
    pub(super) fn with_shell(&self, command: &CommandLine) -> Vec<String> {
        if command.exec {
            return command.words.clone();
        }
        let mut words = self.config.config.shell.clone();
        if words.is_empty() {
            words = vec!["/bin/sh".into(), "-c".into()];
        }
        words.push(command.words.join(" "));
        words
    }

    pub(super) fn cmd(&mut self, command: &CommandLine, span: Span) {
        let words = self.with_shell(command);
        self.commit(format!("CMD {}", created_by::quoted_list(&words)), None);
        self.has_cmd = true;
        self.lines.cmd = Some(span);
        self.lines.cmd_shell_form = !command.exec;
        self.config.config.args_escaped = true;
        self.config.config.cmd = Some(words).filter(|words| !words.is_empty());
    }

    /// An ENTRYPOINT drops the CMD that the stage did not set itself.
    pub(super) fn entrypoint(&mut self, command: &CommandLine, span: Span) {
        let words = self.with_shell(command);
        self.commit(format!("ENTRYPOINT {}", created_by::quoted_list(&words)), None);
        self.lines.entrypoint = Some(span);
        self.lines.entrypoint_shell_form = !command.exec;
        self.config.config.entrypoint = Some(words).filter(|words| !words.is_empty());
        if !self.has_cmd {
            self.config.config.cmd = None;
            self.lines.cmd = None;
            self.lines.cmd_shell_form = false;
        }
    }

    pub(super) fn healthcheck(&mut self, check: &Healthcheck, span: Span) {
        let test = match &check.command {
            None => vec!["NONE".to_owned()],
            Some(command) => {
                let kind = if command.exec { "CMD" } else { "CMD-SHELL" };
                [kind.to_owned()].into_iter().chain(command.words.iter().cloned()).collect()
            }
        };
        let check = config::Healthcheck {
            test,
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        };
        self.commit(created_by::healthcheck(&check), None);
        self.lines.healthcheck = Some(span);
        self.lines.healthcheck_shell_form = check.test[0] == "CMD-SHELL";
        self.config.config.healthcheck = Some(check);
    }

    pub(super) fn shell(&mut self, words: &[String]) {
        self.commit(format!("SHELL {}", created_by::list(words)), None);
        self.config.config.shell = words.to_vec();
    }

    pub(super) fn maintainer(&mut self, name: &str) {
        self.commit(format!("MAINTAINER {name}"), None);
        self.config.author = Some(name.to_owned());
    }
}

/// Signals of Linux by name; the real-time ones are `RTMIN+1` to `RTMAX-1`.
const SIGNALS: [&str; 36] = [
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGRTMIN",
    "SIGRTMAX",
];

/// A number but 0, or a name with or without `SIG`, in any case.
fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |prefix: &str, largest: u32| {
        name.strip_prefix(prefix)
            .and_then(|digits| digits.parse::<u32>().ok())
            .is_some_and(|number| (1..=largest).contains(&number))
    };
    SIGNALS.iter().any(|known| &known[3..] == name) || offset("RTMIN+", 15) || offset("RTMAX-", 14)
}

#[cfg(test)]
mod tests {
    use super::is_signal;

    #[test]
    fn signals() {
        for text in ["9", "SIGTERM", "term", "sigquit", "RTMIN+3", "SIGRTMAX-14"] {
            assert!(is_signal(text), "{text}");
        }
        for text in ["0", "", "SIG", "TERMM", "RTMIN+16", "RTMAX-0"] {
            assert!(!is_signal(text), "{text}");
        }
    }
}
