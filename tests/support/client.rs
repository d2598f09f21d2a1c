//! A client of loopback registries that believes nothing.

use crate::http::{self, Answer};

/// All manifest types, as a client that can read everything asks for them.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                         application/vnd.docker.distribution.manifest.v2+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json";

/// Speaks to the registry at one address.
#[derive(Debug, Clone)]
pub struct Client {
    host: String,
}

impl Client {
    /// For the registry at `host` (`127.0.0.1:PORT`), plain HTTP.
    #[must_use]
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned() }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.host.clone()
    }

    /// `127.0.0.1:PORT/name`.
    #[must_use]
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// Any request; the path begins with `/v2/`.
    #[must_use]
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        http::request(&self.host, method, path, headers, body).expect("the registry answers")
    }

    /// The manifest behind a tag or digest, with its digest; `None` when there is none.
    #[must_use]
    pub fn manifest(
        &self,
        repository: &str,
        reference: &str,
    ) -> Option<(String, serde_json::Value)> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.request("GET", &path, &[("Accept", MANIFESTS)], &[]);
        if answer.status == 404 {
            return None;
        }
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let value = serde_json::from_slice(&answer.body).expect("a manifest in JSON");
        Some((crate::digest(&answer.body), value))
    }

    /// The digest that a tag points at.
    #[must_use]
    pub fn tag(&self, repository: &str, tag: &str) -> Option<String> {
        self.manifest(repository, tag).map(|(digest, _)| digest)
    }

    /// All tags of a repository, sorted; none when there is no such repository.
    #[must_use]
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let answer = self.request("GET", &format!("/v2/{repository}/tags/list"), &[], &[]);
        let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let tags = value["tags"].as_array().cloned().unwrap_or_default();
        let mut tags: Vec<String> =
            tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
        tags.sort();
        tags
    }

    /// A blob, its digest checked.
    #[must_use]
    pub fn blob(&self, repository: &str, digest: &str) -> Vec<u8> {
        let answer = self.request("GET", &format!("/v2/{repository}/blobs/{digest}"), &[], &[]);
        assert_eq!(answer.status, 200, "blob {digest} of {repository}");
        assert_eq!(crate::digest(&answer.body), digest, "the registry serves other bytes");
        answer.body
    }

    /// Stores a blob, returns its digest.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = crate::digest(bytes);
        let begun = self.request("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], &[]);
        let place = begun.header("location").expect("a place to upload to");
        let path = place.find("/v2/").map_or(place, |at| &place[at..]);
        let sign = if path.contains('?') { '&' } else { '?' };
        let kind = ("Content-Type", "application/octet-stream");
        let done = self.request("PUT", &format!("{path}{sign}digest={digest}"), &[kind], bytes);
        assert_eq!(done.status, 201, "upload of {digest}: {done:?}");
        digest
    }

    /// Stores a manifest under a tag or digest, returns its digest.
    pub fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> String {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let done = self.request("PUT", &path, &[("Content-Type", media_type)], bytes);
        assert_eq!(done.status, 201, "{path}: {}", String::from_utf8_lossy(&done.body));
        crate::digest(bytes)
    }

    /// Takes a tag or manifest away (by digest, as the protocol wants it).
    pub fn delete_manifest(&self, repository: &str, digest: &str) {
        let answer =
            self.request("DELETE", &format!("/v2/{repository}/manifests/{digest}"), &[], &[]);
        assert_eq!(answer.status, 202, "delete {digest}: {answer:?}");
    }
}
