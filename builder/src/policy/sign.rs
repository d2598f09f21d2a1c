//! `[sign]`: with what the image and its statements are signed.

use super::{fault::Faults, section::Section};

/// How to sign. Without a policy nothing is said and the command line decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignPolicy {
    /// Key file, `pkcs11:` URI or KMS URI; file names are relative to the policy file.
    pub key: Option<String>,
    /// Sign with a short-lived certificate for an OpenID identity instead.
    pub keyless: Option<Keyless>,
}

/// The services of keyless signing; empty ones mean the public instances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyless {
    /// Certificate authority.
    pub fulcio: Option<String>,
    /// Transparency log.
    pub rekor: Option<String>,
    /// Issuer of identity tokens.
    pub oidc_issuer: Option<String>,
}

impl SignPolicy {
    pub(super) fn read(section: &Section<'_>, faults: &mut Faults<'_>) -> Self {
        section.only(&["key", "keyless"], faults);
        let key = section.text("key", faults).map(|key| key.value.to_owned());
        let keyless = section.section("keyless", faults).map(|table| {
            table.only(&["fulcio", "rekor", "oidc-issuer"], faults);
            let mut url = |key: &str| {
                let text = table.text(key, faults).map(|text| text.value.to_owned());
                text.filter(|text| !text.is_empty())
            };
            let (fulcio, rekor, oidc_issuer) = (url("fulcio"), url("rekor"), url("oidc-issuer"));
            Keyless { fulcio, rekor, oidc_issuer }
        });
        if key.is_some() && keyless.is_some() {
            let message = "[sign] has both 'key' and 'keyless'".to_owned();
            faults.add(section.span(), message, "keep the one that is to sign".into());
        }
        Self { key, keyless }
    }
}
