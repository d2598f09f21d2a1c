//! The tightest policy that lets a recorded build pass again, as the text of a policy file: `area` finds the
//! path patterns, `rule` makes mirrors of requests, `text` writes the file with a comment on each line.

mod area;
mod rule;
mod text;

pub(super) use text::quoted;

use super::{Policy, mirror::Scheme};

/// What a build did, as far as a policy can speak of it.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Registries that images came from or go to, with what for.
    pub registries: Vec<(String, String)>,
    /// Everything that was fetched by steps, ADD and git.
    pub requests: Vec<Request>,
    /// The level of hardening.
    pub harden: String,
    /// The builder's id.
    pub builder: String,
    /// The URI of the source, where it is a repository.
    pub source: Option<String>,
    /// Public key files that verified the record.
    pub keys: Vec<String>,
    /// Was everything that was fetched known?
    pub hermetic: bool,
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The scheme that was asked for.
    pub scheme: Scheme,
    /// The host that was asked for.
    pub host: String,
    /// The port that was asked for.
    pub port: u16,
    /// The path as in the request line.
    pub path: String,
    /// The method, upper case; `CONNECT` for what passed through unseen.
    pub method: String,
    /// The URL that it was fetched from, without query, where that is another one.
    pub fetched_from: Option<String>,
    /// Is it a repository, so that everything below the path is asked for?
    pub repository: bool,
    /// The package type of the ecosystem that it belongs to.
    pub ecosystem: Option<String>,
    /// The line of the Dockerfile.
    pub line: Option<u64>,
}

/// Writes the policy. `known` is one that held for the build: what it says about the same registries, about
/// hardening and keys, is taken over.
#[must_use]
pub fn propose(observed: &Observed, known: Option<&Policy>) -> String {
    let mut text = text::opening();
    text.push_str(&text::registries(observed, known));
    text.push_str(&text::network(&rule::rules(&observed.requests)));
    text.push_str(&text::harden(observed, known));
    text.push_str(&text::sign(known));
    text.push_str(&text::verify(observed));
    text
}
