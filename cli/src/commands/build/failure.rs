//! A failed build in the user's words: the line of the Dockerfile, what happened, what to do, and the
//! exit code.

use touchmark_builder::{
    attestations::find::FindError,
    base_trust::BaseTrustError,
    build::BuildError,
    dockerfile::{Diagnostic, Span, excerpt},
    egress::Refusal,
    graph::ConfigLines,
    harden::{Field, HardenError},
    lint::selection::CheckError,
    registry::error::RegistryError,
    solver::error::SolveError,
    source::image::ImageSourceError,
};

use crate::error::{CliError, NO_ROOM};

/// The error as it is shown. `name` and `source` are those of the Dockerfile.
pub(super) fn explain(error: &BuildError, name: &str, source: &str) -> CliError {
    match error {
        BuildError::Dockerfile(faults) => super::faults(name, source, faults),
        BuildError::Check(error) => check(error),
        BuildError::Image(error) => image(error, name, source),
        BuildError::BaseTrust(error) => base_trust(error, name, source),
        BuildError::Solve(error) => solve(error, name, source),
        BuildError::Harden { error, lines } => hardening(error, lines, name, source),
        BuildError::Export(error) if error.is_environment() => {
            CliError::environment(error.to_string())
        }
        other => CliError::failed(other.to_string()),
    }
}

/// An error at a place of the Dockerfile. A message may bring its own `help:` lines.
fn at(span: Span, message: &str, name: &str, source: &str) -> String {
    let (first, rest) = message.split_once('\n').unwrap_or((message, ""));
    let shown = excerpt(name, source, &Diagnostic::new(span, first));
    match rest {
        "" => shown.trim_end().to_owned(),
        rest => format!("{}\n{rest}", shown.trim_end()),
    }
}

fn registry(error: &RegistryError, text: String) -> CliError {
    if error.is_environment() { CliError::environment(text) } else { CliError::failed(text) }
}

fn image(error: &ImageSourceError, name: &str, source: &str) -> CliError {
    match error {
        ImageSourceError::At { span, cause } => {
            let text = at(*span, &cause.to_string(), name, source);
            match cause.as_ref() {
                ImageSourceError::Registry(error) => registry(error, text),
                _ => CliError::failed(text),
            }
        }
        ImageSourceError::Registry(error) => registry(error, error.to_string()),
        other => CliError::failed(other.to_string()),
    }
}

fn base_trust(error: &BaseTrustError, name: &str, source: &str) -> CliError {
    match error {
        BaseTrustError::Unreadable { span, cause, .. } => {
            let text = at(*span, &error.to_string(), name, source);
            match cause {
                FindError::Registry(cause) => registry(cause, text),
                _ => CliError::failed(text),
            }
        }
        BaseTrustError::Unsigned { span, .. } => {
            CliError::failed(at(*span, &error.to_string(), name, source))
        }
        other => CliError::failed(other.to_string()),
    }
}

fn solve(error: &SolveError, name: &str, source: &str) -> CliError {
    if let SolveError::Several(errors) = error {
        return several(errors.iter().map(|error| solve(error, name, source)));
    }
    let SolveError::At { span, cause, .. } = error else {
        return CliError::failed(error.to_string());
    };
    match cause.as_ref() {
        SolveError::Exit { code, refusals, full } => {
            let mut text = exit(*span, *code, refusals, name, source);
            if let Some(place) = full {
                text.push_str(&format!("\ndisk: {} has {NO_ROOM}", place.display()));
            }
            CliError::failed(text)
        }
        SolveError::Registry(error) => registry(error, at(*span, &error.to_string(), name, source)),
        SolveError::Source(error) => {
            let shown = CliError::failed(at(*span, &error.to_string(), name, source));
            match error.help() {
                Some(help) => shown.hint(help),
                None => shown,
            }
        }
        other => CliError::failed(at(*span, &other.to_string(), name, source)),
    }
}

/// Several failures as one: each with its own help, parted by blank lines.
fn several(errors: impl Iterator<Item = CliError>) -> CliError {
    let all: Vec<String> = errors.map(|error| error.to_string()).collect();
    let bare = |text: &str| text.strip_prefix("error: ").unwrap_or(text).to_owned();
    let more = all.iter().skip(1).map(|text| format!("\n\nerror: {}", bare(text)));
    CliError::failed(all.first().into_iter().cloned().chain(more).collect::<String>())
}

/// Refusals that an error names; a step can try any number of hosts.
const SHOWN: usize = 20;

fn exit(span: Span, code: u32, refusals: &[Refusal], name: &str, source: &str) -> String {
    let mut text = at(span, &format!("RUN ended with exit code {code}"), name, source);
    for refusal in refusals.iter().take(SHOWN) {
        text.push_str(&format!("\nnetwork: {refusal}"));
    }
    if refusals.len() > SHOWN {
        text.push_str(&format!("\nnetwork: and {} more refusals", refusals.len() - SHOWN));
    }
    text
}

/// Each command that would not start, at its own line.
fn hardening(error: &HardenError, lines: &ConfigLines, name: &str, source: &str) -> CliError {
    let faults = match error {
        HardenError::Start(faults) => faults,
        HardenError::RootUser { .. } if let Some(span) = lines.user => {
            return CliError::failed(at(span, &error.to_string(), name, source));
        }
        other => return CliError::failed(other.to_string()),
    };
    let shown = faults.iter().map(|fault| {
        let line = match fault.field {
            Field::Entrypoint => lines.entrypoint,
            Field::Cmd => lines.cmd,
            Field::Healthcheck => lines.healthcheck,
        };
        match line {
            Some(span) => at(span, &fault.to_string(), name, source),
            None => format!("{fault}\nhelp: the base image sets it; set it in the Dockerfile"),
        }
    });
    CliError::failed(shown.collect::<Vec<_>>().join("\n\n"))
}

/// A broken rule is a failed build, as docker has it; a build argument that cannot be read is wrong usage.
fn check(error: &CheckError) -> CliError {
    let shown = match error {
        CheckError::Broken(_) => CliError::failed(error.to_string()),
        CheckError::Options { .. } => CliError::usage(error.to_string()),
    };
    shown.hint(error.help())
}
