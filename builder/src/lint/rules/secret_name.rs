//! SecretsUsedInArgOrEnv: names that say that a secret is inside.

use crate::{
    dockerfile::{Kind, Span},
    lint::{
        finding::{Finding, shown},
        rule::SECRETS_USED_IN_ARG_OR_ENV,
        scope::Scope,
        subject::{Step, View},
    },
};

/// Parts of names, between underscores, that speak of a secret.
const SECRET: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "passwd",
    "password",
    "pword",
    "secret",
    "token",
];

/// Does the name speak of a secret, and not of something public?
pub(crate) fn speaks_of_a_secret(name: &str) -> bool {
    let lower = name.to_lowercase();
    let mut parts = lower.split('_');
    parts.clone().any(|part| SECRET.contains(&part)) && !parts.any(|part| part == "public")
}

pub(super) fn check(step: &Step<'_>, _: &Scope, _: &View<'_>, findings: &mut Vec<Finding>) {
    let (keyword, names): (&str, Vec<(&str, Span)>) = match &step.instruction.kind {
        Kind::Arg(arguments) => {
            ("ARG", arguments.iter().map(|argument| (&*argument.name, argument.span)).collect())
        }
        Kind::Env(pairs) => ("ENV", pairs.iter().map(|pair| (&*pair.name, pair.span)).collect()),
        _ => return,
    };
    for (name, span) in names.into_iter().filter(|(name, _)| speaks_of_a_secret(name)) {
        findings.push(Finding::new(
            &SECRETS_USED_IN_ARG_OR_ENV,
            step.lines,
            step.place(span),
            format!("'{}' seems to be a secret, and {keyword} is no place for one", shown(name)),
            "use RUN --mount=type=secret,id=…, which leaves no trace in the image",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::speaks_of_a_secret;

    #[test]
    fn parts_of_names_count() {
        for name in ["API_KEY", "passwd", "AUTH_URL", "GIT_CREDENTIAL", "PUBLICTOKEN_KEY"] {
            assert!(speaks_of_a_secret(name), "{name}");
        }
        for name in ["PUBLIC_KEY", "TOKENIZER", "AUTHOR", "API_KEYS", "MONKEY", "my-token"] {
            assert!(!speaks_of_a_secret(name), "{name}");
        }
    }
}
