//! What the builder takes along on its way out and no step ever sees: the machine's proxies, and what logs in with
//! mirrors.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    policy::{NetworkPolicy, care::Login},
    proxy::Proxies,
    secret::{Secret, SecretBytes},
};

/// Proxies and logins.
#[derive(Debug, Clone, Default)]
pub struct WayOut {
    /// The machine's proxies.
    pub proxies: Proxies,
    /// What logs in with mirrors.
    pub logins: Logins,
}

/// The values of `Authorization` for mirrors, by the id of the secret.
#[derive(Debug, Clone, Default)]
pub struct Logins(Arc<BTreeMap<String, Secret>>);

/// Why a mirror cannot be logged in with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The secret is not there.
    #[error(
        "line {line} of the policy: the mirror '{host}' logs in with the secret '{secret}', which the build was not \
         given\nhelp: add --secret id={secret},src=FILE or --secret id={secret},env=NAME"
    )]
    Missing {
        /// The line of the policy.
        line: usize,
        /// The mirror.
        host: String,
        /// The secret's id.
        secret: String,
    },
    /// The secret is no text for a header.
    #[error(
        "line {line} of the policy: the secret '{secret}' is no login for the mirror '{host}'\nhelp: it is one line: a \
         token, user:password, or the whole of a header, as in 'Bearer …'"
    )]
    Malformed {
        /// The line of the policy.
        line: usize,
        /// The mirror.
        host: String,
        /// The secret's id.
        secret: String,
    },
}

impl Logins {
    /// Finds what the policy's mirrors log in with among the build's secrets.
    ///
    /// # Errors
    /// [`LoginError`] for the first one that is not there or is no login.
    pub fn find(
        policy: &NetworkPolicy,
        secrets: &BTreeMap<String, SecretBytes>,
    ) -> Result<Self, LoginError> {
        let mut found = BTreeMap::new();
        for Login { secret, line, host } in policy.logins() {
            let (line, host, secret) = (*line, host.clone(), secret.clone());
            let Some(bytes) = secrets.get(&secret) else {
                return Err(LoginError::Missing { line, host, secret });
            };
            match header(bytes) {
                Some(value) => drop(found.insert(secret, value)),
                None => return Err(LoginError::Malformed { line, host, secret }),
            }
        }
        Ok(Self(Arc::new(found)))
    }

    /// The value of `Authorization`.
    pub(crate) fn value(&self, login: &Login) -> Option<&Secret> {
        self.0.get(&login.secret)
    }
}

/// A header as it is, a user with a password (RFC 7617), or a token (RFC 6750). The line break at a file's end does not
/// count.
fn header(bytes: &SecretBytes) -> Option<Secret> {
    let text = std::str::from_utf8(bytes.expose_secret()).ok()?.trim();
    if text.is_empty() || text.contains(char::is_control) || !text.is_ascii() {
        return None;
    }
    let is_whole = |scheme: &str| {
        let begins = text.get(..scheme.len()).is_some_and(|own| own.eq_ignore_ascii_case(scheme));
        begins && text[scheme.len()..].starts_with(' ')
    };
    Some(match text.contains(':') {
        _ if is_whole("bearer") || is_whole("basic") => Secret::new(text),
        true => Secret::new(format!("Basic {}", STANDARD.encode(text))),
        false => Secret::new(format!("Bearer {text}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn find(secret: Option<&str>) -> Result<Logins, LoginError> {
        let text = "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example\"\n\
                    credentials = \"token\"\n";
        let policy = Policy::parse("touchmark.toml", text).unwrap().network;
        let bytes = secret.map(|text| SecretBytes::new(text.as_bytes().to_vec()));
        let secrets = bytes.map(|bytes| ("token".to_owned(), bytes)).into_iter().collect();
        Logins::find(&policy, &secrets)
    }

    #[test]
    fn a_token_a_password_and_a_whole_header_log_in() {
        for (secret, value) in [
            ("abc\n", "Bearer abc"),
            ("user:pass:word\n", "Basic dXNlcjpwYXNzOndvcmQ="),
            ("bearer a:b", "bearer a:b"),
            ("Basic abc", "Basic abc"),
        ] {
            let logins = find(Some(secret)).unwrap();
            assert_eq!(logins.0["token"].expose_secret(), value);
            assert!(!format!("{logins:?}").contains("abc"), "{logins:?}");
        }
    }

    #[test]
    fn one_that_is_missing_or_none_is_told_with_its_line() {
        assert_eq!(
            find(None).unwrap_err().to_string(),
            "line 5 of the policy: the mirror 'packages.example' logs in with the secret 'token', which the build \
             was not given\nhelp: add --secret id=token,src=FILE or --secret id=token,env=NAME"
        );
        for bad in ["", "a\nX-Other: b", "ä"] {
            let error = find(Some(bad)).unwrap_err().to_string();
            assert!(
                error.starts_with("line 5 of the policy: the secret 'token' is no login"),
                "{error}"
            );
            assert!(!error.contains("X-Other"), "{error}");
        }
    }
}
