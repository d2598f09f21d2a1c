//! Reading what a server answers: never more than was agreed, never endlessly.

use std::time::Duration;

use reqwest::Response;
use serde::Deserialize;

use super::error::Said;

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum BodyFault {
    /// More bytes than the limit.
    TooLarge,
    /// Nothing came for the time allowed.
    Stalled,
    /// The connection broke.
    Broken(reqwest::Error),
}

/// The whole body, of at most `max` bytes; `silence` is the longest wait for the next piece.
pub(super) async fn body(
    mut response: Response,
    max: u64,
    silence: Duration,
) -> Result<Vec<u8>, BodyFault> {
    let mut bytes = Vec::new();
    if response.content_length().is_some_and(|length| length > max) {
        return Err(BodyFault::TooLarge);
    }
    while let Some(piece) = next(&mut response, silence).await? {
        if bytes.len() as u64 + piece.len() as u64 > max {
            return Err(BodyFault::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// The next piece of a body, `None` at its end.
pub(super) async fn next(
    response: &mut Response,
    silence: Duration,
) -> Result<Option<impl AsRef<[u8]> + std::ops::Deref<Target = [u8]> + use<>>, BodyFault> {
    match tokio::time::timeout(silence, response.chunk()).await {
        Err(_) => Err(BodyFault::Stalled),
        Ok(piece) => piece.map_err(BodyFault::Broken),
    }
}

#[derive(Deserialize)]
struct Faults {
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// No more of an error's body is read, in bytes.
const MAX_FAULT: u64 = 16 * 1024;

/// The first error of a refusal's body (distribution-spec, "Error Codes"): `CODE, message`. Bodies
/// that are no such document are mostly HTML pages and are left out.
pub(super) async fn said(response: Response, silence: Duration) -> Said {
    let silence = silence.min(Duration::from_secs(5));
    let Ok(bytes) = body(response, MAX_FAULT, silence).await else { return Said::default() };
    let Ok(faults) = serde_json::from_slice::<Faults>(&bytes) else {
        let text = String::from_utf8_lossy(&bytes);
        let page = text.trim_start().starts_with(['<', '{']);
        return Said(if page { String::new() } else { printable(&text) });
    };
    let text = faults.errors.first().map(|fault| match (&*fault.code, &*fault.message) {
        (code, "") => code.to_owned(),
        ("", message) => message.to_owned(),
        (code, message) => format!("{code}, {message}"),
    });
    Said(printable(&text.unwrap_or_default()))
}

/// The first line of foreign text, without control characters and of at most 200 letters, so that it
/// can neither steer a terminal nor fill it.
pub(super) fn printable(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let hidden = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    line.chars().filter(hidden).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_becomes_harmless() {
        assert_eq!(printable(" a\u{1b}[31mb\u{202e}c\nsecond line"), "a[31mbc");
        assert_eq!(printable(&"x".repeat(999)).len(), 200);
        assert_eq!(printable(""), "");
    }
}
