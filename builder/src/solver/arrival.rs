//! The bytes of a layer on their way to a snapshot: out of the store, or out of a download that still runs.

use std::{
    io::{self, Read},
    sync::Arc,
};

use tokio::sync::oneshot;

use super::error::SolveError;
use crate::{
    content::{
        growing_blob::{Fate, Growing, GrowingBlob},
        store::ContentStore,
    },
    layer::{
        LayerReader, ReadAhead,
        lookout::{Lookout, Shown},
    },
    oci::{descriptor::Descriptor, digest::Digest, reference::Reference},
};

/// A layer that is to be unpacked.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) diff_id: Digest,
    pub(super) blob: Descriptor,
    download: Option<Download>,
}

#[derive(Debug)]
struct Download {
    reading: Option<GrowingBlob>,
    fate: Fate,
    done: oneshot::Receiver<()>,
}

/// A layer that is to be downloaded.
#[derive(Debug)]
pub(super) struct Pull {
    pub(super) diff_id: Digest,
    pub(super) reference: Reference,
    pub(super) blob: Descriptor,
    pub(super) growing: Option<Growing>,
    pub(super) done: oneshot::Sender<()>,
}

impl Arrival {
    /// Of a layer that the store has as `blob`.
    pub(super) fn stored(diff_id: Digest, blob: Descriptor) -> Self {
        Self { diff_id, blob, download: None }
    }

    /// Of a layer that is downloaded at the same time.
    pub(super) fn downloaded(
        diff_id: Digest,
        reference: Reference,
        blob: Descriptor,
    ) -> (Self, Pull) {
        let (growing, reading) = Growing::pair();
        let (done, finished) = oneshot::channel();
        let (growing, fate) = (Some(growing), reading.fate());
        let download = Some(Download { reading: Some(reading), fate, done: finished });
        let arrival = Self { diff_id, blob: blob.clone(), download };
        (arrival, Pull { diff_id, reference, blob, growing, done })
    }

    /// The uncompressed archive, read ahead. Its end is only seen when the blob's digest and the layer's are
    /// right; it is shown to the `lookout`. The first call for a download gives what arrives, each other one what the
    /// store has.
    pub(super) fn open(
        &mut self,
        content: &Arc<ContentStore>,
        lookout: Option<Arc<dyn Lookout>>,
    ) -> Result<ReadAhead, SolveError> {
        let (content, blob, diff_id) = (content.clone(), self.blob.clone(), self.diff_id);
        let reading = self.download.as_mut().and_then(|download| download.reading.take());
        let open = move || {
            let bytes: Box<dyn Read> = match reading {
                Some(reading) => Box::new(reading),
                None => Box::new(content.open_verified(&blob).map_err(io::Error::other)?),
            };
            let archive = LayerReader::new(bytes, Some(diff_id))?;
            Ok::<_, io::Error>(Shown::to(lookout, archive, diff_id))
        };
        ReadAhead::start(open).map_err(SolveError::layer)
    }

    /// Waits until the store has the blob. False: the download failed, and says itself why.
    pub(super) async fn arrived(&mut self) -> bool {
        match &mut self.download {
            Some(download) => (&mut download.done).await.is_ok(),
            None => true,
        }
    }

    /// Did the download begin again, or was it another process's, while its bytes were read? Then what was read
    /// says nothing, and the store has the blob if it has [`arrived`](Self::arrived).
    pub(super) fn was_abandoned(&self) -> bool {
        self.download.as_ref().is_some_and(|download| download.fate.is_abandoned())
    }
}
