//! `[verify]`: what an image must show before it is accepted.

use super::{fault::Faults, section::Section};

/// What `touchmark verify` and the admission webhook expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyPolicy {
    /// Public key files, relative to the policy file; one of them must have signed.
    pub keys: Vec<String>,
    /// Identities of keyless signatures, one of which must have signed.
    pub identities: Vec<Identity>,
    /// Trusted-root file of the keyless services, relative to the policy file.
    pub trusted_root: Option<String>,
    /// The evidence that must be there and verify.
    pub require: Vec<Evidence>,
    /// Accepted `builder.id` values of the provenance; empty accepts every one.
    pub builders: Vec<String>,
    /// Accepted source URIs of the provenance, with `*` at the end for every continuation; empty
    /// accepts every one.
    pub sources: Vec<String>,
    /// Whether only hermetic builds are accepted.
    pub hermetic: bool,
}

/// An OpenID identity as it stands in a signing certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Subject alternative name, exact.
    pub subject: String,
    /// Issuer URL, exact.
    pub issuer: String,
}

/// The pieces of evidence about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// The signature of the image itself.
    Signature,
    /// SLSA provenance.
    Provenance,
    /// The SBOM.
    Sbom,
    /// The hardening report.
    Hardening,
    /// A rebuild that gave the same image.
    Rebuild,
}

/// The words for evidence in the policy file and in reports.
pub const EVIDENCE: [(&str, Evidence); 5] = [
    ("signature", Evidence::Signature),
    ("provenance", Evidence::Provenance),
    ("sbom", Evidence::Sbom),
    ("hardening", Evidence::Hardening),
    ("rebuild", Evidence::Rebuild),
];

impl Default for VerifyPolicy {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            identities: Vec::new(),
            trusted_root: None,
            require: vec![Evidence::Signature, Evidence::Provenance, Evidence::Sbom],
            builders: Vec::new(),
            sources: Vec::new(),
            hermetic: false,
        }
    }
}

const KEYS: [&str; 7] =
    ["keys", "identity", "trusted-root", "require", "builders", "sources", "hermetic"];

impl VerifyPolicy {
    pub(super) fn read(section: &Section<'_>, faults: &mut Faults<'_>) -> Self {
        section.only(&KEYS, faults);
        let mut list = |key: &str| {
            let texts = section.texts(key, faults).unwrap_or_default();
            texts.into_iter().map(|text| text.value.to_owned()).collect::<Vec<String>>()
        };
        let (keys, builders, sources) = (list("keys"), list("builders"), list("sources"));
        let default = Self::default();
        Self {
            keys,
            identities: identities(section, faults),
            trusted_root: section.text("trusted-root", faults).map(|text| text.value.to_owned()),
            require: evidence(section, faults).unwrap_or(default.require),
            builders,
            sources,
            hermetic: section.flag("hermetic", faults).unwrap_or(default.hermetic),
        }
    }
}

fn identities(section: &Section<'_>, faults: &mut Faults<'_>) -> Vec<Identity> {
    let mut identities = Vec::new();
    for table in section.sections("identity", faults) {
        table.only(&["subject", "issuer"], faults);
        let subject = table.required("subject", faults);
        let issuer = table.required("issuer", faults);
        if let (Some(subject), Some(issuer)) = (subject, issuer) {
            let (subject, issuer) = (subject.value.to_owned(), issuer.value.to_owned());
            identities.push(Identity { subject, issuer });
        }
    }
    identities
}

fn evidence(section: &Section<'_>, faults: &mut Faults<'_>) -> Option<Vec<Evidence>> {
    let mut required = Vec::new();
    for word in section.texts("require", faults)? {
        match EVIDENCE.iter().find(|(name, _)| *name == word.value) {
            Some((_, evidence)) => required.push(*evidence),
            None => faults.add(
                word.span,
                format!("'{}' is no kind of evidence", word.value),
                "write one of: signature, provenance, sbom, hardening, rebuild".into(),
            ),
        }
    }
    Some(required)
}
