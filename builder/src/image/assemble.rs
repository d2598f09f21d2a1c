//! Solved layers, configuration and history become an image.

use std::iter;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Image, history};
use crate::{
    graph::Target,
    oci::{
        config::{History, RootFs},
        descriptor::Descriptor,
        media_type,
    },
    solver::{Solved, chain::Chains, error::SolveError},
};

/// What a layer of a base is called where the base's history lacks it.
const BASE_LAYER: &str = "created by buildkit";

/// Joins the target's layers, making blobs of those that are only snapshots so far. Those that a registry has
/// are named, and come when somebody reads them ([`Chains::ensure`]).
///
/// # Errors
/// When a layer cannot be compressed.
pub async fn assemble(
    target: &Target,
    solved: &Solved,
    chains: &Chains,
    epoch: i64,
) -> Result<Image, SolveError> {
    let chain = &solved.target().layers;
    let mut layers = Vec::with_capacity(chain.len());
    for end in 1..=chain.len() {
        let blob = chains.named(&chain[..end], epoch).await?;
        layers.push(oci_typed(&blob));
    }
    let created = rfc3339(epoch);
    let mut config = target.config.clone();
    config.rootfs = RootFs { diff_ids: chain.clone(), ..RootFs::default() };
    let mut entries = target.base_history.clone();
    let mut ours = Vec::new();
    for entry in &target.history {
        let added = entry.vertex.is_some_and(|vertex| solved.vertex(vertex).added);
        ours.extend(added.then(|| entry.layer.clone()));
        entries.push(History {
            created: Some(created.clone()),
            created_by: Some(entry.created_by.clone()),
            author: None,
            comment: Some(entry.comment.clone()),
            empty_layer: !added,
        });
    }
    let base = chain.len().saturating_sub(ours.len());
    let names = iter::repeat_n(BASE_LAYER.to_owned(), base).chain(ours).collect::<Vec<_>>();
    config.history = history::mended(entries, &names[..chain.len()], &created);
    // An image to which nothing was done is as old as its base.
    let last = config.history.last().and_then(|entry| entry.created.clone());
    config.created = Some(last.unwrap_or(created));
    Ok(Image { config, layers })
}

/// A layer under its OCI media type, without what a foreign registry annotated.
fn oci_typed(blob: &Descriptor) -> Descriptor {
    let media_type = media_type::oci_layer(&blob.media_type).unwrap_or(&blob.media_type);
    Descriptor::new(media_type, blob.digest, blob.size)
}

/// Seconds since 1970 as RFC 3339 in UTC; what is out of range becomes 1970.
#[must_use]
pub fn rfc3339(epoch: i64) -> String {
    OffsetDateTime::from_unix_timestamp(epoch)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .format(&Rfc3339)
        .unwrap_or_else(|_| "1970-01-01T00:00:00Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_are_utc_seconds() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(i64::MAX), "1970-01-01T00:00:00Z");
    }
}
