//! The answers to `--call targets` and `--call outline` as JSON.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

#[derive(Serialize)]
struct WithSource<'a, T> {
    #[serde(flatten)]
    answer: &'a T,
    /// The texts that the locations are about; here one.
    sources: [String; 1],
}

/// One JSON object with the Dockerfile's text beside the answer, as BuildKit gives it.
///
/// # Errors
/// Never in practice: nothing in it can fail to be written.
pub fn json<T: Serialize>(answer: &T, source: &str) -> Result<String, serde_json::Error> {
    let sources = [STANDARD.encode(source)];
    serde_json::to_string_pretty(&WithSource { answer, sources }).map(|text| text + "\n")
}
