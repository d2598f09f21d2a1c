//! SecretValue: private keys and tokens that stand in the text, told by their form.

use crate::{
    dockerfile::{Kind, Span, copy::Copy, run::Run},
    lint::{
        finding::Finding,
        rule::SECRET_VALUE,
        scope::Scope,
        subject::{Step, View},
    },
};

/// What begins a token, how many letters follow at least, and what it is.
const TOKENS: [(&str, usize, &str); 12] = [
    ("AKIA", 16, "an access key id"),
    ("ASIA", 16, "an access key id"),
    ("ghp_", 36, "a personal access token"),
    ("gho_", 36, "an access token"),
    ("ghs_", 36, "an access token"),
    ("github_pat_", 40, "a personal access token"),
    ("glpat-", 20, "a personal access token"),
    ("npm_", 36, "a package registry token"),
    ("pypi-AgE", 40, "a package index token"),
    ("sk_live_", 24, "a payment key"),
    ("xoxb-", 24, "a bot token"),
    ("xoxp-", 24, "a user token"),
];

/// What the text holds, if it is a secret for certain.
fn secret_in(text: &str) -> Option<&'static str> {
    let private = text.find("-----BEGIN ").is_some_and(|at| {
        text[at..].lines().next().is_some_and(|line| line.contains("PRIVATE KEY-----"))
    });
    if private {
        return Some("a private key");
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.split(|c: char| !is_part(c)).find_map(|word| {
        TOKENS.iter().find_map(|(start, least, what)| {
            let rest = word.strip_prefix(start)?;
            (rest.len() >= *least).then_some(*what)
        })
    })
}

pub(super) fn check(step: &Step<'_>, _: &Scope, _: &View<'_>, findings: &mut Vec<Finding>) {
    for (text, span) in texts(step) {
        if let Some(what) = secret_in(text) {
            findings.push(Finding::new(
                &SECRET_VALUE,
                step.lines,
                step.place(span),
                format!("{what} stands in the Dockerfile, and so in the image's history"),
                "withdraw it where it was issued, and use RUN --mount=type=secret,id=…",
            ));
        }
    }
}

/// The texts of an instruction that can hold a value; only places are shown, never the values.
fn texts<'s>(step: &'s Step<'_>) -> Vec<(&'s str, Span)> {
    let lines = step.instruction.span;
    match &step.instruction.kind {
        Kind::Arg(arguments) => arguments
            .iter()
            .filter_map(|argument| Some((argument.default.as_deref()?, argument.span)))
            .collect(),
        Kind::Env(pairs) | Kind::Label(pairs) => {
            pairs.iter().map(|pair| (&*pair.value, pair.span)).collect()
        }
        Kind::Run(Run { command, heredocs, .. }) => {
            let words = command.words.iter().map(String::as_str);
            let bodies = heredocs.iter().map(|heredoc| heredoc.contents.as_str());
            words.chain(bodies).map(|text| (text, lines)).collect()
        }
        Kind::Copy(Copy { inline, .. }) | Kind::Add(Copy { inline, .. }) => {
            inline.iter().map(|heredoc| (heredoc.contents.as_str(), lines)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::secret_in;

    #[test]
    fn forms_of_secrets() {
        let token = format!("ghp_{}", "a1B2".repeat(9));
        assert_eq!(secret_in(&format!("curl -H 'x: {token}'")), Some("a personal access token"));
        let key = "a\n-----BEGIN OPENSSH PRIVATE KEY-----\n";
        assert_eq!(secret_in(key), Some("a private key"));
        for text in ["ghp_short", "-----BEGIN PUBLIC KEY-----", "AKIA", "npm_config_cache=/x"] {
            assert_eq!(secret_in(text), None, "{text}");
        }
    }
}
