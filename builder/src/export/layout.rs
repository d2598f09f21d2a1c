//! Reading OCI layouts. Whatever comes out of one has been checked against its digest.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use super::{
    layout_address::{ImageSelector, LayoutAddress, LayoutForm},
    layout_archive::LayoutArchive,
    layout_error::LayoutError,
};
use crate::{
    content::{error::ContentError, store::ContentStore, verified_blob::VerifiedBlob},
    oci::{
        descriptor::Descriptor,
        digest::Digest,
        manifest::{Index, MAX_MANIFEST_BYTES},
        media_type::{is_index, is_manifest},
        platform::Platform,
    },
    registry::{document::Resolved, platform_choice::select_platform},
};

/// Annotation of an entry in index.json: its tag.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Annotation of an entry in index.json: the full name of the image, which containerd imports it as.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

/// An OCI layout that is open for reading.
#[derive(Debug)]
pub struct OciLayout {
    place: String,
    files: Files,
    index: Index,
}

#[derive(Debug)]
enum Files {
    Directory(PathBuf),
    Archive(LayoutArchive),
}

/// A layout of more entries in index.json is refused.
const MAX_ENTRIES: usize = 4096;

impl OciLayout {
    /// Opens the layout of an address, whichever image it names, and reads its index.json.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn open(address: &LayoutAddress) -> Result<Self, LayoutError> {
        let address = address.as_found();
        let place = address.to_string();
        let files = match address.form {
            LayoutForm::Directory => Files::Directory(address.path.clone()),
            LayoutForm::Archive => Files::Archive(LayoutArchive::open(&address.path, &place)?),
        };
        let mut layout = Self { place, files, index: Index::new(Vec::new()) };
        // image-layout.md: "oci-layout … MUST contain imageLayoutVersion", "1.0.0".
        let version = layout.document_file("oci-layout")?;
        let version: BTreeMap<String, serde_json::Value> = layout.json("oci-layout", &version)?;
        if version.get("imageLayoutVersion").and_then(|v| v.as_str()) != Some("1.0.0") {
            let reason = "its oci-layout does not say version 1.0.0".into();
            return Err(LayoutError::NotALayout { place: layout.place, reason });
        }
        let index = layout.document_file("index.json")?;
        layout.index = layout.json("index.json", &index)?;
        if layout.index.manifests.len() > MAX_ENTRIES {
            let reason = format!("it has more than {MAX_ENTRIES} entries");
            return Err(layout.broken("index.json".into(), reason));
        }
        Ok(layout)
    }

    /// The entries of index.json: images, and what refers to them.
    #[must_use]
    pub fn entries(&self) -> &[Descriptor] {
        &self.index.manifests
    }

    /// The image that is named, or the only one.
    ///
    /// # Errors
    /// [`LayoutError::NoSuchImage`], [`LayoutError::Ambiguous`], and all others.
    pub fn resolve(&self, image: Option<&ImageSelector>) -> Result<Resolved, LayoutError> {
        let entry = match image {
            Some(ImageSelector::Digest(digest)) => self.by_digest(*digest)?,
            Some(ImageSelector::Name(name)) => self.by_name(name)?,
            None => self.only_image()?,
        };
        self.document(&entry)
    }

    /// As [`resolve`](Self::resolve), and where that is an index, the manifest for `platform` in it.
    ///
    /// # Errors
    /// [`LayoutError::NoPlatform`] and all others.
    pub fn resolve_platform(
        &self,
        image: Option<&ImageSelector>,
        platform: &Platform,
    ) -> Result<Resolved, LayoutError> {
        let resolved = self.resolve(image)?;
        let Some(index) = resolved.index() else { return Ok(resolved) };
        let entry = select_platform(index, platform).map_err(|fault| LayoutError::NoPlatform {
            place: self.place.clone(),
            fault: Box::new(fault),
        })?;
        self.document(&entry)
    }

    /// The manifest or index of a descriptor.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn document(&self, entry: &Descriptor) -> Result<Resolved, LayoutError> {
        let bytes = self.read(entry, MAX_MANIFEST_BYTES)?;
        let document = Resolved::read(Some(&entry.media_type), bytes);
        document.map_err(|fault| self.broken(entry.digest.to_string(), fault.reason))
    }

    /// A whole blob of at most `max` bytes, verified.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn read(&self, blob: &Descriptor, max: u64) -> Result<Vec<u8>, LayoutError> {
        if blob.size > max {
            let (place, what) = (self.place.clone(), format!("the blob {}", blob.digest));
            return Err(LayoutError::TooLarge { place, what, max });
        }
        let mut bytes = Vec::new();
        match self.open_blob(blob)?.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.blob_fault(blob, error)),
        }
    }

    /// A reader that fails at the end when digest or size differ from the descriptor's.
    ///
    /// # Errors
    /// [`LayoutError::MissingBlob`], [`LayoutError::Io`].
    pub fn open_blob(
        &self,
        blob: &Descriptor,
    ) -> Result<VerifiedBlob<Box<dyn Read + Send>>, LayoutError> {
        let name = format!("blobs/sha256/{}", blob.digest.hex());
        match self.file(&name).map_err(|error| self.blob_fault(blob, error))? {
            Some((reader, _)) => Ok(VerifiedBlob::foreign(reader, blob)),
            None => {
                let (place, digest) = (self.place.clone(), blob.digest);
                Err(LayoutError::MissingBlob { place, digest })
            }
        }
    }

    /// Brings a blob into the content store, unless it is there.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn copy_to(&self, store: &ContentStore, blob: &Descriptor) -> Result<(), LayoutError> {
        if store.has(&blob.digest) {
            return Ok(());
        }
        let (mut reader, mut writer) = (self.open_blob(blob)?, store.writer()?);
        io::copy(&mut reader, &mut writer).map_err(|error| self.blob_fault(blob, error))?;
        writer.commit(Some(blob.digest)).map(drop).map_err(Into::into)
    }

    /// Everything in the layout whose manifest names `subject` as its subject, with artifact type and
    /// annotations as its own manifest has them. Both ways of listing are read: entries of index.json,
    /// and an index under the fallback tag.
    ///
    /// # Errors
    /// [`LayoutError`]; a broken entry fails the whole list, because it may be what was looked for.
    pub fn referrers(&self, subject: Digest) -> Result<Vec<Descriptor>, LayoutError> {
        let fallback = format!("sha256-{}", subject.hex());
        let mut candidates = Vec::new();
        for entry in &self.index.manifests {
            if entry.annotations.get(REF_NAME) == Some(&fallback) && is_index(&entry.media_type) {
                let list = self.document(entry)?;
                candidates.extend(list.index().into_iter().flat_map(|list| list.manifests.clone()));
            } else {
                candidates.push(entry.clone());
            }
        }
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for entry in
            candidates.into_iter().filter(|entry| is_manifest(&entry.media_type)).take(MAX_ENTRIES)
        {
            if !seen.insert(entry.digest) {
                continue;
            }
            let document = self.document(&entry)?;
            let Some(manifest) = document.manifest() else { continue };
            if manifest.subject.as_ref().is_some_and(|of| of.digest == subject) {
                let kind = manifest.artifact_type.clone();
                found.push(Descriptor {
                    artifact_type: kind.or_else(|| Some(manifest.config.media_type.clone())),
                    annotations: manifest.annotations.clone(),
                    platform: None,
                    ..entry
                });
            }
        }
        Ok(found)
    }

    fn by_digest(&self, digest: Digest) -> Result<Descriptor, LayoutError> {
        let entries = self.index.manifests.iter();
        if let Some(entry) = entries.clone().find(|entry| entry.digest == digest) {
            return Ok(entry.clone());
        }
        // A manifest inside an index of the layout, such as that of one platform.
        for entry in entries.filter(|entry| is_index(&entry.media_type)) {
            let document = self.document(entry)?;
            let children = document.index().map(|index| index.manifests.as_slice());
            let mut children = children.unwrap_or_default().iter();
            if let Some(child) = children.find(|child| child.digest == digest) {
                return Ok(child.clone());
            }
        }
        Err(self.no_such(digest.to_string()))
    }

    /// The tag, or the full name; the last entry counts, as tools append.
    fn by_name(&self, name: &str) -> Result<Descriptor, LayoutError> {
        let named = |entry: &&Descriptor| {
            let is = |key| entry.annotations.get(key).is_some_and(|known| known == name);
            is(REF_NAME) || is(IMAGE_NAME)
        };
        let found = self.index.manifests.iter().rev().find(named).cloned();
        found.ok_or_else(|| self.no_such(name.to_owned()))
    }

    fn only_image(&self) -> Result<Descriptor, LayoutError> {
        let mut images: Vec<&Descriptor> = Vec::new();
        for entry in self.index.manifests.iter().filter(|entry| is_image(entry)) {
            if !images.iter().any(|known| known.digest == entry.digest) {
                images.push(entry);
            }
        }
        if images.len() > 1 {
            // Some tools list referrers without their artifact type.
            let mut own = Vec::new();
            for entry in images {
                if self.document(entry)?.manifest().is_none_or(|one| one.subject.is_none()) {
                    own.push(entry);
                }
            }
            images = own;
        }
        match images[..] {
            [only] => Ok(only.clone()),
            [] => Err(self.no_such("*".into())),
            _ => {
                let have = images.iter().map(|entry| name_of(entry)).collect();
                Err(LayoutError::Ambiguous { place: self.place.clone(), have })
            }
        }
    }

    fn no_such(&self, wanted: String) -> LayoutError {
        let images = self.index.manifests.iter().filter(|entry| is_image(entry));
        let have = images.map(name_of).collect();
        LayoutError::NoSuchImage { place: self.place.clone(), wanted, have }
    }

    /// One of the two documents outside blobs/.
    fn document_file(&self, name: &str) -> Result<Vec<u8>, LayoutError> {
        let place = || self.place.clone();
        let not = |reason: String| LayoutError::NotALayout { place: place(), reason };
        let unreadable = |error: io::Error| not(format!("its {name} cannot be read: {error}"));
        let (reader, size) =
            self.file(name).map_err(unreadable)?.ok_or_else(|| not(format!("it has no {name}")))?;
        let max = MAX_MANIFEST_BYTES;
        if size > max {
            return Err(LayoutError::TooLarge { place: place(), what: name.into(), max });
        }
        let mut bytes = Vec::new();
        reader.take(max).read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }

    fn file(&self, name: &str) -> io::Result<Option<(Box<dyn Read + Send>, u64)>> {
        let directory = match &self.files {
            Files::Archive(archive) => {
                let file = archive.file(name)?;
                return Ok(file.map(|(reader, size)| (Box::new(reader) as _, size)));
            }
            Files::Directory(directory) => directory,
        };
        let path = directory.join(name);
        // Asked before it is opened: opening a pipe would wait for its other end.
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => Ok(Some((Box::new(File::open(path)?), found.len()))),
            Ok(_) => Err(io::Error::other("it is not a regular file")),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn json<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        bytes: &[u8],
    ) -> Result<T, LayoutError> {
        serde_json::from_slice(bytes).map_err(|error| self.broken(what.into(), error.to_string()))
    }

    fn blob_fault(&self, blob: &Descriptor, error: io::Error) -> LayoutError {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        let reason = match inner {
            Some(ContentError::WrongSize { expected, found, .. }) if found > expected => {
                format!("it has more than the {expected} bytes that its descriptor says")
            }
            Some(ContentError::WrongSize { expected, found, .. }) => {
                format!("it has {found} bytes, but its descriptor says {expected}")
            }
            Some(ContentError::WrongDigest { found, .. }) => {
                format!("its bytes have the digest {found}")
            }
            _ => error.to_string(),
        };
        self.broken(format!("the blob {}", blob.digest), reason)
    }

    fn broken(&self, what: String, reason: String) -> LayoutError {
        LayoutError::Broken { place: self.place.clone(), what, reason }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// An entry that is not marked as referring to another one.
fn is_image(entry: &Descriptor) -> bool {
    let fallback = entry.annotations.get(REF_NAME).is_some_and(|name| name.starts_with("sha256-"));
    let kind = is_index(&entry.media_type) || is_manifest(&entry.media_type);
    kind && entry.artifact_type.is_none() && !fallback
}

fn name_of(entry: &Descriptor) -> String {
    let name = entry.annotations.get(REF_NAME).or(entry.annotations.get(IMAGE_NAME));
    name.cloned().unwrap_or_else(|| entry.digest.to_string())
}

#[cfg(test)]
mod tests;
