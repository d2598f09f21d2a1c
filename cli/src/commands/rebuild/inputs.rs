//! What has to be here before an image is built again offline: its base images and what was kept beside
//! it; and afterwards, whether it came from the recorded source.

use touchmark_attest::predicate::slsa::{CONTEXT, Provenance};
use touchmark_builder::{
    attestations::find::Place,
    content::store::ContentStore,
    materials::material::{Material, Sort},
    oci::{descriptor::Descriptor, digest::Digest, manifest::Manifest, reference::Reference},
    registry::{client::RegistryClient, error::RegistryError, progress::Unwatched},
};

use super::{Session, again::Original};
use crate::{
    commands::materials,
    error::CliError,
    registries, runtime,
    ui::{printer::Printer, text::harmless},
};

impl Session<'_> {
    /// Brings what is kept beside an image into the store, where it is known whom to believe.
    pub(super) fn bring(&self, original: &Original) -> Result<(), CliError> {
        if self.args.statement.keys().is_empty() || matches!(self.place, Place::Layout(..)) {
            return Ok(());
        }
        let (image, materials) = (&original.subject.image, &original.materials);
        materials::pull(self.place, image, materials, self.store, self.printer).map(drop)
    }

    /// Brings the base images by the digests of the provenance.
    pub(super) fn bases(&self, original: &Original) -> Result<(), CliError> {
        let client = registries::client(&self.policy.policy.registries, self.config)?;
        bases(&original.materials, &client, self.store.content(), self.printer)
    }
}

/// What of the source is not what was recorded: a sentence.
pub(super) fn other_source(recorded: &Provenance, rebuilt: &Provenance) -> Option<String> {
    let sources = |provenance: &Provenance| {
        let all = &provenance.build_definition.resolved_dependencies;
        let is_source = |name: &str| name == CONTEXT || name.starts_with("context:");
        let sources = all.iter().filter(|one| is_source(&one.name));
        let digest = sources
            .filter_map(|one| Some((one.name.clone(), one.digest.get("sha256")?.to_owned())));
        digest.collect::<Vec<_>>()
    };
    let new = sources(rebuilt);
    sources(recorded).into_iter().find_map(|(name, old)| {
        let (_, new) = new.iter().find(|(other, _)| *other == name)?;
        let name = harmless(&name);
        (old != *new).then(|| {
            format!("the provenance names the {name} sha256:{old}, and this is sha256:{new}")
        })
    })
}

/// Brings the base images into the store by the digests of the provenance. What cannot be had may be here.
fn bases(
    materials: &[Material],
    client: &RegistryClient,
    store: &ContentStore,
    printer: &Printer,
) -> Result<(), CliError> {
    for material in materials.iter().filter(|one| one.sort == Sort::Image) {
        let (Ok(reference), Some(digest)) = (material.name.parse::<Reference>(), material.digest)
        else {
            continue;
        };
        let brought =
            runtime::block_on(base(&reference, digest, material.manifest, client, store))?;
        if let Err(error) = brought {
            printer.warning(&format!("{error}"));
        }
    }
    Ok(())
}

async fn base(
    reference: &Reference,
    digest: Digest,
    manifest: Option<Digest>,
    client: &RegistryClient,
    store: &ContentStore,
) -> Result<(), RegistryError> {
    let mut bytes = client.resolve(&reference.at(digest)).await?.bytes;
    // What cannot be stored is missed by the build, which says so.
    let _ = store.put(&bytes);
    if let Some(own) = manifest.filter(|own| *own != digest) {
        bytes = client.resolve(&reference.at(own)).await?.bytes;
        let _ = store.put(&bytes);
    }
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else { return Ok(()) };
    let blobs: Vec<Descriptor> = manifest.layers.into_iter().chain([manifest.config]).collect();
    client.pull_blobs(reference, &blobs, store, &Unwatched).await
}
