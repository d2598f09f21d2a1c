//! RUN.

use super::{
    diagnostic::Diagnostic,
    heredoc::Heredoc,
    instruction::{CommandLine, Kind, Located},
    mount::MountOptions,
    statement::{
        FlagKind::{Value, Values},
        Known, Statement,
    },
};

/// What RUN says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The command.
    pub command: CommandLine,
    /// The here-documents of a shell form.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`, in order.
    pub mounts: Vec<RunMount>,
    /// `--network`
    pub network: Network,
    /// `--security`
    pub security: Security,
    /// `--device`, names of CDI devices.
    pub devices: Vec<Located>,
}

/// One `--mount`; its values may hold variables, so it is read when the stage's are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMount {
    /// The text of the flag's value.
    pub written: Located,
    /// `from=`, which may hold no variable.
    pub from: Option<String>,
}

/// `--network`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// What the build gives to a step.
    #[default]
    Default,
    /// Loopback only.
    None,
    /// The host's, an entitlement.
    Host,
}

/// `--security`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Security {
    /// Default capabilities and system call filter.
    #[default]
    Sandbox,
    /// All capabilities, no filter; an entitlement.
    Insecure,
}

const RUN: Known =
    &[("mount", Values), ("network", Value), ("security", Value), ("device", Values)];

pub(super) fn run(statement: &mut Statement<'_>) -> Option<Kind> {
    let flags = statement.flags(RUN);
    let mounts: Vec<RunMount> =
        flags.values("mount").filter_map(|written| mount(statement, written)).collect();
    let network = choice(
        statement,
        flags.value("network"),
        &[("default", Network::Default), ("none", Network::None), ("host", Network::Host)],
    );
    let security = choice(
        statement,
        flags.value("security"),
        &[("sandbox", Security::Sandbox), ("insecure", Security::Insecure)],
    );
    let known = statement.faults.len();
    let command = statement.command_line();
    let sound = statement.faults.len() == known;
    if sound && command.words.is_empty() {
        let help = "write for example: RUN make install";
        if command.exec {
            statement.fault_here("RUN needs a command".into(), help);
        } else {
            let span = statement.span(&statement.keyword);
            let message = "RUN has no command; the shell is run with nothing to do";
            statement.warnings.push(Diagnostic::new(span, message).help(help));
        }
    }
    let heredocs = std::mem::take(&mut statement.heredocs);
    let devices = flags.values("device").collect();
    Some(Kind::Run(Run { command, heredocs, mounts, network, security, devices }))
}

/// One of a few values, by name.
fn choice<T: Copy + Default>(
    statement: &mut Statement<'_>,
    flag: Option<Located>,
    known: &[(&str, T)],
) -> T {
    let Some(flag) = flag else { return T::default() };
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == flag.text) {
        return *value;
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let message = format!("'{}' is none of {}", flag.text, names.join(", "));
    statement.faults.push(
        Diagnostic::new(flag.span, message)
            .help(format!("write one of {}", names.join(", ")))
            .suggest(&flag.text, names),
    );
    T::default()
}

/// Checks a mount as far as it can be done without variables.
fn mount(statement: &mut Statement<'_>, written: Located) -> Option<RunMount> {
    let fault = |message: String, help: String| Diagnostic::new(written.span, message).help(help);
    let from = match MountOptions::from_of(&written.text) {
        Ok(from) => from,
        Err(error) => {
            let help = error.help();
            statement.faults.push(fault(error.to_string(), help));
            return None;
        }
    };
    if !written.text.contains('$')
        && let Err(error) = MountOptions::parse(&written.text, &|value| Ok(value.to_owned()))
    {
        let help = error.help();
        statement.faults.push(fault(error.to_string(), help));
        return None;
    }
    Some(RunMount { written, from })
}
