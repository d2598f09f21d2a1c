//! What there is.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    time::SystemTime,
};

use futures::{StreamExt, stream};
use serde::Deserialize;

use super::{
    Space, SpaceError,
    item::{Item, Kind, Place},
};
use crate::{
    content::{
        hold::{ClosedGate, Held, seconds},
        index::{Entry, Table},
        inventory::StoredFile,
        records::Records,
    },
    downloads::{StoredAnswer, image_documents::NamedDocument},
    oci::{descriptor::Descriptor, digest::Digest},
    snapshot::{SnapshotInfo, SnapshotKind, chain_of},
    solver::{
        cache_store::{CacheMount, CacheStore},
        stack::Stack,
    },
};

/// Questions to the worker that are under way at the same time.
const AT_ONCE: usize = 16;

/// What of a hardened image is read.
#[derive(Deserialize)]
struct Hardened {
    image: HardenedLayers,
}

/// Its layers.
#[derive(Deserialize)]
struct HardenedLayers {
    layers: Vec<Descriptor>,
}

/// What is known of stacks of layers: what it is, and when it was used.
type Stacks = HashMap<Digest, (Stack, i64)>;

impl Space {
    /// Everything that takes up space.
    ///
    /// # Errors
    /// When the worker does not answer or a directory cannot be read.
    pub async fn survey(&self) -> Result<Vec<Item>, SpaceError> {
        let held = self.held()?;
        let mut stacks = Stacks::new();
        for entry in self.index.entries(Table::Stacks) {
            if let Ok(stack) = serde_json::from_slice::<Stack>(&entry.value) {
                stacks.insert(entry.key, (stack, entry.used));
            }
        }
        let mut items = self.snapshots_on_disk(&stacks, &held).await?;
        let ready: HashSet<Digest> = items
            .iter()
            .filter_map(|item| Some(stacks.get(&chain_of(item.snapshot()?)?)?.0.layer))
            .collect();
        items.extend(self.blobs(&stacks, &ready, &held)?);
        for mount in self.cache_mounts()? {
            let used = mount.used.map(seconds).unwrap_or_default();
            let name = mount.name;
            let about = match (name.uid, name.gid) {
                (0, 0) => name.id,
                (uid, gid) => format!("{}, owner {uid}:{gid}", name.id),
            };
            let (id, place) = (short(&mount.stem), Place::Mount(mount.stem));
            let item = Item { id, about, in_use: mount.busy, place, ..item(Kind::Mount, used) };
            items.push(Item { bytes: mount.bytes, ..item });
        }
        items.extend(self.records());
        items.extend(self.internal());
        Ok(items)
    }

    pub(super) fn held(&self) -> Result<Held, SpaceError> {
        let dir = self.holds();
        let held = ClosedGate::close(&dir).and_then(|gate| gate.held());
        held.map_err(SpaceError::file("see who uses what in", dir))
    }

    async fn snapshots_on_disk(
        &self,
        stacks: &Stacks,
        held: &Held,
    ) -> Result<Vec<Item>, SpaceError> {
        let list = self.snapshots.list().await?;
        let sizes = Records::new(self.index.clone(), Table::Sizes);
        let measured = stream::iter(list).map(|info| self.measured(info, &sizes));
        let measured: Vec<(SnapshotInfo, u64)> = measured.buffer_unordered(AT_ONCE).collect().await;
        let mut busy: HashSet<String> = HashSet::new();
        let mut items = Vec::with_capacity(measured.len());
        for (info, bytes) in measured {
            let finished = info.kind == SnapshotKind::Committed;
            let name = Digest::of(info.name.as_bytes());
            let in_use = !finished || held.has(&name, info.created);
            if in_use {
                busy.insert(info.name.clone());
            }
            let chain = chain_of(&info.name);
            let known = chain.and_then(|chain| stacks.get(&chain));
            let used = known.map_or(info.created, |(_, used)| *used);
            let is_base = known.is_some_and(|(stack, _)| stack.base);
            let about = match known {
                Some((stack, _)) => stack.about.clone(),
                None if finished => String::new(),
                None => "being written".to_owned(),
            };
            items.push(Item {
                id: chain.map_or_else(|| info.name.clone(), |chain| short(&chain.hex())),
                about,
                bytes,
                made: info.created,
                in_use,
                parent: Some(info.parent).filter(|parent| !parent.is_empty()),
                place: if finished { Place::Snapshot(info.name) } else { Place::Fixed },
                ..item(if is_base { Kind::Base } else { Kind::Step }, used)
            });
        }
        settle(&mut items, busy);
        Ok(items)
    }

    /// A finished snapshot never changes, so its size is asked for once.
    async fn measured(&self, info: SnapshotInfo, sizes: &Records) -> (SnapshotInfo, u64) {
        let key = Digest::of(info.name.as_bytes());
        let finished = info.kind == SnapshotKind::Committed;
        if finished && let Some(known) = sizes.get::<u64>(&key) {
            return (info, known);
        }
        // One that is gone by now takes up nothing.
        let bytes = self.snapshots.usage(&info.name).await.unwrap_or_default();
        if finished {
            let _ = sizes.put(&key, &bytes);
        }
        (info, bytes)
    }

    /// A cache is measured again when it was used since. While it is in use nobody knows its size.
    fn cache_mounts(&self) -> Result<Vec<CacheMount>, SpaceError> {
        let sizes = Records::new(self.index.clone(), Table::Sizes);
        let key = |mount: &CacheMount| Digest::of(mount.stem.as_bytes());
        let list = CacheStore::new(self.mounts()).list_knowing(|mount| {
            let known: Option<(Option<SystemTime>, u64)> = sizes.get(&key(mount));
            known.filter(|(used, _)| !mount.busy && *used == mount.used).map(|(_, bytes)| bytes)
        })?;
        for mount in list.iter().filter(|mount| !mount.busy) {
            let measured = (mount.used, mount.bytes);
            if sizes.get::<(Option<SystemTime>, u64)>(&key(mount)) != Some(measured) {
                let _ = sizes.put(&key(mount), &measured);
            }
        }
        Ok(list)
    }

    fn blobs(
        &self,
        stacks: &Stacks,
        ready: &HashSet<Digest>,
        held: &Held,
    ) -> Result<Vec<Item>, SpaceError> {
        let named: HashMap<Digest, &Stack> =
            stacks.values().map(|(stack, _)| (stack.layer, stack)).collect();
        let mut layers: HashMap<Digest, Digest> = HashMap::new();
        let mut about: HashMap<Digest, (Kind, String)> = HashMap::new();
        for entry in self.index.entries(Table::Layers) {
            if let Ok(blob) = serde_json::from_slice::<Descriptor>(&entry.value) {
                let known = named.contains_key(&entry.key) || ready.contains(&entry.key);
                if known || !layers.contains_key(&blob.digest) {
                    layers.insert(blob.digest, entry.key);
                }
            }
        }
        for entry in self.index.entries(Table::Hardened) {
            let hardened = serde_json::from_slice::<Hardened>(&entry.value).ok();
            for layer in hardened.into_iter().flat_map(|hardened| hardened.image.layers) {
                about.insert(layer.digest, (Kind::Blob, "a layer of a hardened image".to_owned()));
            }
        }
        for entry in self.index.entries(Table::Downloads) {
            let answers = serde_json::from_slice::<Vec<StoredAnswer>>(&entry.value);
            for answer in answers.unwrap_or_default() {
                about.entry(answer.digest).or_insert((Kind::Download, answer.url));
            }
        }
        for entry in self.index.entries(Table::Images) {
            if let Ok(named) = serde_json::from_slice::<NamedDocument>(&entry.value) {
                about.entry(named.digest).or_insert((Kind::Download, named.name));
            }
        }
        let blob = |file: StoredFile| {
            let layer = layers.get(&file.digest);
            let stack = layer.and_then(|layer| named.get(layer));
            let (kind, about) = match (stack, about.remove(&file.digest)) {
                (Some(stack), _) => (Kind::Blob, stack.about.clone()),
                (None, Some(known)) => known,
                (None, None) => (Kind::Blob, String::new()),
            };
            Item {
                id: short(&file.digest.hex()),
                about,
                bytes: file.bytes,
                in_use: held.has(&file.digest, file.used),
                spare: layer.is_some_and(|layer| ready.contains(layer)),
                place: Place::Blob(file.digest),
                ..item(kind, file.used)
            }
        };
        let mut items: Vec<Item> = self.content.stored()?.into_iter().map(blob).collect();
        items.extend(self.content.unfinished()?.into_iter().map(|file| Item {
            id: short(&file.digest.hex()),
            bytes: file.bytes,
            in_use: held.is_young(file.used),
            place: Place::Partial(file.path),
            ..item(Kind::Partial, file.used)
        }));
        Ok(items)
    }

    fn records(&self) -> Vec<Item> {
        let tables = [
            (Table::Hardened, "how an image was hardened"),
            (Table::Sboms, "the inventory of an image"),
            (Table::Statements, "signed statements about an image"),
        ];
        let record = |about: &str, entry: Entry| Item {
            id: short(&entry.key.hex()),
            about: about.to_owned(),
            bytes: entry.value.len() as u64,
            made: entry.made,
            place: Place::Row(entry.table, entry.key),
            ..item(Kind::Record, entry.used)
        };
        let all = tables.into_iter().flat_map(|(table, about)| {
            self.index.entries(table).into_iter().map(move |entry| record(about, entry))
        });
        all.collect()
    }

    /// What is needed to find the rest, and what commands leave that were killed.
    fn internal(&self) -> Vec<Item> {
        let index = self.data.join("index");
        let worker = self.data.join("containerd");
        let snapshots = worker.join("io.containerd.snapshotter.v1.overlayfs/snapshots");
        let again = |name: &str, about: &str| {
            let path = self.data.join(name);
            let bytes = measure(&path, &[]);
            (name.to_owned(), about.to_owned(), bytes, Place::Directory(path))
        };
        let fixed = |name: &str, about: &str, bytes: u64| {
            (name.to_owned(), about.to_owned(), bytes, Place::Fixed)
        };
        let records: u64 = self.records().iter().map(|item| item.bytes).sum();
        let own = measure(&index, &[&index.join("aside")]).saturating_sub(records);
        let parts = [
            fixed("index", "the cache index", own),
            fixed("containerd", "the worker's database", measure(&worker, &[&snapshots])),
            again("stat-cache", "digests of context files"),
            again("index/aside", "a cache index that was put aside"),
            fixed("trash", "what is being removed", measure(&self.data.join("trash"), &[])),
            fixed("work", "work of running commands", measure(&self.data.join("work"), &[])),
            fixed("scratch", "work of running steps", measure(&self.data.join("scratch"), &[])),
        ];
        let now = seconds(SystemTime::now());
        let parts = parts.into_iter().filter(|(_, _, bytes, _)| *bytes > 0);
        let part = |(id, about, bytes, place)| Item {
            id,
            about,
            bytes,
            place,
            ..item(Kind::Internal, now)
        };
        parts.map(part).collect()
    }
}

/// Marks what lies below something in use as in use, and what several lie on as shared.
fn settle(items: &mut [Item], mut busy: HashSet<String>) {
    let parents: HashMap<String, String> = items
        .iter()
        .filter_map(|item| Some((item.snapshot()?.to_owned(), item.parent.clone()?)))
        .collect();
    let on_unfinished = |item: &&Item| item.place == Place::Fixed;
    busy.extend(items.iter().filter(on_unfinished).filter_map(|item| item.parent.clone()));
    let mut next: Vec<String> = busy.iter().cloned().collect();
    while let Some(below) = next.pop().and_then(|name| parents.get(&name)) {
        if busy.insert(below.clone()) {
            next.push(below.clone());
        }
    }
    let mut above: HashMap<String, usize> = HashMap::new();
    for parent in items.iter().filter_map(|item| item.parent.clone()) {
        *above.entry(parent).or_default() += 1;
    }
    for item in items {
        let Some(name) = item.snapshot() else { continue };
        let (used, shared) = (busy.contains(name), above.get(name).is_some_and(|n| *n > 1));
        item.in_use |= used;
        item.shared = shared;
    }
}

fn item(kind: Kind, used: i64) -> Item {
    Item {
        kind,
        id: String::new(),
        about: String::new(),
        bytes: 0,
        made: used,
        used,
        shared: false,
        in_use: false,
        parent: None,
        spare: false,
        place: Place::Fixed,
    }
}

/// Enough digits to tell things apart.
fn short(hex: &str) -> String {
    hex.chars().take(24).collect()
}

/// Bytes of disk blocks below `root`, itself included, but for the trees `without`; a file with several
/// names counts once.
fn measure(root: &Path, without: &[&Path]) -> u64 {
    let mut seen = HashSet::new();
    let mut total = fs::symlink_metadata(root).map_or(0, |metadata| metadata.blocks() * 512);
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
            if without.contains(&path.as_path()) {
                continue;
            }
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.nlink() > 1 && !seen.insert((metadata.dev(), metadata.ino())) {
                continue;
            }
            total += metadata.blocks() * 512;
        }
    }
    total
}
