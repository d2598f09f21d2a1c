//! The secrets with which the builder itself logs in, by BuildKit's names: `GIT_AUTH_TOKEN`,
//! `GIT_AUTH_HEADER` with or without `.host`, `HTTP_AUTH_TOKEN_host`, `HTTP_AUTH_HEADER_host`.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::FetchError;
use crate::secret::{Secret, SecretBytes};

/// The build's secrets, for looking up those that log in.
#[derive(Debug, Clone, Default)]
pub struct Credentials(Arc<BTreeMap<String, SecretBytes>>);

impl Credentials {
    /// Looks into the secrets of the build.
    #[must_use]
    pub fn new(secrets: Arc<BTreeMap<String, SecretBytes>>) -> Self {
        Self(secrets)
    }

    /// The value of `Authorization` for a repository on this host: a header as it is, or a token, which goes
    /// as the password of the user `x-access-token`.
    pub(super) fn git(&self, host: &str, port: Option<u16>) -> Result<Option<Secret>, FetchError> {
        let places = places(host, port).into_iter().map(|host| format!(".{host}"));
        for place in places.chain([String::new()]) {
            if let Some(header) = self.text(&format!("GIT_AUTH_HEADER{place}"))? {
                return Ok(Some(header));
            }
            if let Some(token) = self.text(&format!("GIT_AUTH_TOKEN{place}"))? {
                let pair = Secret::new(format!("x-access-token:{}", token.expose_secret()));
                let encoded = Secret::new(STANDARD.encode(pair.expose_secret()));
                return Ok(Some(Secret::new(format!("basic {}", encoded.expose_secret()))));
            }
        }
        Ok(None)
    }

    /// The value of `Authorization` for a file on this host.
    pub(super) fn http(&self, host: &str, port: Option<u16>) -> Result<Option<Secret>, FetchError> {
        for place in places(host, port) {
            if let Some(header) = self.text(&format!("HTTP_AUTH_HEADER_{place}"))? {
                return Ok(Some(header));
            }
            if let Some(token) = self.text(&format!("HTTP_AUTH_TOKEN_{place}"))? {
                return Ok(Some(Secret::new(format!("Bearer {}", token.expose_secret()))));
            }
        }
        Ok(None)
    }

    /// A secret as the text of a header; the line break at the end of a file does not count.
    fn text(&self, id: &str) -> Result<Option<Secret>, FetchError> {
        let Some(bytes) = self.0.get(id) else { return Ok(None) };
        let fault = || FetchError::Secret(id.to_owned());
        let text = std::str::from_utf8(bytes.expose_secret()).map_err(|_| fault())?.trim();
        if text.is_empty() || text.contains(char::is_control) {
            return Err(fault());
        }
        Ok(Some(Secret::new(text)))
    }
}

fn places(host: &str, port: Option<u16>) -> Vec<String> {
    port.map(|port| format!("{host}:{port}")).into_iter().chain([host.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Credentials {
        let secrets = pairs
            .iter()
            .map(|(id, value)| ((*id).to_owned(), SecretBytes::new(value.as_bytes().to_vec())));
        Credentials::new(Arc::new(secrets.collect()))
    }

    #[test]
    fn the_hosts_own_secret_goes_first() {
        let both = given(&[("GIT_AUTH_TOKEN", "all\n"), ("GIT_AUTH_HEADER.h.example", "Bearer x")]);
        let of = |host| both.git(host, None).unwrap().unwrap().expose_secret().to_owned();
        assert_eq!(of("h.example"), "Bearer x");
        assert_eq!(of("o.example"), format!("basic {}", STANDARD.encode("x-access-token:all")));
        let file = given(&[("HTTP_AUTH_TOKEN_h.example:81", "t")]);
        assert_eq!(file.http("h.example", Some(81)).unwrap().unwrap().expose_secret(), "Bearer t");
        assert!(file.http("h.example", None).unwrap().is_none());
    }

    #[test]
    fn a_secret_that_is_no_header_is_refused_without_showing_it() {
        let bad = given(&[("GIT_AUTH_TOKEN", "a\nX-Other: b")]);
        let error = bad.git("h.example", None).unwrap_err().to_string();
        assert_eq!(error, "the secret 'GIT_AUTH_TOKEN' is not a header's text");
    }
}
