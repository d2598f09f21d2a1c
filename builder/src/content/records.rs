//! Small documents of one kind by key: a view of the cache's [`Index`].

use std::{io, path::Path, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::index::{Index, Table};
use crate::oci::digest::Digest;

/// Documents of one kind. Clones are the same documents.
#[derive(Debug, Clone)]
pub struct Records {
    index: Arc<Index>,
    table: Table,
}

impl Records {
    /// The documents of this kind in `index`.
    #[must_use]
    pub fn new(index: Arc<Index>, table: Table) -> Self {
        Self { index, table }
    }

    /// The documents of another kind in the same index.
    #[must_use]
    pub fn of(&self, table: Table) -> Self {
        Self { index: self.index.clone(), table }
    }

    /// The document stored under `key`. One that cannot be read or understood counts as absent: a
    /// record may cost time when it is lost, never correctness.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, key: &Digest) -> Option<T> {
        self.index.get(self.table, key, |bytes| serde_json::from_slice(bytes).ok())
    }

    /// Notes that the document under `key` was used.
    pub fn touch(&self, key: &Digest) {
        let _ = self.get::<serde::de::IgnoredAny>(key);
    }

    /// Stores `document` under `key`. It is written in the background; that it could not be is told by
    /// [`Index::warning`].
    ///
    /// # Errors
    /// When the document cannot be written as JSON.
    pub fn put<T: Serialize>(&self, key: &Digest, document: &T) -> io::Result<()> {
        self.index.put(self.table, key, serde_json::to_vec(document)?);
        Ok(())
    }

    /// Where the documents are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.index.dir()
    }

    /// The index that holds them.
    #[must_use]
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }
}
