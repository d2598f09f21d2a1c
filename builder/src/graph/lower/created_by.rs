//! The texts of the image's history, as Go's `fmt` writes them for BuildKit.

use std::fmt::Write as _;

use crate::{dockerfile::duration, oci::config::Healthcheck};

/// What BuildKit adds to the entry of an instruction that runs or copies.
pub(super) const BUILDKIT: &str = " # buildkit";

/// A list of strings as `%q` shows it: `["a" "b"]`.
pub(super) fn quoted_list(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", quoted.join(" "))
}

/// A list of strings as `%v` shows it: `[a b]`.
pub(super) fn list(words: &[String]) -> String {
    format!("[{}]", words.join(" "))
}

/// A health check as `%q` shows it, the number of retries as a character.
pub(super) fn healthcheck(check: &Healthcheck) -> String {
    let test = quoted_list(&check.test);
    let [interval, timeout, start_period, start_interval] =
        [check.interval, check.timeout, check.start_period, check.start_interval]
            .map(|time| quoted(&duration::show(time)));
    let retries = u32::try_from(check.retries).ok().and_then(char::from_u32);
    let retries = literal(retries.unwrap_or(char::REPLACEMENT_CHARACTER), '\'');
    format!(
        "HEALTHCHECK &{{{test} {interval} {timeout} {start_period} {start_interval} {retries}}}"
    )
}

/// RUN with the ARGs it sees: `RUN |1 A=b /bin/sh -c make # buildkit`.
pub(super) fn run(args: &[(String, String)], words: &[String]) -> String {
    let mut text = String::from("RUN ");
    if !args.is_empty() {
        let _ = write!(text, "|{} ", args.len());
    }
    for (name, value) in args {
        let _ = write!(text, "{name}={value} ");
    }
    text + &words.join(" ") + BUILDKIT
}

/// A string as a Go literal.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    text.chars().for_each(|c| escape(&mut out, c, '"'));
    out.push('"');
    out
}

/// A character as a Go literal.
fn literal(c: char, quote: char) -> String {
    let mut out = String::from(quote);
    escape(&mut out, c, quote);
    out.push(quote);
    out
}

fn escape(out: &mut String, c: char, quote: char) {
    match c {
        _ if c == quote => out.extend(['\\', c]),
        '\\' => out.push_str("\\\\"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        ' ' => out.push(c),
        c if c < ' ' || c == '\u{7f}' => drop(write!(out, "\\x{:02x}", u32::from(c))),
        c if is_printable(c) => out.push(c),
        c if u32::from(c) < 0x1_0000 => drop(write!(out, "\\u{:04x}", u32::from(c))),
        c => drop(write!(out, "\\U{:08x}", u32::from(c))),
    }
}

/// No control, no space but the plain one, nothing invisible, nothing private. (Go also escapes what its
/// Unicode version does not know; no table of that is kept here.)
fn is_printable(c: char) -> bool {
    let invisible = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}'
        | '\u{e0000}'..='\u{e007f}' | '\u{f0000}'..='\u{10ffff}');
    !c.is_control() && !c.is_whitespace() && !invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_literals() {
        let words =
            ["/bin/sh".into(), "-c".into(), "echo \"a\\n\"\n\t\u{1}é\u{a0}\u{1f600}".into()];
        assert_eq!(
            quoted_list(&words),
            "[\"/bin/sh\" \"-c\" \"echo \\\"a\\\\n\\\"\\n\\t\\x01é\\u00a0\u{1f600}\"]"
        );
        assert_eq!(quoted_list(&[]), "[]");
    }

    #[test]
    fn run_and_healthcheck() {
        let args = [("A".into(), "b".into()), ("C".into(), String::new())];
        assert_eq!(run(&args, &["make".into()]), "RUN |2 A=b C= make # buildkit");
        let check = Healthcheck { test: vec!["NONE".into()], ..Healthcheck::default() };
        assert_eq!(healthcheck(&check), r#"HEALTHCHECK &{["NONE"] "0s" "0s" "0s" "0s" '\x00'}"#);
        let retries = |retries| {
            let text = healthcheck(&Healthcheck { retries, ..Healthcheck::default() });
            text.rsplit(' ').next().unwrap_or_default().to_owned()
        };
        assert_eq!([3, 10, 34, 39].map(retries), ["'\\x03'}", "'\\n'}", "'\"'}", "'\\''}"]);
        assert_eq!(
            [65, 92, 200, 2_000_000].map(retries),
            ["'A'}", "'\\\\'}", "'È'}", "'\u{fffd}'}"]
        );
    }
}
