//! HEALTHCHECK.

use super::{
    duration,
    instruction::{CommandLine, Kind, Located},
    statement::{FlagKind::Value, Flags, Known, Statement},
    word::Word,
};

/// What HEALTHCHECK says; durations in nanoseconds, 0 where they are not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// The command; `None` is `HEALTHCHECK NONE`.
    pub command: Option<CommandLine>,
    /// `--interval`
    pub interval: u64,
    /// `--timeout`
    pub timeout: u64,
    /// `--start-period`
    pub start_period: u64,
    /// `--start-interval`
    pub start_interval: u64,
    /// `--retries`
    pub retries: u64,
}

const FLAGS: Known = &[
    ("interval", Value),
    ("timeout", Value),
    ("start-period", Value),
    ("start-interval", Value),
    ("retries", Value),
];

pub(super) fn healthcheck(statement: &mut Statement<'_>) -> Option<Kind> {
    let words = statement.words();
    if words.first().is_some_and(|kind| kind.text.eq_ignore_ascii_case("NONE")) {
        return Some(Kind::Healthcheck(none(statement, &words)));
    }
    let flags = statement.flags(FLAGS);
    let help = "write HEALTHCHECK CMD command, or HEALTHCHECK NONE";
    let Some(kind) = words.first() else {
        statement.fault_here("HEALTHCHECK needs an argument".into(), help);
        return None;
    };
    let command = match kind.text.to_ascii_uppercase().as_str() {
        "CMD" => {
            let whole = statement.arguments.clone();
            let start = words.get(1).map_or(whole.end, |word| word.range.start);
            statement.arguments = start..whole.end;
            let command = statement.command_line();
            if command.words.is_empty() {
                statement.fault(
                    &kind.range,
                    "HEALTHCHECK CMD needs a command".into(),
                    "write for example: HEALTHCHECK CMD [\"/app\", \"--health\"]",
                );
            }
            Some(command)
        }
        _ => {
            let shown: String = kind.text.chars().take(60).collect();
            let message = format!("HEALTHCHECK is followed by CMD or NONE, not '{shown}'");
            statement.fault(&kind.range, message, help);
            return None;
        }
    };
    Some(Kind::Healthcheck(Healthcheck {
        command,
        interval: time(statement, &flags, "interval"),
        timeout: time(statement, &flags, "timeout"),
        start_period: time(statement, &flags, "start-period"),
        start_interval: time(statement, &flags, "start-interval"),
        retries: retries(statement, flags.value("retries")),
    }))
}

/// `HEALTHCHECK NONE`. Its flags are not even read.
fn none(statement: &mut Statement<'_>, words: &[Word]) -> Healthcheck {
    if let Some(more) = words.get(1) {
        let message = "HEALTHCHECK NONE takes no arguments".into();
        statement.fault(&more.range, message, "remove what follows NONE");
    }
    statement.ignore_flags("flags mean nothing to HEALTHCHECK NONE");
    Healthcheck {
        command: None,
        interval: 0,
        timeout: 0,
        start_period: 0,
        start_interval: 0,
        retries: 0,
    }
}

/// A duration of at least a millisecond, or 0, which stands also for an empty value.
fn time(statement: &mut Statement<'_>, flags: &Flags, name: &str) -> u64 {
    let Some(flag) = flags.value(name).filter(|flag| !flag.text.is_empty()) else { return 0 };
    match duration::parse(&flag.text) {
        Some(value) if value == 0 || value >= 1_000_000 => value,
        _ => {
            fault(statement, &flag, name, "write a duration of at least 1ms, such as 30s or 1m30s")
        }
    }
}

fn retries(statement: &mut Statement<'_>, flag: Option<Located>) -> u64 {
    let Some(flag) = flag.filter(|flag| !flag.text.is_empty()) else { return 0 };
    match flag.text.parse::<i32>().ok().and_then(|value| u64::try_from(value).ok()) {
        Some(value) => value,
        None => fault(statement, &flag, "retries", "write a number, such as 3"),
    }
}

fn fault(statement: &mut Statement<'_>, flag: &Located, name: &str, help: &str) -> u64 {
    let shown: String = flag.text.chars().take(60).collect();
    let message = format!("'{shown}' is no value of --{name}");
    statement.faults.push(super::Diagnostic::new(flag.span, message).help(help));
    0
}
