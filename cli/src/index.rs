//! The platforms of an image index, each with what is said about it.

use touchmark_attest::{
    policy::{Evidence, Requirement, Verdict, evaluate},
    trust::Trust,
};
use touchmark_builder::{
    attestations::find::{Found, Place, Unreadable},
    oci::{descriptor::Descriptor, manifest::Index, media_type, platform::Platform},
};

use crate::error::CliError;

/// An index of more platforms is not looked into.
pub(crate) const MAX_PLATFORMS: usize = 100;

/// A platform's manifest and what was found about it.
pub(crate) struct PlatformFound {
    /// The platform, as the index names it.
    pub(crate) platform: Option<Platform>,
    /// What was found.
    pub(crate) found: Found,
}

/// The entries of an index that are images; none where `found` is an image itself. BuildKit lists its
/// attestations beside the images, for the platform `unknown`.
pub(crate) fn entries(found: &Found) -> Vec<Descriptor> {
    if !media_type::is_index(&found.image.media_type) {
        return Vec::new();
    }
    // A document that is none was told before.
    let Ok(index) = serde_json::from_slice::<Index>(&found.bytes) else { return Vec::new() };
    let image = |entry: &Descriptor| entry.platform.as_ref().is_none_or(|it| it.os != "unknown");
    index.manifests.into_iter().filter(image).take(MAX_PLATFORMS).collect()
}

/// Reads what is said about each platform. One that cannot be read has no evidence; why is listed.
pub(crate) async fn platforms(place: &Place, found: &Found) -> Vec<PlatformFound> {
    let mut platforms = Vec::new();
    for entry in entries(found) {
        let found = place.find_manifest(&entry).await.unwrap_or_else(|error| Found {
            unreadable: vec![Unreadable { manifest: entry.digest, error }],
            image: entry.clone(),
            bytes: Vec::new(),
            evidence: Vec::new(),
        });
        platforms.push(PlatformFound { platform: entry.platform, found });
    }
    platforms
}

/// Judges each platform by itself; what the index says for all of them is not looked at here.
pub(crate) fn judge(
    platforms: Vec<PlatformFound>,
    trust: &Trust,
    requirement: &Requirement,
) -> Result<Vec<(String, Verdict)>, CliError> {
    let verdict = |one: PlatformFound| {
        let name = one.platform.map_or_else(|| "not named".into(), |platform| platform.to_string());
        let digest = one.found.image.digest.to_string().parse();
        let digest = digest.map_err(|error| CliError::failed(format!("{error}")))?;
        let evidence: Vec<Evidence> = one.found.evidence;
        Ok((name, evaluate(&digest, evidence, trust, requirement)))
    };
    platforms.into_iter().map(verdict).collect()
}
