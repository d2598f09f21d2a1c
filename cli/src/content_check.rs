//! Are the image's own bytes what its manifest says? The signatures cover the manifest; these checks go
//! on from there.

use touchmark_attest::policy::Status;
use touchmark_builder::{
    attestations::find::{FindError, Found, Place},
    oci::{
        config::MAX_CONFIG_BYTES,
        descriptor::Descriptor,
        manifest::{Index, Manifest},
        media_type,
    },
};

use crate::{
    index::{MAX_PLATFORMS, PlatformFound},
    ui::{table::ContentCheck, text::size},
};

/// Checks the configuration always, and the layers where they are at hand (a layout) or asked for.
/// Of an index, each platform's.
pub(crate) async fn check(
    place: &Place,
    found: &Found,
    platforms: &[PlatformFound],
    layers: bool,
) -> Vec<ContentCheck> {
    let unreadable = platforms.iter().flat_map(|one| &one.found.unreadable);
    let mut checks: Vec<ContentCheck> = found
        .unreadable
        .iter()
        .chain(unreadable)
        .map(|one| ContentCheck {
            unanswered: one.error.is_environment(),
            ..skipped("evidence", format!("{} could not be read: {}", one.manifest, one.error))
        })
        .collect();
    if media_type::is_index(&found.image.media_type) {
        checks.extend(index(place, &found.bytes, layers).await);
    } else {
        checks.extend(manifest(place, &found.bytes, layers).await);
    }
    checks
}

async fn manifest(place: &Place, bytes: &[u8], layers: bool) -> Vec<ContentCheck> {
    let manifest: Manifest = match serde_json::from_slice(bytes) {
        Ok(manifest) => manifest,
        Err(error) => {
            return vec![failed("content", format!("the manifest is not readable: {error}"))];
        }
    };
    let config = place.blob(&manifest.config, MAX_CONFIG_BYTES).await.map(|_| String::new());
    let layers = match (place, layers) {
        (Place::Registry(..), false) => skipped(
            "layers",
            format!(
                "{} layers not fetched; --layers fetches and checks them",
                manifest.layers.len()
            ),
        ),
        _ => answer("layers", all(place, &manifest.layers).await),
    };
    vec![answer("config", config), layers]
}

/// What is signed is the index; by its digests that holds for the manifests in it, if they are there.
async fn index(place: &Place, bytes: &[u8], layers: bool) -> Vec<ContentCheck> {
    let index: Index = match serde_json::from_slice(bytes) {
        Ok(index) => index,
        Err(error) => {
            return vec![failed("content", format!("the index is not readable: {error}"))];
        }
    };
    let (count, mut checks) = (index.manifests.len(), Vec::new());
    if count > MAX_PLATFORMS {
        let detail = format!("the index lists {count} manifests; at most {MAX_PLATFORMS} are read");
        return vec![failed("platforms", detail)];
    }
    for entry in &index.manifests {
        match place.document(entry).await {
            Ok(bytes) => {
                checks.extend(manifest(place, &bytes, layers).await.into_iter().filter(|check| {
                    check.status == Status::Failed || (layers && check.name == "layers")
                }))
            }
            Err(error) => checks.push(answer("platforms", Err(error))),
        }
    }
    if checks.iter().all(|check| check.status != Status::Failed) {
        let detail = format!("an index of {count} manifests, each with the digest it names");
        checks.insert(0, ContentCheck { status: Status::Done, ..failed("platforms", detail) });
    }
    checks
}

async fn all(place: &Place, layers: &[Descriptor]) -> Result<String, FindError> {
    let mut bytes = 0_u64;
    for layer in layers {
        place.verify_blob(layer).await?;
        bytes = bytes.saturating_add(layer.size);
    }
    Ok(format!("{} layers, {}", layers.len(), size(bytes)))
}

fn answer(name: &'static str, result: Result<String, FindError>) -> ContentCheck {
    match result {
        Ok(detail) => {
            let detail =
                if detail.is_empty() { "has the digest its manifest says".into() } else { detail };
            ContentCheck { name, status: Status::Done, detail, unanswered: false }
        }
        Err(error) => {
            ContentCheck { unanswered: error.is_environment(), ..failed(name, error.to_string()) }
        }
    }
}

fn failed(name: &'static str, detail: String) -> ContentCheck {
    ContentCheck { name, status: Status::Failed, detail, unanswered: false }
}

fn skipped(name: &'static str, detail: String) -> ContentCheck {
    ContentCheck { name, status: Status::Skipped, detail, unanswered: false }
}
