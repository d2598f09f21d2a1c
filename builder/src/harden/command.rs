//! The commands of an image configuration, and H18: a command in shell form becomes an exec form when
//! it is a plain list of words, because then the shell did nothing but split it.

use std::fmt;

use super::rules::{SHELL, by_name};
use crate::oci::config::ContainerConfig;

/// A field of the configuration that starts something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// ENTRYPOINT.
    Entrypoint,
    /// CMD.
    Cmd,
    /// HEALTHCHECK.
    Healthcheck,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entrypoint => "ENTRYPOINT",
            Self::Cmd => "CMD",
            Self::Healthcheck => "HEALTHCHECK",
        })
    }
}

/// A command as it will be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) field: Field,
    /// Program and arguments.
    pub(super) words: Vec<String>,
    /// In shell form: the command line. `words` then starts the shell.
    pub(super) line: Option<String>,
}

/// The commands that a configuration has. CMD beside an ENTRYPOINT holds arguments, which may be a
/// command again (`tini -- server`).
pub(super) fn commands(config: &ContainerConfig) -> Vec<Command> {
    let mut commands = Vec::new();
    for (field, words) in [(Field::Entrypoint, &config.entrypoint), (Field::Cmd, &config.cmd)] {
        if let Some(words) = words.as_ref().filter(|words| !words.is_empty()) {
            let line = shell_line(words);
            commands.push(Command { field, words: words.clone(), line });
        }
    }
    let test = config.healthcheck.iter().flat_map(|check| check.test.split_first());
    for (form, rest) in test {
        let field = Field::Healthcheck;
        match form.as_str() {
            "CMD" if !rest.is_empty() => {
                let line = shell_line(rest);
                commands.push(Command { field, words: rest.to_vec(), line });
            }
            "CMD-SHELL" => {
                let mut words = config.shell.clone();
                if words.is_empty() {
                    words = vec!["/bin/sh".into(), "-c".into()];
                }
                let line = rest.join(" ");
                words.push(line.clone());
                commands.push(Command { field, words, line: Some(line) });
            }
            _ => {}
        }
    }
    commands
}

/// The command line of `[SHELL, options…, "-c", LINE]`.
fn shell_line(words: &[String]) -> Option<String> {
    let (program, rest) = words.split_first()?;
    let is_shell = by_name(program.rsplit('/').next()?) == Some(SHELL);
    let (line, options) = rest.split_last()?;
    let ends = |word: &String| word.starts_with('-') && word.ends_with('c');
    let all = options.iter().all(|word| word.starts_with('-') || word == "pipefail");
    (is_shell && all && options.last().is_some_and(ends)).then(|| line.clone())
}

/// Writes a command back into its field in exec form.
pub(super) fn store(config: &mut ContainerConfig, field: Field, words: Vec<String>) {
    match field {
        Field::Entrypoint => {
            // A shell never saw CMD: its words were the shell's own parameters.
            config.cmd = None;
            config.entrypoint = Some(words);
        }
        Field::Cmd => config.cmd = Some(words),
        Field::Healthcheck => {
            if let Some(check) = &mut config.healthcheck {
                check.test = std::iter::once("CMD".to_owned()).chain(words).collect();
            }
        }
    }
    config.args_escaped = false;
}

/// Commands of the shell itself: no program of these names does the same.
const BUILTINS: [&str; 37] = [
    ".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "declare", "eval",
    "exec", "exit", "export", "fg", "for", "function", "getopts", "hash", "if", "jobs", "local",
    "read", "readonly", "return", "set", "shift", "source", "time", "times", "trap", "type",
    "ulimit", "umask", "unset", "until", "while",
];

/// The words of a command line that a shell would do nothing with but split it and take off quotes.
/// `None` for everything else: variables, pipes, globs, redirections, built-in commands.
pub(super) fn plain_words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.trim().chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let text = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        end if end == character => break,
                        '$' | '`' | '\\' | '!' if character == '"' => return None,
                        '\n' => return None,
                        other => text.push(other),
                    }
                }
            }
            // A tilde, a hash and a brace mean something in places; nobody needs them plain.
            'a'..='z'
            | 'A'..='Z'
            | '0'..='9'
            | '_'
            | '@'
            | '%'
            | '+'
            | '='
            | ':'
            | ','
            | '.'
            | '/'
            | '-' => word.get_or_insert_default().push(character),
            _ => return None,
        }
    }
    words.extend(word);
    if words.first().is_some_and(|first| first == "exec") && words.len() > 1 {
        words.remove(0);
    }
    let first = words.first()?;
    let fits = !first.is_empty()
        && !first.contains('=')
        && !first.starts_with('-')
        && !BUILTINS.contains(&first.as_str());
    fits.then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::config::Healthcheck;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).into()).collect()
    }

    #[test]
    fn plain_lines_become_words() {
        for (line, words) in [
            ("node server.js", "node|server.js"),
            ("  exec /app/run --port=80  -v ", "/app/run|--port=80|-v"),
            ("run 'two words' \"and three\" ''", "run|two words|and three|"),
            ("a'b'c", "abc"),
        ] {
            assert_eq!(plain_words(line).map(|words| words.join("|")).as_deref(), Some(words));
        }
        for line in [
            "",
            "a && b",
            "a | b",
            "a > b",
            "$HOME/x",
            "run \"$X\"",
            "a;b",
            "a*",
            "A=b run",
            "cd /x",
            "~/run",
            "run 'open",
            "(a)",
            "run \\n",
            "a\nb",
            "exec",
            "if x",
            "run &",
            "-c",
        ] {
            assert_eq!(plain_words(line), None, "{line}");
        }
    }

    #[test]
    fn forms_are_told_apart() {
        let config = ContainerConfig {
            entrypoint: Some(list(&["/bin/bash", "-o", "pipefail", "-c", "run me"])),
            cmd: Some(list(&["sh", "-x"])),
            healthcheck: Some(Healthcheck {
                test: list(&["CMD-SHELL", "probe --now"]),
                ..Healthcheck::default()
            }),
            ..ContainerConfig::default()
        };
        let lines: Vec<_> = commands(&config).into_iter().map(|command| command.line).collect();
        assert_eq!(lines, [Some("run me".into()), None, Some("probe --now".into())]);
        assert_eq!(shell_line(&list(&["/bin/sh", "-ec", "x"])).as_deref(), Some("x"));
        assert_eq!(shell_line(&list(&["/bin/sh", "script", "-c", "x"])), None);
        assert_eq!(shell_line(&list(&["env", "-c", "x"])), None);
    }

    #[test]
    fn an_entrypoint_that_was_a_shell_takes_no_cmd() {
        let mut config = ContainerConfig { cmd: Some(list(&["x"])), ..ContainerConfig::default() };
        store(&mut config, Field::Entrypoint, list(&["run"]));
        assert_eq!((config.entrypoint, config.cmd), (Some(list(&["run"])), None));
    }
}
