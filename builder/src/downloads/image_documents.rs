//! What names of images led to, with the manifests and indexes themselves, so that they can be looked up without a
//! network.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::terms::Terms;
use crate::{
    content::{
        index::{Index, Table},
        records::Records,
        store::ContentStore,
    },
    oci::{digest::Digest, manifest::MAX_MANIFEST_BYTES},
};

/// Names of images, manifests and indexes. Clones are the same store.
#[derive(Debug, Clone)]
pub struct ImageDocuments {
    content: Arc<ContentStore>,
    names: Records,
    terms: Terms,
}

/// What a name led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedDocument {
    /// The reference as the user wrote it, in full.
    pub name: String,
    /// The digest of the document, which is in the content store.
    pub digest: Digest,
    /// The type that it was served with.
    pub media_type: String,
}

impl ImageDocuments {
    /// Documents in `content`, their names in `index`, used on these terms.
    #[must_use]
    pub fn new(content: Arc<ContentStore>, index: Arc<Index>, terms: Terms) -> Self {
        Self { content, names: Records::new(index, Table::Images), terms }
    }

    /// Is no registry to be asked?
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.terms.offline
    }

    /// Keeps what `name` leads to. That it cannot be kept is found out by who looks for it.
    pub fn keep(&self, name: &str, media_type: &str, bytes: &[u8]) {
        let Ok(digest) = self.content.put(bytes) else { return };
        let named = NamedDocument { name: name.into(), digest, media_type: media_type.to_owned() };
        let key = Digest::of(name.as_bytes());
        if self.names.get::<NamedDocument>(&key).as_ref() != Some(&named) {
            let _ = self.names.put(&key, &named);
        }
    }

    /// Is the document of this name here?
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.find(name, MAX_MANIFEST_BYTES).is_some()
    }

    /// What `name` led to last, or, under a lock, what is pinned: type, if it is known, and bytes of at most `max`.
    #[must_use]
    pub fn find(&self, name: &str, max: u64) -> Option<(Option<String>, Vec<u8>)> {
        let named = self.names.get::<NamedDocument>(&Digest::of(name.as_bytes()));
        let pinned = self.terms.lock.as_ref().and_then(|lock| lock.images.get(name).copied());
        let own = name.rsplit_once('@').and_then(|(_, digest)| digest.parse().ok());
        let digest = own.or(pinned).or(named.as_ref().map(|named| named.digest))?;
        let media_type = named.filter(|named| named.digest == digest).map(|named| named.media_type);
        Some((media_type, self.content.read(&digest, max).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downloads::Lock;

    #[test]
    fn a_name_is_found_again_and_a_lock_goes_before_what_it_led_to_last() {
        let dir = tempfile::tempdir().unwrap();
        let content = Arc::new(ContentStore::open(dir.path().join("content")).unwrap());
        let index = Arc::new(Index::open(&dir.path().join("index")));
        let documents = ImageDocuments::new(content.clone(), index.clone(), Terms::default());
        let name = "registry.example/a:1";
        assert_eq!(documents.find(name, 100), None);
        documents.keep(name, "x/old", b"old");
        documents.keep(name, "x/new", b"new");
        assert_eq!(documents.find(name, 100), Some((Some("x/new".into()), b"new".to_vec())));
        let old = Digest::of(b"old");
        let at = format!("{name}@{old}");
        assert_eq!(documents.find(&at, 100), Some((None, b"old".to_vec())));
        let mut lock = Lock::default();
        lock.images.insert(name.into(), old);
        let terms = Terms { offline: true, lock: Some(Arc::new(lock)) };
        let locked = ImageDocuments::new(content.clone(), index, terms);
        assert_eq!(locked.find(name, 100), Some((None, b"old".to_vec())));
        std::fs::write(content.path(&old), b"odd").unwrap();
        assert_eq!(locked.find(name, 100), None);
    }
}
