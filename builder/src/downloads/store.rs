//! Answers by address, bodies by digest.

use std::sync::Arc;

use hyper::HeaderMap;

use super::answer::StoredAnswer;
use crate::{
    content::{
        blob_writer::BlobWriter,
        error::ContentError,
        index::{Index, Table},
        records::Records,
        store::ContentStore,
        verified_blob::VerifiedBlob,
    },
    oci::{descriptor::Descriptor, digest::Digest},
};

/// Answers that are kept of one address: variants, upstreams and states together.
const VARIANTS: usize = 8;

/// The download store. Any number of processes may use one at the same time: an answer is written after its body, and a
/// body appears whole or not at all. Clones are the same store.
///
/// What it has is the cache's: it counts, it can be listed and pruned, and what a running command asked for stays.
#[derive(Debug, Clone)]
pub struct DownloadStore {
    content: Arc<ContentStore>,
    answers: Records,
}

impl DownloadStore {
    /// The store whose bodies are in `content` and whose answers are in `index`.
    #[must_use]
    pub fn new(content: Arc<ContentStore>, index: Arc<Index>) -> Self {
        Self { content, answers: Records::new(index, Table::Downloads) }
    }

    /// Every kept answer to `method` at `url` whose body is here, the newest first.
    #[must_use]
    pub fn answers(&self, method: &str, url: &str) -> Vec<StoredAnswer> {
        let mut known = self.known(method, url);
        known.retain(|answer| self.content.has(&answer.digest));
        known
    }

    /// The newest answer to a request with these headers whose body is here. With `fetched_url`, only one that came
    /// from that very address.
    #[must_use]
    pub fn find(
        &self,
        method: &str,
        url: &str,
        fetched_url: Option<&str>,
        request: &HeaderMap,
    ) -> Option<StoredAnswer> {
        let here = |answer: &StoredAnswer| {
            fetched_url.is_none_or(|from| answer.fetched_url == from) && answer.suits(request)
        };
        self.answers(method, url).into_iter().find(here)
    }

    /// Keeps an answer, whose body is in the store already, as the newest one. Older ones with other bodies stay for
    /// builds that pin them, as long as there is room.
    pub fn keep(&self, answer: StoredAnswer) {
        let key = key(&answer.method, &answer.url);
        let mut all = self.known(&answer.method, &answer.url);
        all.retain(|known| {
            known.fetched_url != answer.fetched_url
                || known.variant != answer.variant
                || known.digest != answer.digest
        });
        all.insert(0, answer);
        all.truncate(VARIANTS);
        // An answer that cannot be kept is asked for again.
        let _ = self.answers.put(&key, &all);
    }

    /// Takes a body piece by piece; with its commit it is in the store, dropped it leaves nothing behind.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn writer(&self) -> Result<BlobWriter, ContentError> {
        self.content.writer()
    }

    /// A body. The last read fails when the bytes are not what the answer says, and the file is then gone.
    ///
    /// # Errors
    /// [`ContentError::Missing`], [`ContentError::Io`].
    pub fn body(&self, digest: Digest, size: u64) -> Result<VerifiedBlob, ContentError> {
        self.content.open_verified(&Descriptor::new("application/octet-stream", digest, size))
    }

    /// Every answer, in no order, also those whose bodies are gone.
    #[must_use]
    pub fn all(&self) -> Vec<StoredAnswer> {
        let entries = self.answers.index().entries(Table::Downloads);
        let read = |value: &[u8]| serde_json::from_slice::<Vec<StoredAnswer>>(value).ok();
        entries.iter().filter_map(|entry| read(&entry.value)).flatten().collect()
    }

    /// Where bodies are.
    #[must_use]
    pub fn content(&self) -> &Arc<ContentStore> {
        &self.content
    }

    fn known(&self, method: &str, url: &str) -> Vec<StoredAnswer> {
        self.answers.get(&key(method, url)).unwrap_or_default()
    }
}

fn key(method: &str, url: &str) -> Digest {
    Digest::of(format!("{method} {url}").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        io::{Read, Write},
        path::Path,
    };

    use super::*;

    fn open(dir: &Path) -> DownloadStore {
        let content = Arc::new(ContentStore::open(dir.join("content")).unwrap());
        DownloadStore::new(content, Arc::new(Index::open(&dir.join("index"))))
    }

    fn put(store: &DownloadStore, body: &[u8], fetched_url: &str, encoding: &str) -> StoredAnswer {
        let mut writer = store.writer().unwrap();
        writer.write_all(body).unwrap();
        let (digest, size) = writer.commit(None).unwrap();
        let answer = StoredAnswer {
            method: "GET".into(),
            url: "http://packages.example/x".into(),
            fetched_url: fetched_url.into(),
            variant: BTreeMap::from([("accept-encoding".into(), encoding.into())]),
            status: 200,
            headers: vec![("etag".into(), "\"1\"".into())],
            digest,
            size,
            checked: 1,
        };
        store.keep(answer.clone());
        answer
    }

    #[test]
    fn an_answer_is_found_by_address_upstream_and_variant_in_the_next_process_too() {
        let dir = tempfile::tempdir().unwrap();
        let request = |encoding: &str| {
            HeaderMap::from_iter([(hyper::header::ACCEPT_ENCODING, encoding.parse().unwrap())])
        };
        let (plain, packed) = {
            let store = open(dir.path());
            let plain = put(&store, b"plain", "http://m.example/x", "identity");
            (plain, put(&store, b"packed", "http://m.example/x", "gzip"))
        };
        let store = open(dir.path());
        let find = |from, encoding| {
            store.find("GET", "http://packages.example/x", from, &request(encoding))
        };
        assert_eq!(find(None, "identity"), Some(plain.clone()));
        assert_eq!(find(Some("http://m.example/x"), "gzip"), Some(packed));
        assert_eq!(find(Some("http://other.example/x"), "gzip"), None);
        assert_eq!(find(None, "br"), None);
        assert_eq!(store.all().len(), 2);
        let renewed = put(&store, b"renewed", "http://m.example/x", "identity");
        assert_eq!(find(None, "identity"), Some(renewed));
        assert_eq!(store.all().len(), 3, "the older one stays for who pins it");
        store.content().remove(&plain.digest).unwrap();
    }

    #[test]
    fn one_altered_byte_is_refused_and_the_answer_is_gone_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let kept = put(&store, b"precious", "http://m.example/x", "");
        std::fs::write(store.content().path(&kept.digest), b"Precious").unwrap();
        let mut bytes = Vec::new();
        let mut body = store.body(kept.digest, kept.size).unwrap();
        let error = body.read_to_end(&mut bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the stored blob {} is damaged (its bytes now have the digest {}); it was removed\n\
                 help: run the command again: the blob will be fetched or made anew",
                kept.digest,
                Digest::of(b"Precious")
            )
        );
        assert_eq!(store.answers("GET", "http://packages.example/x"), []);
    }

    #[test]
    fn what_is_not_whole_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let mut writer = store.writer().unwrap();
        writer.write_all(b"half").unwrap();
        drop(writer);
        assert_eq!(store.content().blobs_on_disk().unwrap(), []);
        assert_eq!(
            std::fs::read_dir(dir.path().join("content/ingest")).unwrap().count(),
            1,
            "the lock"
        );
    }
}
