//! Every layer blob of a pushed image, unpacked one by one: what a merged tree hides is seen here.

use std::{collections::BTreeMap, io::Read};

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use crate::registry::Registry;

/// One layer blob.
#[derive(Debug)]
pub struct BlobListing {
    /// The blob's digest.
    pub digest: String,
    /// Its entries in order.
    pub entries: Vec<BlobEntry>,
}

/// One entry of a layer's tar.
#[derive(Debug, Clone)]
pub struct BlobEntry {
    /// Path without leading `./` or `/` and without a slash at the end.
    pub path: String,
    /// What it is.
    pub kind: tar::EntryType,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner as in the tar.
    pub uid: u64,
    /// Group as in the tar.
    pub gid: u64,
    /// `sha256:<hex>` of a file's contents.
    pub digest: String,
    /// A small file's contents (≤ 1 MiB), for package databases.
    pub contents: Vec<u8>,
    /// Target of a link.
    pub link: Option<String>,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl BlobEntry {
    /// The last part of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// Unpacks every layer blob of `repository:reference`, which must be an image manifest.
#[must_use]
pub fn unpack_every_blob(
    registry: &Registry,
    repository: &str,
    reference: &str,
) -> Vec<BlobListing> {
    let (_, manifest) = registry.manifest(repository, reference).expect("the image was pushed");
    let layers = manifest["layers"].as_array().expect("an image manifest").clone();
    let unpack = |layer: &serde_json::Value| {
        let digest = layer["digest"].as_str().expect("a descriptor").to_owned();
        let blob = registry.blob(repository, &digest);
        BlobListing { entries: list(&decompressed(&blob)), digest }
    };
    layers.iter().map(unpack).collect()
}

/// gzip or nothing; zstd would need a library of its own, and no test asks for it.
#[must_use]
pub fn decompressed(blob: &[u8]) -> Vec<u8> {
    if !blob.starts_with(&[0x1f, 0x8b]) {
        return blob.to_vec();
    }
    let mut tar = Vec::new();
    MultiGzDecoder::new(blob).read_to_end(&mut tar).expect("a gzip layer");
    tar
}

/// Lists a tar.
#[must_use]
pub fn list(tar: &[u8]) -> Vec<BlobEntry> {
    let mut archive = tar::Archive::new(tar);
    archive.entries().expect("a tar").map(|entry| read(entry.expect("a whole tar"))).collect()
}

fn read(mut entry: tar::Entry<'_, &[u8]>) -> BlobEntry {
    let mut xattrs = BTreeMap::new();
    if let Ok(Some(extensions)) = entry.pax_extensions() {
        for extension in extensions.flatten() {
            if let Some(key) =
                extension.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr."))
            {
                xattrs.insert(key.to_owned(), extension.value_bytes().to_vec());
            }
        }
    }
    let mut contents = Vec::new();
    entry.read_to_end(&mut contents).expect("a whole entry");
    let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let header = entry.header();
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(&contents)));
    BlobEntry {
        path: path.trim_start_matches("./").trim_matches('/').to_owned(),
        kind: header.entry_type(),
        mode: header.mode().expect("a mode") & 0o7777,
        uid: header.uid().expect("an owner"),
        gid: header.gid().expect("a group"),
        link: entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned()),
        contents: if contents.len() <= 1 << 20 { contents } else { Vec::new() },
        digest,
        xattrs,
    }
}

/// The topmost contents of `path`, `None` when no layer has it or the last word is a whiteout.
#[must_use]
pub fn topmost<'a>(blobs: &'a [BlobListing], path: &str) -> Option<&'a BlobEntry> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let whiteout = format!("{folder}/.wh.{name}");
    for blob in blobs.iter().rev() {
        if let Some(entry) = blob.entries.iter().rfind(|entry| entry.path == path) {
            return Some(entry);
        }
        if blob.entries.iter().any(|entry| entry.path == whiteout.trim_start_matches('/')) {
            return None;
        }
    }
    None
}
