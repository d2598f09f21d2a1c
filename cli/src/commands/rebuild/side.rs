//! The two images that are compared: the one that was recorded, and the one that was built again.

use std::io::{self, Read};

use touchmark_builder::{
    attestations::find::Place,
    compare::{
        difference::Difference,
        image::{Blobs, ImageSide, first_difference},
    },
    content::store::ContentStore,
    export::layout::OciLayout,
    oci::{descriptor::Descriptor, manifest::Manifest},
    registry::progress::Unwatched,
};

use crate::{error::CliError, runtime};

/// Blobs of an image in a layout.
struct InLayout<'a>(&'a OciLayout);

impl Blobs for InLayout<'_> {
    fn read(&self, blob: &Descriptor, max: u64) -> io::Result<Vec<u8>> {
        self.0.read(blob, max).map_err(io::Error::other)
    }

    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.0.open_blob(blob).map_err(io::Error::other)?))
    }
}

/// Blobs that were brought into the store.
struct InStore<'a>(&'a ContentStore);

impl Blobs for InStore<'_> {
    fn read(&self, blob: &Descriptor, max: u64) -> io::Result<Vec<u8>> {
        self.0.read(&blob.digest, max).map_err(io::Error::other)
    }

    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.0.open_verified(blob).map_err(io::Error::other)?))
    }
}

/// The first difference between the recorded image, whose manifest is `recorded`, and the only one of `rebuilt`.
pub(super) fn compare(
    place: &Place,
    recorded: &[u8],
    rebuilt: (&OciLayout, &[u8]),
    store: &ContentStore,
) -> Result<Option<Difference>, CliError> {
    if recorded == rebuilt.1 {
        return Ok(None);
    }
    let fault = |error: String| CliError::failed(format!("the images cannot be compared: {error}"));
    let new = ImageSide { manifest: rebuilt.1, blobs: &InLayout(rebuilt.0) };
    let found = match place {
        Place::Layout(layout, _) => {
            first_difference(&ImageSide { manifest: recorded, blobs: &InLayout(layout) }, &new)
        }
        Place::Registry(client, reference) => {
            let manifest: Manifest =
                serde_json::from_slice(recorded).map_err(|error| fault(error.to_string()))?;
            let blobs: Vec<Descriptor> =
                manifest.layers.into_iter().chain([manifest.config]).collect();
            let pulled = client.pull_blobs(reference, &blobs, store, &Unwatched);
            runtime::block_on(pulled)?.map_err(|error| fault(error.to_string()))?;
            first_difference(&ImageSide { manifest: recorded, blobs: &InStore(store) }, &new)
        }
    };
    found.map_err(|error| fault(error.to_string()))
}
