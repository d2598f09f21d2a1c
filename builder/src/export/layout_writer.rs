//! Writing OCI layouts: an image with everything that refers to it, at once or not at all. The same
//! image gives the same bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Permissions},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{
    layout::{IMAGE_NAME, OciLayout, REF_NAME},
    layout_address::{LayoutAddress, LayoutForm},
    layout_error::LayoutError,
};
use crate::{
    content::{error::ContentError, store::ContentStore},
    oci::{
        descriptor::Descriptor,
        digest::Digest,
        manifest::{Index, MAX_MANIFEST_BYTES},
        media_type::{is_index, is_manifest},
        reference::Reference,
    },
    registry::document::{Document, Resolved},
};

/// What goes into a layout. Every blob that it reaches is in the content store.
#[derive(Debug, Clone, Copy)]
pub struct LayoutImage<'a> {
    /// Its manifest or index.
    pub image: &'a Descriptor,
    /// Its names, one entry in index.json each; without any, one entry without name.
    pub names: &'a [Reference],
    /// Manifests that refer to it, or to one of its platforms.
    pub referrers: &'a [Descriptor],
}

const VERSION: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes the layout as the directory `dest`. A layout that is there keeps its images of other names;
/// it is exchanged as a whole, in one step, so that a reader sees the old one or the new one.
///
/// # Errors
/// [`LayoutError::Occupied`] when `dest` is something else; nothing has changed after any error.
pub fn write_directory(
    store: &ContentStore,
    image: LayoutImage<'_>,
    dest: &Path,
) -> Result<(), LayoutError> {
    stage_directory(store, image, dest)?.publish()
}

/// Writes everything that [`write_directory`] would, but beside `dest`: it takes its place when it is
/// published, and is gone when it is dropped.
///
/// # Errors
/// As [`write_directory`].
pub fn stage_directory(
    store: &ContentStore,
    image: LayoutImage<'_>,
    dest: &Path,
) -> Result<StagedLayout, LayoutError> {
    // So that `.` and links to directories have a parent to put the new directory in.
    let dest = &fs::canonicalize(dest).unwrap_or_else(|_| dest.into());
    let parent = parent(dest);
    fs::create_dir_all(&parent).map_err(LayoutError::io("create", &parent))?;
    let new = Contents::of(store, image)?;
    let fresh = tempfile::Builder::new().prefix(".touchmark-layout-").tempdir_in(&parent);
    let fresh = fresh.map_err(LayoutError::io("create a directory in", &parent))?;
    let existing = existing(dest)?;
    let mut entries = new.entries.clone();
    new.write_blobs(store, fresh.path())?;
    if let Some(existing) = &existing {
        let kept = Kept::of(existing, &new)?;
        kept.write_blobs(existing, fresh.path())?;
        entries.extend(kept.entries);
    }
    write(&fresh.path().join("index.json"), &index_json(entries)?)?;
    write(&fresh.path().join("oci-layout"), VERSION)?;
    let open = Permissions::from_mode(0o755);
    fs::set_permissions(fresh.path(), open).map_err(LayoutError::io("write", fresh.path()))?;
    Ok(StagedLayout { fresh, dest: dest.clone(), exchange: existing.is_some() })
}

/// Writes the layout as a tar archive to the file `dest`, replacing it.
///
/// # Errors
/// [`LayoutError`]; nothing has changed after any error.
pub fn write_archive_file(
    store: &ContentStore,
    image: LayoutImage<'_>,
    dest: &Path,
) -> Result<(), LayoutError> {
    let parent = parent(dest);
    fs::create_dir_all(&parent).map_err(LayoutError::io("create", &parent))?;
    if dest.is_dir() {
        return Err(LayoutError::Occupied { path: dest.into() });
    }
    let fresh = tempfile::Builder::new().prefix(".touchmark-layout-").tempfile_in(&parent);
    let mut fresh = fresh.map_err(LayoutError::io("create a file in", &parent))?;
    write_archive(store, image, &[], io::BufWriter::new(&mut fresh))?;
    let open = Permissions::from_mode(0o644);
    fs::set_permissions(fresh.path(), open).map_err(LayoutError::io("write", dest))?;
    fresh.persist(dest).map(drop).map_err(|error| LayoutError::io("write", dest)(error.error))
}

/// Writes the layout as a tar archive to `out`, with `more` files at its root. Names, order, times and
/// owners are fixed.
///
/// # Errors
/// [`LayoutError`]; `out` may then have got a part of the archive.
pub fn write_archive(
    store: &ContentStore,
    image: LayoutImage<'_>,
    more: &[(&str, Vec<u8>)],
    out: impl Write,
) -> Result<(), LayoutError> {
    let contents = Contents::of(store, image)?;
    let index = index_json(contents.entries)?;
    let mut archive = tar::Builder::new(out);
    let fault = |error| transfer_fault(Path::new("the archive"), error);
    add(&mut archive, "oci-layout", VERSION.len() as u64, VERSION).map_err(fault)?;
    add(&mut archive, "index.json", index.len() as u64, &index[..]).map_err(fault)?;
    for (name, bytes) in more {
        add(&mut archive, name, bytes.len() as u64, &bytes[..]).map_err(fault)?;
    }
    for blob in contents.blobs.values() {
        let reader = store.open_verified(blob)?;
        let name = format!("blobs/sha256/{}", blob.digest.hex());
        add(&mut archive, &name, blob.size, reader).map_err(fault)?;
    }
    archive.into_inner().and_then(|mut out| out.flush()).map_err(fault)
}

/// What a verifying reader found wrong with its bytes is told as that.
fn transfer_fault(to: &Path, error: io::Error) -> LayoutError {
    match error.downcast::<ContentError>() {
        Ok(fault) => LayoutError::Store(fault),
        Err(error) => LayoutError::io("write", to)(error),
    }
}

fn add(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    archive.append_data(&mut header, name, content)
}

/// Entries of index.json, and every blob they reach.
struct Contents {
    entries: Vec<Descriptor>,
    blobs: BTreeMap<Digest, Descriptor>,
}

impl Contents {
    fn of(store: &ContentStore, wanted: LayoutImage<'_>) -> Result<Self, LayoutError> {
        let read = |entry: &Descriptor| -> Result<Resolved, LayoutError> {
            let bytes = store.read(&entry.digest, MAX_MANIFEST_BYTES)?;
            Resolved::read(Some(&entry.media_type), bytes).map_err(|fault| LayoutError::Broken {
                place: "the content store".into(),
                what: entry.digest.to_string(),
                reason: fault.reason,
            })
        };
        let LayoutImage { image, names, referrers } = wanted;
        let mut blobs = BTreeMap::new();
        reach(&read, image, &mut blobs)?;
        let mut entries: Vec<Descriptor> = names.iter().map(|name| named(image, name)).collect();
        if entries.is_empty() {
            entries.push(image.clone());
        }
        for referrer in referrers {
            reach(&read, referrer, &mut blobs)?;
            let document = read(referrer)?;
            let mut entry = referrer.clone();
            if let (None, Some(manifest)) = (&entry.artifact_type, document.manifest()) {
                let kind = manifest.artifact_type.clone();
                entry.artifact_type = kind.or_else(|| Some(manifest.config.media_type.clone()));
            }
            entries.push(entry);
        }
        Ok(Self { entries, blobs })
    }

    fn write_blobs(&self, store: &ContentStore, root: &Path) -> Result<(), LayoutError> {
        let directory = root.join("blobs/sha256");
        fs::create_dir_all(&directory).map_err(LayoutError::io("create", &directory))?;
        for blob in self.blobs.values() {
            copy(store.open_verified(blob)?, &directory.join(blob.digest.hex()))?;
        }
        Ok(())
    }
}

/// What stays of the layout that was there: images of other names, with what refers to them.
struct Kept {
    entries: Vec<Descriptor>,
    blobs: BTreeMap<Digest, Descriptor>,
}

impl Kept {
    fn of(existing: &OciLayout, new: &Contents) -> Result<Self, LayoutError> {
        let replaced = |entry: &Descriptor| {
            let same = |key: &str, one: &Descriptor| {
                Some(one.annotations.get(key)? == entry.annotations.get(key)?)
            };
            let clash = |one: &Descriptor| {
                let named = same(IMAGE_NAME, one).or_else(|| same(REF_NAME, one));
                named.unwrap_or(one.digest == entry.digest)
            };
            new.entries.iter().any(clash)
        };
        let is_named = |entry: &&Descriptor| entry.annotations.contains_key(REF_NAME);
        let read = |entry: &Descriptor| existing.document(entry);
        let (mut entries, mut blobs) = (Vec::new(), BTreeMap::new());
        for entry in existing.entries().iter().filter(is_named).filter(|entry| !replaced(entry)) {
            reach(&read, entry, &mut blobs)?;
            entries.push(entry.clone());
        }
        let images: BTreeSet<Digest> = blobs.keys().copied().collect();
        for entry in existing.entries().iter().filter(|entry| !is_named(entry) && !replaced(entry))
        {
            let document = existing.document(entry)?;
            let subject = document.manifest().and_then(|manifest| manifest.subject.as_ref());
            if subject.is_some_and(|subject| images.contains(&subject.digest)) {
                reach(&read, entry, &mut blobs)?;
                entries.push(entry.clone());
            }
        }
        blobs.retain(|digest, _| !new.blobs.contains_key(digest));
        Ok(Self { entries, blobs })
    }

    fn write_blobs(&self, existing: &OciLayout, root: &Path) -> Result<(), LayoutError> {
        for blob in self.blobs.values() {
            let target = root.join("blobs/sha256").join(blob.digest.hex());
            copy(existing.open_blob(blob)?, &target)?;
        }
        Ok(())
    }
}

/// Adds a manifest or index and everything below it. Each digest is walked once, so a document that
/// names itself (which would take a hash collision) or others many times costs nothing.
fn reach(
    read: &dyn Fn(&Descriptor) -> Result<Resolved, LayoutError>,
    root: &Descriptor,
    blobs: &mut BTreeMap<Digest, Descriptor>,
) -> Result<(), LayoutError> {
    let mut waiting = vec![root.clone()];
    while let Some(entry) = waiting.pop() {
        if blobs.contains_key(&entry.digest) {
            continue;
        }
        if is_index(&entry.media_type) || is_manifest(&entry.media_type) {
            match read(&entry)?.document {
                Document::Index(index) => waiting.extend(index.manifests),
                Document::Manifest(manifest) => {
                    waiting.push(manifest.config);
                    waiting.extend(manifest.layers);
                }
            }
        }
        let plain = Descriptor::new(entry.media_type, entry.digest, entry.size);
        blobs.insert(plain.digest, plain);
    }
    Ok(())
}

/// The entry for an image under a name, with the annotations that other tools look for.
fn named(image: &Descriptor, name: &Reference) -> Descriptor {
    let mut entry = image.clone();
    let name = name.tagged(name.tag().unwrap_or("latest"));
    entry.annotations.insert(REF_NAME.into(), name.selector());
    entry.annotations.insert(IMAGE_NAME.into(), name.to_string());
    entry
}

fn index_json(entries: Vec<Descriptor>) -> Result<Vec<u8>, LayoutError> {
    serde_json::to_vec(&Index::new(entries))
        .map_err(|error| LayoutError::io("write", "index.json")(error.into()))
}

/// The layout at `dest`; `None` where there is nothing, or an empty directory.
fn existing(dest: &Path) -> Result<Option<OciLayout>, LayoutError> {
    let occupied = || LayoutError::Occupied { path: dest.into() };
    match fs::symlink_metadata(dest) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LayoutError::io("read", dest)(error)),
        Ok(found) if !found.is_dir() => return Err(occupied()),
        Ok(_) => {}
    }
    let mut inside = fs::read_dir(dest).map_err(LayoutError::io("read", dest))?;
    if inside.next().is_none() {
        return Ok(None);
    }
    let address = LayoutAddress { form: LayoutForm::Directory, path: dest.into(), image: None };
    match OciLayout::open(&address) {
        Err(LayoutError::NotALayout { .. }) => Err(occupied()),
        other => other.map(Some),
    }
}

/// A layout beside the place where it shall be.
#[derive(Debug)]
pub struct StagedLayout {
    fresh: tempfile::TempDir,
    dest: PathBuf,
    exchange: bool,
}

impl StagedLayout {
    /// The new directory takes its place, in one step; the old one goes with the temporary name.
    ///
    /// # Errors
    /// The system refuses; then the old one is still there.
    pub fn publish(self) -> Result<(), LayoutError> {
        let Self { fresh, dest, exchange } = self;
        let fault = |source: io::Error| LayoutError::io("write", &dest)(source);
        if exchange {
            let swap = renameat_with(CWD, fresh.path(), CWD, &dest, RenameFlags::EXCHANGE);
            return swap.map_err(|errno| fault(errno.into()));
        }
        fs::rename(fresh.path(), &dest).map_err(fault)?;
        // What the temporary name stood for is `dest` now: nothing is left to remove.
        let _: PathBuf = fresh.keep();
        Ok(())
    }
}

fn copy(mut from: impl Read, to: &Path) -> Result<(), LayoutError> {
    let mut file = fs::File::create(to).map_err(LayoutError::io("create", to))?;
    io::copy(&mut from, &mut file).map(drop).map_err(|error| transfer_fault(to, error))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
    fs::write(path, bytes).map_err(LayoutError::io("write", path))
}

fn parent(dest: &Path) -> PathBuf {
    match dest.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => ".".into(),
    }
}

#[cfg(test)]
pub(in crate::export) mod tests;
