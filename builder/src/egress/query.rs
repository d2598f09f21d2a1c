//! A POST that only asks: git's way to say which commits it wants, npm's question about known faults of packages. What
//! is asked belongs to the address: one who asks the same gets what is kept.

use http_body_util::{BodyExt, Limited};
use hyper::{
    HeaderMap, Method,
    body::{Bytes, Incoming},
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};

use crate::oci::digest::Digest;

use super::wanted::commits;

/// Questions are small, in bytes. A larger body is sent on as what it is: a write.
pub(super) const LARGEST: usize = 1 << 20;

/// Git's question (gitprotocol-http), by its type; a push has another one.
const GIT: (&str, &str) = ("/git-upload-pack", "application/x-git-upload-pack-request");

/// npm's questions, of `npm audit` and at the end of `npm install`: in what they name are faults known?
const NPM: [&str; 3] = [
    "/-/npm/v1/security/advisories/bulk",
    "/-/npm/v1/security/audits",
    "/-/npm/v1/security/audits/quick",
];

/// What was asked.
#[derive(Debug, Clone)]
pub(super) struct Query {
    body: Bytes,
    digest: Digest,
    commits: Option<String>,
}

impl Query {
    /// Is this head the one of a question?
    pub(super) fn begins(method: &Method, path: &str, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
        let git = path.ends_with(GIT.0) && text(CONTENT_TYPE) == Some(GIT.1);
        let npm = NPM.iter().any(|end| path.ends_with(end));
        method == Method::POST && length.is_some_and(|length| length <= LARGEST) && (git || npm)
    }

    /// Reads the question. None when the body does not come as announced.
    pub(super) async fn read(body: Incoming, headers: &HeaderMap) -> Option<Self> {
        let body = Limited::new(body, LARGEST).collect().await.ok()?.to_bytes();
        let zipped = headers.get(CONTENT_ENCODING).is_some_and(|value| value == "gzip");
        Some(Self { digest: Digest::of(&body), commits: commits(&body, zipped), body })
    }

    /// The body, to send it on.
    pub(super) fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// Its digest.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// The commits that git wants, in order, with a space between them. Git checks by their digests what it gets.
    pub(super) fn commits(&self) -> Option<&str> {
        self.commits.as_deref()
    }

    /// How the store knows it, in place of a method.
    pub(super) fn method(&self) -> String {
        kept_method(self.digest)
    }
}

/// What answers to a question of this digest are kept under, in place of a method.
pub(crate) fn kept_method(digest: Digest) -> String {
    format!("POST {digest}")
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn a_push_and_other_posts_are_no_questions() {
        let begins = |path: &str, kind: &str, length: &str| {
            let value = |text: &str| HeaderValue::from_str(text).unwrap();
            let fields = [(CONTENT_TYPE, value(kind)), (CONTENT_LENGTH, value(length))];
            Query::begins(&Method::POST, path, &fields.into_iter().collect())
        };
        assert!(begins("/a.git/git-upload-pack", GIT.1, "100"));
        assert!(begins(NPM[0], "application/json", "100"));
        assert!(!begins("/a.git/git-upload-pack", GIT.1, "2000000"));
        assert!(!begins("/a.git/git-receive-pack", "application/x-git-receive-pack-request", "9"));
        assert!(!begins("/a.git/git-upload-pack", "text/plain", "9"));
        assert!(!begins("/-/user/login", "application/json", "9"));
    }
}
