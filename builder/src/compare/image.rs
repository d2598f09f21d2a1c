//! Two images, from the configuration down to a byte of a layer.

use std::io::{self, Read};

use serde_json::Value;

use super::{difference::Difference, json, layer};
use crate::{
    layer::LayerReader,
    oci::{
        config::{ImageConfig, MAX_CONFIG_BYTES},
        descriptor::Descriptor,
        digest::Digest,
        manifest::Manifest,
    },
};

/// Where the blobs of an image are; what is read is verified.
pub trait Blobs {
    /// The bytes of a document of at most `max` bytes.
    ///
    /// # Errors
    /// It is not there, or is not what its descriptor says.
    fn read(&self, blob: &Descriptor, max: u64) -> io::Result<Vec<u8>>;

    /// The bytes of a blob, one after the other.
    ///
    /// # Errors
    /// It is not there.
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>>;
}

/// One image of one platform.
pub struct ImageSide<'a> {
    /// The manifest's bytes.
    pub manifest: &'a [u8],
    /// Its blobs.
    pub blobs: &'a dyn Blobs,
}

struct Opened {
    manifest: Manifest,
    config: Value,
    diff_ids: Vec<Digest>,
}

/// The first difference: what a layer holds before what the configuration says, and that before how layers are
/// compressed and what the manifest says beside them. None where the images are the same bit for bit.
///
/// # Errors
/// An image cannot be read.
pub fn first_difference(
    old: &ImageSide<'_>,
    new: &ImageSide<'_>,
) -> io::Result<Option<Difference>> {
    if old.manifest == new.manifest {
        return Ok(None);
    }
    let (a, b) = (open(old)?, open(new)?);
    if let Some(found) = contents((old, &a), (new, &b))? {
        return Ok(Some(found));
    }
    let field = |document, (field, old, new)| Difference::Field { document, field, old, new };
    if let Some(found) = json::first(&a.config, &b.config) {
        return Ok(Some(field("configuration", found)));
    }
    for (at, (old, new)) in a.manifest.layers.iter().zip(&b.manifest.layers).enumerate() {
        if old.digest != new.digest {
            let (layer, old, new) = (at + 1, old.digest, new.digest);
            return Ok(Some(Difference::Compression { layer, old, new }));
        }
    }
    let (old, new): (Value, Value) = (parse(old.manifest)?, parse(new.manifest)?);
    let bytes = ("the order of fields".to_owned(), String::new(), String::new());
    Ok(Some(field("manifest", json::first(&old, &new).unwrap_or(bytes))))
}

/// The first difference of what the layers hold.
fn contents(
    (old, a): (&ImageSide<'_>, &Opened),
    (new, b): (&ImageSide<'_>, &Opened),
) -> io::Result<Option<Difference>> {
    let mut pairs = a.diff_ids.iter().zip(&b.diff_ids).enumerate();
    if let Some((at, (old_id, new_id))) = pairs.find(|(_, (old, new))| old != new) {
        let blob = |opened: &Opened| {
            let blob = opened.manifest.layers.get(at).cloned();
            blob.ok_or_else(|| malformed("it has fewer layers than it says"))
        };
        let first = layer::first(
            LayerReader::new(old.blobs.open(&blob(a)?)?, Some(*old_id))?,
            LayerReader::new(new.blobs.open(&blob(b)?)?, Some(*new_id))?,
        )?;
        let layer = at + 1;
        return Ok(Some(match first {
            Some((path, what)) => Difference::Layer { layer, path, what },
            None => Difference::Archive { layer, old: *old_id, new: *new_id },
        }));
    }
    let (old, new) = (a.diff_ids.len(), b.diff_ids.len());
    Ok((old != new).then_some(Difference::LayerCount { old, new }))
}

fn open(side: &ImageSide<'_>) -> io::Result<Opened> {
    let manifest: Manifest = parse(side.manifest)?;
    let config = side.blobs.read(&manifest.config, MAX_CONFIG_BYTES)?;
    let typed: ImageConfig = parse(&config)?;
    Ok(Opened { manifest, config: parse(&config)?, diff_ids: typed.rootfs.diff_ids })
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(|error| malformed(&error.to_string()))
}

fn malformed(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}
