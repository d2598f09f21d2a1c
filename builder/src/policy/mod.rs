//! The policy file (`touchmark.toml`), pure: text in, rules out.
//! `fault`, `section` (reading with faults that show the line) ← `glob` ← `registries`, `care` ← `mirror` ←
//! `preset` ← `network` ← `tunnels`; `harden`, `sign`, `verify`, `cache`; `proposal` writes such a file.
//!
//! Absent: reading files, the network, the clock. The caller reads the file and says what cannot be
//! read.

pub mod cache;
pub mod care;
mod fault;
pub mod glob;
pub mod harden;
pub mod mirror;
pub mod network;
pub mod preset;
pub mod proposal;
pub mod registries;
mod section;
pub mod sign;
mod tunnels;
pub mod verify;

pub use cache::CachePolicy;
pub use fault::{Fault, PolicyError};
pub use harden::HardenPolicy;
pub use network::NetworkPolicy;
pub use registries::RegistriesPolicy;
pub use sign::SignPolicy;
pub use verify::VerifyPolicy;

use fault::Faults;
use section::Section;
use toml::de::DeTable;

/// Everything a policy file says. The default is what holds without one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Where images come from and go to.
    pub registries: RegistriesPolicy,
    /// What RUN and ADD may reach.
    pub network: NetworkPolicy,
    /// How far the exported stage is stripped.
    pub harden: HardenPolicy,
    /// With what is signed.
    pub sign: SignPolicy,
    /// What an image must show.
    pub verify: VerifyPolicy,
    /// Whose shared caches are believed.
    pub cache: CachePolicy,
}

const SECTIONS: [&str; 6] = ["registries", "network", "harden", "sign", "verify", "cache"];

impl Policy {
    /// Reads the text of a policy file (TOML 1.1); `file` is its name for messages. A section that is
    /// absent keeps its defaults.
    ///
    /// # Errors
    /// Every fault of the file at once: bad TOML, unknown keys, wrong types, unknown words.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let mut faults = Faults::new(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            let help = "see https://toml.io for the syntax of the file".to_owned();
            faults.add(span, format!("not TOML: {}", one_line(error.message())), help);
        }
        let policy = match errors.as_slice() {
            [] => Self::read(&Section::new("the policy", &document), &mut faults),
            _ => Self::default(),
        };
        faults.into_result(file).map(|()| policy)
    }

    fn read(document: &Section<'_>, faults: &mut Faults<'_>) -> Self {
        document.only(&SECTIONS, faults);
        let mut policy = Self::default();
        if let Some(section) = document.section("registries", faults) {
            policy.registries = RegistriesPolicy::read(&section, faults);
        }
        if let Some(section) = document.section("network", faults) {
            policy.network = NetworkPolicy::read(&section, faults);
        }
        if let Some(section) = document.section("harden", faults) {
            policy.harden = HardenPolicy::read(&section, faults);
        }
        if let Some(section) = document.section("sign", faults) {
            policy.sign = SignPolicy::read(&section, faults);
        }
        if let Some(section) = document.section("verify", faults) {
            policy.verify = VerifyPolicy::read(&section, faults);
        }
        if let Some(section) = document.section("cache", faults) {
            policy.cache = CachePolicy::read(&section, faults);
        }
        policy
    }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
