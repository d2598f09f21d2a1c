//! Whole messages compared with a file. What differs from run to run is replaced first.

use std::{fs, path::Path};

use crate::repository;

/// Fails unless `actual` equals `tests/e2e/snapshots/<name>.txt`. With `UPDATE_GOLDEN` set the file is written.
#[track_caller]
pub fn assert(name: &str, actual: &str) {
    let path = repository().join("tests/e2e/snapshots").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().expect("has a folder")).expect("the snapshots' folder");
        fs::write(&path, actual).expect("the snapshot");
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let place = place(&path);
    assert!(
        expected == actual,
        "{place} differs; read it, then accept it with UPDATE_GOLDEN=1\n--- expected\n{expected}\n--- actual\n{actual}"
    );
}

fn place(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap_or(path).display().to_string()
}

/// Talk about transfers: which blobs there are, how large, and when they arrive is the machine's affair.
const TRANSFERS: [&str; 2] = ["=> pulling ", "=> pulled "];

/// `text` without its lines on transfers, and with digests, ports of loopback addresses, durations, dates, ids and sizes in transfer replaced by names.
#[must_use]
pub fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let is_transfer = |line: &&str| TRANSFERS.iter().any(|begin| line.starts_with(begin));
    for line in text.lines().filter(|line| !is_transfer(line)) {
        let mut words = String::with_capacity(line.len());
        let mut rest = line;
        while !rest.is_empty() {
            let (name, length) = variable(rest, words.chars().next_back());
            match name {
                Some(name) => words.push_str(name),
                None => words.push_str(&rest[..length]),
            }
            rest = &rest[length..];
        }
        out.push_str(words.trim_end());
        out.push('\n');
    }
    out
}

/// What varies at the start of `rest`: its name and length; else the length of one character.
fn variable(rest: &str, before: Option<char>) -> (Option<&'static str>, usize) {
    let one = rest.chars().next().map_or(1, char::len_utf8);
    let hex = rest.strip_prefix("sha256:").map_or(0, |hex| leading(hex, |c| c.is_ascii_hexdigit()));
    if hex >= 12 {
        return (Some("sha256:DIGEST"), 7 + hex);
    }
    for host in ["127.0.0.1:", "localhost:", "[::1]:"] {
        let digits =
            rest.strip_prefix(host).map_or(0, |port| leading(port, |c| c.is_ascii_digit()));
        if digits > 0 {
            return (Some("127.0.0.1:PORT"), host.len() + digits);
        }
    }
    if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        return (None, one);
    }
    let hex = leading(rest, |c| c.is_ascii_hexdigit());
    if hex == 64 {
        return (Some("HEX"), hex);
    }
    if is_date(rest) {
        return (
            Some("DATE"),
            leading(rest, |c| c.is_ascii_digit() || matches!(c, '-' | ':' | 'T' | 'Z' | '.' | '+')),
        );
    }
    match duration(rest) {
        Some(length) => (Some("TIME"), length),
        None => (None, one),
    }
}

fn leading(text: &str, wanted: impl Fn(char) -> bool) -> usize {
    text.find(|c| !wanted(c)).unwrap_or(text.len())
}

fn is_date(text: &str) -> bool {
    let shape = text.bytes().take(11).enumerate();
    text.len() >= 11
        && shape.fold(true, |fits, (at, byte)| {
            fits && match at {
                4 | 7 => byte == b'-',
                10 => byte == b'T',
                _ => byte.is_ascii_digit(),
            }
        })
}

/// Length of `12ms`, `1.5s`, `0.3 s`, `2m03s` at the start of `text`.
fn duration(text: &str) -> Option<usize> {
    let number = leading(text, |c| c.is_ascii_digit() || c == '.');
    if number == 0 || text.starts_with('.') {
        return None;
    }
    let space = usize::from(text[number..].starts_with(' '));
    let unit =
        ["ms", "µs", "s"].into_iter().find(|unit| text[number + space..].starts_with(unit))?;
    let end = number + space + unit.len();
    let next = text[end..].chars().next();
    next.is_none_or(|c| !c.is_alphanumeric() && c != '_').then_some(end)
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn what_varies_is_named_and_the_rest_stays() {
        let hex = "0f".repeat(32);
        let text = format!(
            "pulled 127.0.0.1:40123/a@sha256:{hex} in 1.25s (3 steps, 12 ms)  \nat 2026-01-02T03:04:05Z, exit 7, \
             {hex}, v1.2 3 sources, 203.0.113.7:80 a1s"
        );
        let named = "pulled 127.0.0.1:PORT/a@sha256:DIGEST in TIME (3 steps, TIME)\nat DATE, exit 7, HEX, v1.2 3 \
                     sources, 203.0.113.7:80 a1s\n";
        assert_eq!(normalise(&text), named);
        assert_eq!(normalise("a\n=> pulling 0123456789ab (1.3 MB)\nb"), "a\nb\n");
    }
}
