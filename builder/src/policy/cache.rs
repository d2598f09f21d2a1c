//! `[cache]`: whose shared caches are believed.

use super::{fault::Faults, section::Section};

/// What is believed of caches that other machines wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CachePolicy {
    /// Public key files, relative to the policy file: a shared cache that one of them signed is read.
    /// The build's own key need not be among them.
    pub trust: Vec<String>,
}

impl CachePolicy {
    pub(super) fn read(section: &Section<'_>, faults: &mut Faults<'_>) -> Self {
        section.only(&["trust"], faults);
        Self { trust: trust(section, faults) }
    }
}

/// `trust = [{ key = "team.pub" }]`
fn trust(section: &Section<'_>, faults: &mut Faults<'_>) -> Vec<String> {
    let mut keys = Vec::new();
    for table in section.sections("trust", faults) {
        table.only(&["key"], faults);
        if let Some(key) = table.required("key", faults) {
            keys.push(key.value.to_owned());
        }
    }
    keys
}
