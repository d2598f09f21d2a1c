//! What a rule says about fetching, beyond from where: who logs in, and how much may come.

use std::time::Duration;

use super::{fault::Faults, section::Section};

/// The login and the bounds of one rule. Where a bound is absent, `network.limits` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Care {
    /// The rule, as records name it; what it gave in all is counted by this name.
    pub rule: String,
    /// Who logs in.
    pub login: Option<Login>,
    /// Bytes of one answer.
    pub body: Option<u64>,
    /// Bytes of all answers of one build.
    pub total: Option<u64>,
    /// Time for one answer, to its last byte.
    pub time: Option<Duration>,
    /// Redirects that ADD follows.
    pub redirects: Option<u64>,
}

/// A build secret that logs in with a mirror. The policy holds its name, never its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The id, as in `--secret id=…`.
    pub secret: String,
    /// The line of the policy that names it.
    pub line: usize,
    /// The mirror's host, as the policy names it.
    pub host: String,
}

const KEYS: [&str; 4] = ["body-bytes", "total-bytes", "seconds", "redirects"];

impl Care {
    /// Reads the keys `credentials` and `limits` of a mirror's table; `host` is its host.
    pub(super) fn read(
        section: &Section<'_>,
        (rule, host): (String, &str),
        faults: &mut Faults<'_>,
    ) -> Self {
        let login = section.text("credentials", faults).map(|text| {
            if text.value.is_empty() {
                let help = "write the id of a build secret, as in credentials = \"mirror-token\"";
                faults.add(text.span.clone(), "'credentials' is empty".into(), help.into());
            }
            let line = faults.line(&text.span);
            Login { secret: text.value.to_owned(), line, host: host.to_owned() }
        });
        let mut care = Self { rule, login, ..Self::default() };
        if let Some(limits) = section.section("limits", faults) {
            limits.only(&KEYS, faults);
            care.body = limits.count("body-bytes", faults);
            care.total = limits.count("total-bytes", faults);
            care.time = limits.count("seconds", faults).map(Duration::from_secs);
            care.redirects = limits.count("redirects", faults);
        }
        care
    }
}
