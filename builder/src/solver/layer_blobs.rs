//! Layers as blobs in the content store. A layer is named by the digest of its uncompressed tar, and
//! several blobs can hold it: the one that a registry has, and one per compression that was asked for.

use std::sync::Arc;

use super::{error::SolveError, pack, stack::Stack};
use crate::{
    content::{
        index::{Index, Table},
        records::Records,
        store::ContentStore,
    },
    layer::Compression,
    oci::{descriptor::Descriptor, digest::Digest},
};

/// Which blobs hold which layers.
#[derive(Debug)]
pub(super) struct LayerBlobs {
    records: Records,
    content: Arc<ContentStore>,
    /// How the layers of steps are compressed.
    pub(super) compression: Compression,
}

impl LayerBlobs {
    /// Keeps what it knows in `index`.
    pub(super) fn new(index: Arc<Index>, content: Arc<ContentStore>) -> Self {
        let records = Records::new(index, Table::Layers);
        Self { records, content, compression: Compression::default() }
    }

    /// The same index, for layers that are compressed in another way.
    pub(super) fn compressing(&self, compression: Compression) -> Self {
        let (records, content) = (self.records.clone(), self.content.clone());
        Self { records, content, compression }
    }

    /// Was a blob of the layer ever in the store?
    pub(super) fn knows(&self, diff_id: &Digest) -> bool {
        self.records.get::<Descriptor>(diff_id).is_some()
    }

    /// A blob of the layer that is in the store, in whatever compression.
    pub(super) fn any(&self, diff_id: &Digest) -> Option<Descriptor> {
        let blob: Descriptor = self.records.get(diff_id)?;
        self.content.has(&blob.digest).then_some(blob)
    }

    /// The blob of the layer in this compression, if it was made and is in the store.
    pub(super) fn made(&self, diff_id: &Digest, compression: Compression) -> Option<Descriptor> {
        self.any(&form(diff_id, compression))
    }

    /// Is this very blob in the store?
    pub(super) fn has(&self, blob: &Descriptor) -> bool {
        self.content.has(&blob.digest)
    }

    /// Remembers that `chain` is of the image `about`.
    pub(super) fn name(&self, chain: &[Digest], about: &str) {
        Stack::note(&self.records, chain, about, true);
    }

    /// Remembers that `blob` holds the layer.
    pub(super) fn remember(&self, diff_id: &Digest, blob: &Descriptor) -> Result<(), SolveError> {
        self.records.put(diff_id, blob).map_err(SolveError::store(self.records.dir()))
    }

    /// Remembers a blob that was made here.
    pub(super) fn remember_made(
        &self,
        diff_id: &Digest,
        blob: &Descriptor,
        compression: Compression,
    ) -> Result<(), SolveError> {
        if self.any(diff_id).is_none() {
            self.remember(diff_id, blob)?;
        }
        self.remember(&form(diff_id, compression), blob)
    }

    /// Remembers a blob that another machine made, and how it was compressed.
    pub(super) fn remember_shared(
        &self,
        diff_id: &Digest,
        blob: &Descriptor,
        compression: Compression,
    ) -> Result<(), SolveError> {
        self.remember_made(diff_id, blob, compression)?;
        // Its media type would tell another level.
        match Compression::of_media_type(&blob.media_type) == Some(compression) {
            true => Ok(()),
            false => self.remember(&unusual(blob), blob),
        }
    }

    /// The layer that `blob` holds, in this compression. One that has it already stays as it is. What
    /// a level made, only its record tells, so a blob without one counts as of the default level:
    /// hardening writes no other, and those of registries are theirs to choose.
    pub(super) async fn compressed(
        &self,
        diff_id: &Digest,
        blob: &Descriptor,
        compression: Compression,
    ) -> Result<Descriptor, SolveError> {
        if let Some(known) = self.made(diff_id, compression) {
            return Ok(known);
        }
        let own = self.made(diff_id, self.compression);
        let is_other = own.is_some_and(|own| own.digest == blob.digest);
        let is_other = is_other || self.any(&unusual(blob)).is_some();
        if !is_other && Compression::of_media_type(&blob.media_type) == Some(compression) {
            return Ok(blob.clone());
        }
        let (content, from, id) = (self.content.clone(), blob.clone(), *diff_id);
        let work = move || pack::recompress(&from, id, compression, &content);
        let made = tokio::task::spawn_blocking(work).await??;
        self.remember_made(diff_id, &made, compression)?;
        Ok(made)
    }
}

/// Under which key stands that a blob is of another level than the default one.
fn unusual(blob: &Descriptor) -> Digest {
    Digest::of(format!("{} level", blob.digest).as_bytes())
}

/// Under which key a layer in one compression stands.
fn form(diff_id: &Digest, compression: Compression) -> Digest {
    Digest::of(format!("{diff_id} {compression:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::layer::LayerWriter;

    /// A store with one layer as blob.
    fn layer(blobs: &LayerBlobs, compression: Compression) -> (Digest, Descriptor) {
        let sink = blobs.content.writer().unwrap();
        let mut writer = LayerWriter::new(sink, compression).unwrap();
        writer.write_all(&b"some text ".repeat(1000)).unwrap();
        let (layer, sink) = writer.finish().unwrap();
        sink.commit(None).unwrap();
        (layer.diff_id, layer.descriptor)
    }

    #[tokio::test]
    async fn each_compression_is_another_blob_of_the_same_layer_and_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let content = Arc::new(ContentStore::open(dir.path().join("content")).unwrap());
        let mut blobs = LayerBlobs::new(Arc::new(Index::open(&dir.path().join("index"))), content);
        blobs.compression = Compression::Gzip { level: 0 };
        let (id, stored) = layer(&blobs, blobs.compression);
        blobs.remember_made(&id, &stored, blobs.compression).unwrap();

        let default = blobs.compressed(&id, &stored, Compression::default()).await.unwrap();
        assert_ne!(default.digest, stored.digest, "another level is another blob");
        assert_eq!(default, layer(&blobs, Compression::default()).1);
        let zstd = blobs.compressed(&id, &stored, Compression::Zstd { level: 3 }).await.unwrap();
        assert!(zstd.media_type.ends_with("+zstd"), "{}", zstd.media_type);
        let plain = blobs.compressed(&id, &zstd, Compression::None).await.unwrap();
        assert_eq!(plain.digest, id);
        assert_eq!(blobs.made(&id, Compression::Zstd { level: 3 }), Some(zstd));
        assert_eq!(blobs.any(&id), Some(stored.clone()), "the first one stays the layer's own");

        let (other, found) = layer(&blobs, Compression::default());
        assert_eq!(blobs.compressed(&other, &found, Compression::default()).await.unwrap(), found);
    }
}
