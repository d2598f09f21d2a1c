//! The JSON form of a verification (docs/verdict.md).

use serde::Serialize;
use touchmark_attest::policy::{
    Accepted, Check, Covered, Rejected, SCHEMA_VERSION, Status, Verdict,
};

use crate::{error::CliError, ui::table::ContentCheck};

/// The verdict's own fields, the name that was asked for, and the checks of the image's bytes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    reference: &'a str,
    image: Option<&'a str>,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault<'a>>,
    content: Vec<Content<'a>>,
    checks: &'a [Check],
    accepted: &'a [Accepted],
    rejected: &'a [Rejected],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    platforms: &'a [Covered],
}

#[derive(Serialize)]
struct Content<'a> {
    name: &'a str,
    status: Status,
    detail: &'a str,
}

/// Why there is no verdict.
#[derive(Serialize)]
struct Fault<'a> {
    kind: &'a str,
    message: &'a str,
    help: Vec<&'a str>,
}

/// The document of a verdict.
pub(crate) fn document(
    reference: &str,
    verdict: &Verdict,
    content: &[ContentCheck],
    passed: bool,
) -> Result<String, CliError> {
    let content = content.iter().map(|check| Content {
        name: check.name,
        status: check.status,
        detail: &check.detail,
    });
    text(&Document {
        schema_version: SCHEMA_VERSION,
        reference,
        image: Some(verdict.image()),
        passed,
        error: None,
        content: content.collect(),
        checks: verdict.checks(),
        accepted: verdict.accepted(),
        rejected: verdict.rejected(),
        platforms: verdict.platforms(),
    })
}

/// The document where the image could not be judged: not passed, and why.
pub(crate) fn no_verdict(reference: &str, error: &CliError) -> Result<String, CliError> {
    // A message may bring its own help lines.
    let mut parts = error.message().split("\nhelp: ");
    let message = parts.next().unwrap_or_default();
    let help = parts.chain(error.hints().iter().map(String::as_str)).collect();
    text(&Document {
        schema_version: SCHEMA_VERSION,
        reference,
        image: None,
        passed: false,
        error: Some(Fault { kind: error.kind(), message, help }),
        content: Vec::new(),
        checks: &[],
        accepted: &[],
        rejected: &[],
        platforms: &[],
    })
}

fn text(document: &Document<'_>) -> Result<String, CliError> {
    serde_json::to_string_pretty(document).map_err(|error| CliError::failed(error.to_string()))
}
