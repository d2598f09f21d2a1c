//! Certificates as text (RFC 7468).

use std::ops::Range;

use base64::{Engine, prelude::BASE64_STANDARD};

const WIDTH: usize = 64;
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
/// The labels of certificates; OpenSSL's trusted ones have more after the certificate.
const LABELS: [&[u8]; 3] =
    [b"CERTIFICATE-----", b"TRUSTED CERTIFICATE-----", b"X509 CERTIFICATE-----"];

/// The certificate as text, with a line's end.
pub(super) fn encode(certificate: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(WIDTH));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// The certificates in a text, each with the lines where it stands.
pub(super) fn certificates(text: &[u8]) -> Vec<(Range<usize>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, Vec<u8>)> = None;
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (start, trimmed) = (at, line.trim_ascii());
        at += line.len();
        if let Some(label) = trimmed.strip_prefix(BEGIN) {
            open = LABELS.contains(&label).then(|| (start, Vec::new()));
        } else if trimmed.starts_with(END) {
            if let Some((begin, text)) = open.take()
                && let Ok(certificate) = BASE64_STANDARD.decode(text)
            {
                found.push((begin..at, certificate));
            }
        } else if let Some((_, text)) = &mut open {
            text.extend_from_slice(trimmed);
        }
    }
    found
}

/// The text without `certificate`, and without the line above it that gives its `name`.
pub(super) fn without(text: &[u8], certificate: &[u8], name: &str) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    let mut at = 0;
    for (range, one) in certificates(text) {
        if !one.starts_with(certificate) {
            continue;
        }
        let before = text.get(at..range.start).unwrap_or_default();
        let last = before.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let named = last.starts_with(b"#") && memchr::memmem::find(last, name.as_bytes()).is_some();
        let mut after = range.end;
        if named {
            let end = before.trim_ascii_end().len() - last.len();
            kept.extend_from_slice(&before[..end]);
            // Such lists have an empty line after each.
            after += usize::from(text.get(after) == Some(&b'\n'));
        } else {
            kept.extend_from_slice(before);
        }
        at = after;
    }
    kept.extend_from_slice(text.get(at..).unwrap_or_default());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_leaves_the_rest_as_it_was() {
        let (ours, other) = (vec![7; 100], vec![8; 100]);
        let (mine, theirs) = (encode(&ours), encode(&other));
        let kept = |text: &str| String::from_utf8(without(text.as_bytes(), &ours, "Ours")).unwrap();
        assert_eq!(kept(&format!("{theirs}{mine}")), theirs);
        assert_eq!(kept(&format!("{mine}{theirs}{mine}")), theirs);
        assert_eq!(
            kept(&format!("# Ours\n{mine}\n# Theirs\n{theirs}\n")),
            format!("# Theirs\n{theirs}\n")
        );
        assert_eq!(
            kept(&format!("# Theirs\n{theirs}\n# Ours\n{mine}\n")),
            format!("# Theirs\n{theirs}\n")
        );
        assert_eq!(kept(&theirs), theirs);
        assert_eq!(kept(&mine), "");
        let windows = mine.replace('\n', "\r\n");
        assert_eq!(kept(&format!("text\r\n{windows}more")), "text\r\nmore");
        let trusted = encode(&[&ours[..], &[1, 2]].concat()).replace(" CERT", " TRUSTED CERT");
        assert_eq!(kept(&trusted), "");
    }

    #[test]
    fn broken_texts_hold_nothing() {
        for text in [
            "",
            "-----BEGIN CERTIFICATE-----\nAAAA",
            "-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert_eq!(certificates(text.as_bytes()), [], "{text}");
        }
    }
}
