//! One answer of an upstream, as far as it can be given again.

use std::collections::BTreeMap;

use hyper::{
    HeaderMap,
    header::{
        AUTHORIZATION, CACHE_CONTROL, COOKIE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED, VARY,
    },
};
use serde::{Deserialize, Serialize};

use crate::oci::digest::Digest;

/// The version of its protocol that git asks for (gitprotocol-v2, "HTTP Transport").
pub(crate) const GIT_PROTOCOL: &str = "git-protocol";

/// The method of what the store keeps of a repository's commit: its objects as a pack.
#[must_use]
pub fn git_commit(commit: &str) -> String {
    format!("GIT {commit}")
}

/// The method of which commit a branch, a tag or `HEAD` led to.
#[must_use]
pub fn git_name(name: &str) -> String {
    format!("GIT-NAME {name}")
}

/// An answer without its body, which is in the content store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAnswer {
    /// `GET` or `HEAD`; the body of an answer to `HEAD` is empty. Of a repository see [`git_commit`], [`git_name`].
    pub method: String,
    /// The address as it was asked for.
    pub url: String,
    /// The address that it came from, after the policy's rewrite.
    pub fetched_url: String,
    /// The headers of the request that the answer depends on (RFC 9110, section 12.5.5), by lower-case name. Of those
    /// that hold secrets there is a digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variant: BTreeMap<String, String>,
    /// HTTP status.
    pub status: u16,
    /// The headers of the answer that are for the client, in order; not those of one connection.
    pub headers: Vec<(String, String)>,
    /// Digest of the body as transferred, its content coding included.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// When the upstream gave it or confirmed it last, in seconds since 1970.
    pub checked: u64,
}

impl StoredAnswer {
    /// The statuses that can be given again: they say what the address leads to and not how the server is today.
    #[must_use]
    pub fn may_be_kept(status: u16) -> bool {
        matches!(status, 200 | 204 | 301 | 302 | 303 | 307 | 308 | 404 | 410)
    }

    /// Which of the request's headers `answer` depends on.
    #[must_use]
    pub fn variant_of(answer: &HeaderMap, request: &HeaderMap) -> BTreeMap<String, String> {
        let listed = answer.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
        let names =
            listed.flat_map(|value| value.split(',')).map(|name| name.trim().to_lowercase());
        // Git's servers answer by this one and do not say so.
        let git = Some(GIT_PROTOCOL.to_owned()).filter(|name| request.contains_key(name));
        let named = names.filter(|name| !name.is_empty()).chain(git);
        named.map(|name| (name.clone(), value_of(request, &name))).collect()
    }

    /// Is it the answer to a request with these headers?
    #[must_use]
    pub fn suits(&self, request: &HeaderMap) -> bool {
        self.variant.iter().all(|(name, value)| *value == value_of(request, name))
    }

    /// A header of the answer.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name.as_str());
        found.map(|(_, value)| value.as_str())
    }

    /// All headers of the answer.
    #[must_use]
    pub fn header_map(&self) -> HeaderMap {
        let parsed = self.headers.iter().filter_map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
        });
        let mut map = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in parsed {
            map.append(name, value);
        }
        map
    }

    /// The headers as they are kept. Values that are no text are left out.
    #[must_use]
    pub fn kept_headers(headers: &HeaderMap) -> Vec<(String, String)> {
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        headers.iter().filter_map(text).collect()
    }

    /// Can the upstream be asked whether it is still good?
    #[must_use]
    pub fn has_validator(&self) -> bool {
        self.header(&ETAG).is_some() || self.header(&LAST_MODIFIED).is_some()
    }

    /// Need the upstream not be asked at all? Either the address names the SHA-256 of the very body, so that no other
    /// could be right, or the upstream promised that it never changes (RFC 8246) and the time of that promise is not
    /// over at `now`, in seconds since 1970.
    #[must_use]
    pub fn is_settled(&self, now: u64) -> bool {
        if self.status != 200 {
            return false;
        }
        let path = self.fetched_url.split(['?', '#']).next().unwrap_or_default();
        let hex = self.digest.hex();
        path.to_ascii_lowercase().contains(&hex) || self.is_promised(now)
    }

    fn is_promised(&self, now: u64) -> bool {
        let control = self.header(&CACHE_CONTROL).unwrap_or_default().to_ascii_lowercase();
        let mut immutable = false;
        let mut age = None;
        for word in control.split(',').map(str::trim) {
            match word.split_once('=') {
                None if word == "immutable" => immutable = true,
                None if matches!(word, "no-cache" | "no-store") => return false,
                Some(("max-age", seconds)) => age = seconds.trim_matches('"').parse::<u64>().ok(),
                _ => {}
            }
        }
        let until = age.map(|age| self.checked.saturating_add(age));
        immutable && until.is_some_and(|until| now < until)
    }
}

/// The request's values of a header, as they are compared and kept.
fn value_of(request: &HeaderMap, name: &str) -> String {
    let values =
        request.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let text = values.collect::<Vec<_>>().join(", ");
    let is_secret = name == AUTHORIZATION.as_str() || name == COOKIE.as_str();
    if is_secret && !text.is_empty() { Digest::of(text.as_bytes()).to_string() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(url: &str, control: &str) -> StoredAnswer {
        StoredAnswer {
            method: "GET".into(),
            url: url.into(),
            fetched_url: url.into(),
            variant: BTreeMap::new(),
            status: 200,
            headers: vec![("cache-control".into(), control.into())],
            digest: Digest::of(b"body"),
            size: 4,
            checked: 1000,
        }
    }

    #[test]
    fn what_names_its_own_digest_and_what_is_promised_is_settled() {
        let by_hash = format!("http://a.example/by-hash/SHA256/{}", Digest::of(b"body").hex());
        assert!(answer(&by_hash, "").is_settled(u64::MAX));
        let other = format!("http://a.example/by-hash/SHA256/{}", Digest::of(b"other").hex());
        assert!(!answer(&other, "").is_settled(0));
        let query = format!("http://a.example/x?sha256={}", Digest::of(b"body").hex());
        assert!(!answer(&query, "").is_settled(0), "a query can be anything");
        let promised = answer("http://a.example/x.whl", "public, max-age=60, Immutable");
        assert!(promised.is_settled(1059) && !promised.is_settled(1060));
        for not in ["immutable", "max-age=60", "immutable, max-age=60, no-cache", ""] {
            assert!(!answer("http://a.example/x.whl", not).is_settled(1000), "{not}");
        }
        let missing = StoredAnswer { status: 404, ..answer(&by_hash, "") };
        assert!(!missing.is_settled(0));
    }

    #[test]
    fn a_variant_is_known_by_the_headers_that_the_answer_names() {
        let map = |pairs: &[(&'static str, &str)]| {
            let pair = |(name, value): &(&'static str, &str)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            };
            pairs.iter().map(pair).collect::<HeaderMap>()
        };
        let vary = map(&[("vary", "Accept-Encoding, authorization")]);
        let request = map(&[("accept-encoding", "gzip"), ("authorization", "Basic c2VjcmV0")]);
        let variant = StoredAnswer::variant_of(&vary, &request);
        let stored = StoredAnswer { variant, ..answer("http://a.example/x", "") };
        assert!(stored.suits(&request));
        assert!(!stored.suits(&map(&[("accept-encoding", "gzip")])));
        assert!(!serde_json::to_string(&stored).unwrap().contains("c2VjcmV0"));
    }
}
