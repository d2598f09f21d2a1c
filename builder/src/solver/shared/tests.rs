use std::io::Write;

use futures::FutureExt;

use super::*;
use crate::{content::index::Index, layer::LayerWriter};

/// Has blobs in memory.
#[derive(Debug)]
struct Memory(Vec<Vec<u8>>);

impl LayerSource for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn repository(&self) -> Option<&Reference> {
        None
    }

    fn bring<'a>(
        &'a self,
        blobs: &'a [Descriptor],
        content: &'a ContentStore,
    ) -> BoxFuture<'a, Result<(), SourceFault>> {
        async move {
            for blob in blobs {
                let found = self.0.iter().find(|bytes| Digest::of(bytes) == blob.digest);
                content.put(found.ok_or("it is gone")?)?;
            }
            Ok(())
        }
        .boxed()
    }
}

/// A layer of this text as a blob.
fn layer(text: &[u8], compression: Compression) -> (Digest, Descriptor, Vec<u8>) {
    let mut writer = LayerWriter::new(Vec::new(), compression).unwrap();
    writer.write_all(text).unwrap();
    let (layer, bytes) = writer.finish().unwrap();
    (layer.diff_id, layer.descriptor, bytes)
}

struct Store {
    _dir: tempfile::TempDir,
    content: Arc<ContentStore>,
    blobs: LayerBlobs,
}

fn store() -> Store {
    let dir = tempfile::tempdir().unwrap();
    let content = Arc::new(ContentStore::open(dir.path().join("content")).unwrap());
    let index = Arc::new(Index::open(&dir.path().join("index")));
    let blobs = LayerBlobs::new(index, content.clone());
    Store { _dir: dir, content, blobs }
}

#[tokio::test]
async fn a_layer_of_another_level_is_compressed_as_this_machine_would() {
    let store = store();
    let (diff_id, blob, bytes) = layer(&b"text ".repeat(999), Compression::Gzip { level: 9 });
    let shared = SharedLayers::default();
    let source = Arc::new(Memory(vec![bytes]));
    let compression = Compression::Gzip { level: 9 };
    shared.offer(diff_id, SharedLayer { blob: blob.clone(), compression, source });
    shared.bring(&[diff_id], &store.blobs, &store.content).await.unwrap();
    assert_eq!(store.blobs.any(&diff_id), Some(blob.clone()));
    let own = store.blobs.compressed(&diff_id, &blob, Compression::default()).await.unwrap();
    assert_eq!(own, layer(&b"text ".repeat(999), Compression::default()).1);
}

#[tokio::test]
async fn a_blob_that_holds_another_layer_is_never_taken_for_it() {
    let store = store();
    let (wanted, ..) = layer(b"what the step wrote", Compression::None);
    let (_, blob, bytes) = layer(b"something else", Compression::default());
    let shared = SharedLayers::default();
    let source = Arc::new(Memory(vec![bytes]));
    let compression = Compression::default();
    shared.offer(wanted, SharedLayer { blob, compression, source });
    let fault = shared.bring(&[wanted], &store.blobs, &store.content).await.unwrap_err();
    assert_eq!(fault.shared_source(), Some("memory"));
    assert_eq!(store.blobs.any(&wanted), None);
    shared.withdraw("memory");
    assert!(shared.get(&wanted).is_none());
    shared.bring(&[wanted], &store.blobs, &store.content).await.unwrap();
}

#[tokio::test]
async fn a_layer_that_is_gone_names_its_source() {
    let store = store();
    let (diff_id, blob, _) = layer(b"text", Compression::default());
    let shared = SharedLayers::default();
    let source = Arc::new(Memory(Vec::new()));
    shared.offer(diff_id, SharedLayer { blob, compression: Compression::default(), source });
    let fault = shared.bring(&[diff_id], &store.blobs, &store.content).await.unwrap_err();
    let said = "the shared cache memory does not give a layer that it names: it is gone";
    assert_eq!(fault.to_string(), said);
}
