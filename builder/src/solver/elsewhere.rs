//! Blobs of layers that are not here and need not come: a base image's registry has them, or another machine
//! offers them. They are brought when somebody reads them; a registry takes them from there by itself.

use super::{chain::Chains, error::SolveError, shared::SharedLayer};
use crate::oci::{descriptor::Descriptor, digest::Digest, reference::Reference};

impl Chains {
    /// Notes that the layer `diff_id` can be fetched as `blob` from `reference`.
    pub fn fetchable(&self, diff_id: Digest, reference: &Reference, blob: &Descriptor) {
        self.bases.fetchable(diff_id, reference, blob);
    }

    /// Notes that another machine made the layer `diff_id`, and where it can be had.
    pub fn offer(&self, diff_id: Digest, layer: SharedLayer) {
        self.shared.offer(diff_id, layer);
    }

    /// Forgets all layers that the shared source of this name offered.
    pub fn withdraw(&self, source: &str) {
        self.shared.withdraw(source);
    }

    /// The layer as another machine offers it, where it is not in the store yet.
    #[must_use]
    pub fn offered(&self, diff_id: &Digest) -> Option<SharedLayer> {
        self.shared.get(diff_id).filter(|_| self.blobs.any(diff_id).is_none())
    }

    /// Does the layer come from a base image?
    #[must_use]
    pub fn is_of_base(&self, diff_id: &Digest) -> bool {
        self.bases.origin(diff_id).is_some()
    }

    /// Is this blob in the store?
    #[must_use]
    pub fn has(&self, blob: &Descriptor) -> bool {
        self.blobs.has(blob)
    }

    /// Is this blob of the layer `diff_id` here, or can it be brought?
    #[must_use]
    pub fn can_have(&self, diff_id: &Digest, blob: &Descriptor) -> bool {
        let from_base = || self.bases.origin(diff_id).map(|(_, blob)| blob);
        let from_others = || self.shared.get(diff_id).map(|layer| layer.blob);
        let same = |found: Descriptor| found.digest == blob.digest;
        self.has(blob) || from_base().is_some_and(same) || from_others().is_some_and(same)
    }

    /// A repository that has the blob.
    #[must_use]
    pub fn repository_of(&self, blob: &Digest) -> Option<Reference> {
        self.bases.origin_of(blob).or_else(|| self.shared.repository_of(blob))
    }

    /// What names the blob of the top layer of `chain`. One that can be had as it is wanted stays where it is;
    /// everything else is made now.
    ///
    /// # Errors
    /// When the blob cannot be made.
    pub async fn named(&self, chain: &[Digest], epoch: i64) -> Result<Descriptor, SolveError> {
        let Some(top) = chain.last() else { return Err(SolveError::EmptyChain) };
        self.background.wait(top).await?;
        if let Some((_, blob)) = self.bases.origin(top) {
            return Ok(blob);
        }
        match self.offered(top).filter(|offer| offer.compression == self.blobs.compression) {
            Some(offer) => Ok(offer.blob),
            None => self.blob(chain, epoch).await,
        }
    }

    /// Brings those of these blobs that are not in the store, several at once.
    ///
    /// # Errors
    /// The first that does not come.
    pub async fn ensure(&self, layers: &[(Digest, Descriptor)]) -> Result<(), SolveError> {
        let lacking = layers.iter().filter(|(_, blob)| !self.has(blob));
        let (bases, others): (Vec<_>, Vec<_>) =
            lacking.partition(|(diff_id, _)| self.is_of_base(diff_id));
        let ids = |of: &[&(Digest, Descriptor)]| of.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        let (bases, others) = (ids(&bases), ids(&others));
        tokio::try_join!(
            self.bases.fetch(&bases, &self.blobs),
            self.shared.bring(&others, &self.blobs, &self.content),
        )?;
        match layers.iter().find(|(_, blob)| !self.has(blob)) {
            Some((diff_id, _)) => Err(SolveError::LayerGone(*diff_id)),
            None => Ok(()),
        }
    }
}
