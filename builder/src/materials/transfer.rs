//! Materials to and from the registry that the image is in.

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    artifact::{ARTIFACT_TYPE, Artifact, LISTING_TYPE, Listing, MAX_LISTING, MOST, fits},
    material::Material,
};
use crate::{
    content::error::ContentError,
    downloads::{DownloadStore, StoredAnswer},
    oci::{
        descriptor::Descriptor, digest::Digest, manifest::Manifest, media_type,
        reference::Reference,
    },
    registry::{
        client::RegistryClient, error::RegistryError, progress::Unwatched, push::BlobSource,
    },
};

/// Bodies that travel at the same time.
const PARALLEL: usize = 4;

/// Where the address of a pulled answer came from, as the store keeps it. It is no address of an upstream, so that a
/// build with a network never asks an upstream whether such an answer is still good: its headers are not signed.
pub const PULLED: &str = "materials:";

/// Why materials do not get to where they should.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The store.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A document that is not what it should be.
    #[error("the materials {digest} cannot be read: {reason}")]
    Malformed {
        /// Of the artifact's manifest.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// An artifact that cannot be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// What was moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Answers.
    pub answers: usize,
    /// Bytes of their bodies, each once.
    pub bytes: u64,
    /// Answers in an artifact that the provenance does not know, and that were left there.
    pub foreign: usize,
}

/// Puts the answers beside the image `subject` of `repository`.
///
/// # Errors
/// [`TransferError`]; what has arrived stays and is not sent again.
pub async fn push(
    client: &RegistryClient,
    repository: &Reference,
    subject: &Descriptor,
    answers: &[StoredAnswer],
    store: &DownloadStore,
) -> Result<Moved, TransferError> {
    let target = repository.at(subject.digest);
    let mut moved = Moved::default();
    let mut entries = Vec::new();
    for part in answers.chunks(MOST) {
        let artifact = Artifact::new(part, subject)?;
        let content = store.content().as_ref();
        let send =
            |body| client.push_blob(&target, body, BlobSource::Store(content), None, &Unwatched);
        let sends: Vec<_> = artifact.bodies.iter().map(send).collect();
        stream::iter(sends).buffer_unordered(PARALLEL).try_collect::<Vec<_>>().await?;
        let listing = Descriptor::of(LISTING_TYPE, &artifact.listing);
        let bytes = BlobSource::Bytes(&artifact.listing);
        client.push_blob(&target, &listing, bytes, None, &Unwatched).await?;
        let own = repository.at(artifact.entry.digest);
        let pushed = client.push_manifest(&own, media_type::MANIFEST, &artifact.manifest).await?;
        if !pushed.listed {
            entries.push(artifact.entry);
        }
        moved.answers += part.len();
        moved.bytes += artifact.bodies.iter().map(|body| body.size).sum::<u64>();
    }
    if !entries.is_empty() {
        client.add_referrers(repository, subject.digest, &entries).await?;
    }
    Ok(moved)
}

/// Brings into the store what is beside the image `subject` of `repository` and what `materials`, which its
/// provenance lists, name with the same digest.
///
/// # Errors
/// [`TransferError`].
pub async fn pull(
    client: &RegistryClient,
    repository: &Reference,
    subject: &Descriptor,
    materials: &[Material],
    store: &DownloadStore,
) -> Result<Moved, TransferError> {
    let mut moved = Moved::default();
    for entry in client.referrers(repository, subject.digest).await? {
        // A fallback list that another tool wrote may name the configuration's type.
        let own = |kind: &str| kind == ARTIFACT_TYPE || kind == LISTING_TYPE;
        if entry.artifact_type.as_deref().is_some_and(own) {
            part(client, repository, &entry, materials, store, &mut moved).await?;
        }
    }
    Ok(moved)
}

async fn part(
    client: &RegistryClient,
    repository: &Reference,
    entry: &Descriptor,
    materials: &[Material],
    store: &DownloadStore,
    moved: &mut Moved,
) -> Result<(), TransferError> {
    let digest = entry.digest;
    let malformed = |reason: String| TransferError::Malformed { digest, reason };
    let at = repository.at(digest);
    let manifest = client.resolve(&at).await?.bytes;
    let manifest: Manifest =
        serde_json::from_slice(&manifest).map_err(|error| malformed(error.to_string()))?;
    if manifest.config.media_type != LISTING_TYPE {
        return Err(malformed(format!("its listing has the type {}", manifest.config.media_type)));
    }
    let listing = client.read_blob(&at, &manifest.config, MAX_LISTING).await?;
    let listing: Listing =
        serde_json::from_slice(&listing).map_err(|error| malformed(error.to_string()))?;
    let wanted = |answer: &StoredAnswer| materials.iter().any(|one| fits(one, answer));
    let (wanted, foreign): (Vec<_>, Vec<_>) = listing.answers.into_iter().partition(wanted);
    moved.foreign += foreign.len();
    let needed = |body: &&Descriptor| wanted.iter().any(|answer| answer.digest == body.digest);
    let bodies: Vec<Descriptor> = manifest.layers.iter().filter(needed).cloned().collect();
    client.pull_blobs(&at, &bodies, store.content(), &Unwatched).await?;
    moved.bytes += bodies.iter().map(|body| body.size).sum::<u64>();
    for answer in wanted {
        if store.content().has(&answer.digest) {
            store.keep(StoredAnswer { fetched_url: PULLED.into(), checked: 0, ..answer });
            moved.answers += 1;
        }
    }
    Ok(())
}
