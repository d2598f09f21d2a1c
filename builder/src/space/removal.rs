//! Removing what was chosen.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{
    Space, SpaceError,
    item::{Item, Place},
};
use crate::{
    content::{
        hold::{ClosedGate, Held},
        index::{TABLES, Table},
        inventory::remove_unfinished,
    },
    downloads::{StoredAnswer, image_documents::NamedDocument},
    oci::{descriptor::Descriptor, digest::Digest},
    snapshot::chain_of,
    solver::{cache_store::CacheStore, stack::Stack, step_result::StepResult},
};

/// Things that go while the gate is closed once: builds wait that long, a few milliseconds.
const BATCH: usize = 32;

/// What is gone.
#[derive(Debug, Clone, Default)]
pub struct Removed {
    /// The things, in the order in which they went.
    pub items: Vec<Item>,
}

impl Removed {
    /// Bytes of disk blocks that are free now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.items.iter().map(|item| item.bytes).sum()
    }
}

impl Space {
    /// Removes `chosen`, in this order, but for what a command came to use meanwhile.
    ///
    /// # Errors
    /// When the gate cannot be closed or a directory cannot be made. What cannot be removed stays and is
    /// not in the answer.
    pub async fn remove(&self, chosen: Vec<Item>) -> Result<Removed, SpaceError> {
        let trash = self.data.join("trash");
        fs::create_dir_all(&trash).map_err(SpaceError::file("make", &trash))?;
        let _alone = self.alone()?;
        // What was left by a kill.
        let _ = empty(&trash);
        let mut removed = Removed::default();
        for batch in chosen.chunks(BATCH) {
            let gate = self.close_gate()?;
            let held = gate.held().map_err(SpaceError::file("read", self.holds()))?;
            for item in batch {
                if self.remove_one(item, &held, &trash).await {
                    removed.items.push(item.clone());
                }
            }
            drop(gate);
            // What is in the trash has no name that anybody knows; nobody waits for its end.
            let _ = empty(&trash);
        }
        self.forget(&removed.items);
        Ok(removed)
    }

    /// Removes what describes things, where no command runs: after this, nothing is known of any build.
    ///
    /// # Errors
    /// When the gate cannot be closed.
    pub async fn forget_all(&self) -> Result<(), SpaceError> {
        let gate = self.close_gate()?;
        let held = gate.held().map_err(SpaceError::file("read", self.holds()))?;
        if held.since.is_some() {
            return Ok(());
        }
        for table in TABLES {
            self.index.remove(self.index.entries(table).iter().map(|entry| (table, entry.key)));
        }
        self.index.flush();
        let _ = empty(&self.data.join("scratch"));
        Ok(())
    }

    /// One command at a time removes; the lock ends with its value.
    fn alone(&self) -> Result<File, SpaceError> {
        let path = self.holds().join("removal");
        let locked = || -> io::Result<File> {
            fs::create_dir_all(self.holds())?;
            let file = File::options().write(true).create(true).truncate(false).open(&path)?;
            while let Err(errno) = flock(&file, FlockOperation::LockExclusive) {
                if errno != Errno::INTR {
                    return Err(errno.into());
                }
            }
            Ok(file)
        };
        locked().map_err(SpaceError::file("lock", &path))
    }

    fn close_gate(&self) -> Result<ClosedGate, SpaceError> {
        ClosedGate::close(&self.holds()).map_err(SpaceError::file("lock", self.holds()))
    }

    async fn remove_one(&self, item: &Item, held: &Held, trash: &Path) -> bool {
        match &item.place {
            Place::Snapshot(name) => {
                !held.has(&Digest::of(name.as_bytes()), item.made)
                    && self.snapshots.remove(name).await.is_ok()
            }
            Place::Blob(digest) => {
                !held.has(digest, item.used)
                    && fs::rename(self.content.path(digest), trash.join(digest.hex())).is_ok()
            }
            Place::Mount(stem) => {
                let store = CacheStore::new(self.mounts());
                store.discard(stem, trash).unwrap_or_default()
            }
            Place::Row(table, key) => {
                self.index.remove([(*table, *key)]);
                true
            }
            Place::Partial(path) => {
                !held.is_young(item.used) && remove_unfinished(path).unwrap_or_default()
            }
            Place::Directory(path) => {
                let moved = || fs::rename(path, trash.join("directory"));
                held.since.is_none() && moved().and_then(|()| empty(trash)).is_ok()
            }
            Place::Fixed => false,
        }
    }

    /// Removes the rows of what is gone, and the results that nothing of is left.
    fn forget(&self, gone: &[Item]) {
        let mut rows = Vec::new();
        let mut layers = HashSet::new();
        let blobs: HashSet<Digest> = gone.iter().filter_map(blob).collect();
        for name in gone.iter().filter_map(Item::snapshot) {
            rows.push((Table::Sizes, Digest::of(name.as_bytes())));
            rows.extend(chain_of(name).map(|chain| (Table::Stacks, chain)));
        }
        let chains: HashSet<Digest> =
            gone.iter().filter_map(Item::snapshot).filter_map(chain_of).collect();
        let mut kept = HashSet::new();
        for entry in self.index.entries(Table::Stacks) {
            let Ok(stack) = serde_json::from_slice::<Stack>(&entry.value) else { continue };
            if chains.contains(&entry.key) { &mut layers } else { &mut kept }.insert(stack.layer);
        }
        for entry in self.index.entries(Table::Layers) {
            let Ok(blob) = serde_json::from_slice::<Descriptor>(&entry.value) else { continue };
            if blobs.contains(&blob.digest) {
                rows.push((Table::Layers, entry.key));
                layers.insert(entry.key);
            } else {
                kept.insert(entry.key);
            }
        }
        for entry in self.index.entries(Table::Downloads) {
            // Answers whose bodies are gone are no use; the next one to the same address is written anew.
            let answers = serde_json::from_slice::<Vec<StoredAnswer>>(&entry.value);
            let is_gone = |answer: &StoredAnswer| blobs.contains(&answer.digest);
            if answers.is_ok_and(|answers| answers.iter().all(is_gone)) {
                rows.push((Table::Downloads, entry.key));
            }
        }
        for entry in self.index.entries(Table::Images) {
            let named = serde_json::from_slice::<NamedDocument>(&entry.value);
            if named.is_ok_and(|named| blobs.contains(&named.digest)) {
                rows.push((Table::Images, entry.key));
            }
        }
        layers.retain(|layer| !kept.contains(layer));
        for entry in self.index.entries(Table::Results) {
            let result = serde_json::from_slice::<StepResult>(&entry.value).ok();
            if result.and_then(|result| result.layer).is_some_and(|layer| layers.contains(&layer)) {
                rows.push((Table::Results, entry.key));
            }
        }
        self.index.remove(rows);
        self.index.flush();
    }
}

fn blob(item: &Item) -> Option<Digest> {
    match item.place {
        Place::Blob(digest) => Some(digest),
        _ => None,
    }
}

/// Removes what is in a directory, of whatever kind.
fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path: PathBuf = entry?.path();
        if path.symlink_metadata()?.is_dir() {
            fs::remove_dir_all(path)?;
        } else {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
