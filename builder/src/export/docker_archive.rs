//! `manifest.json`, which makes a tar archive of an OCI layout one that `docker load` reads, in every
//! version of Docker and of the tools that read `docker save`.

use serde::Serialize;

use crate::{
    content::{error::ContentError, store::ContentStore},
    oci::{
        descriptor::Descriptor,
        manifest::{MAX_MANIFEST_BYTES, Manifest},
        media_type,
        reference::Reference,
    },
};

/// Its name.
pub(super) const FILE: &str = "manifest.json";

/// Why there is no `manifest.json`.
#[derive(Debug, thiserror::Error)]
pub enum DockerArchiveError {
    /// The manifest is not in the store.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The manifest cannot be read, or the list not be written.
    #[error("the image's manifest cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The format has no place for them.
    #[error(
        "Docker's archive holds one platform, but the image has several\n\
         help: build for one, with --platform, or use --output type=oci"
    )]
    Platforms,
}

/// An image in `manifest.json`. Paths are those in the archive.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// The document for `image` under `names`.
pub(super) fn manifest_json(
    content: &ContentStore,
    image: &Descriptor,
    names: &[Reference],
) -> Result<Vec<u8>, DockerArchiveError> {
    if !media_type::is_manifest(&image.media_type) {
        return Err(DockerArchiveError::Platforms);
    }
    let manifest: Manifest =
        serde_json::from_slice(&content.read(&image.digest, MAX_MANIFEST_BYTES)?)?;
    let path = |blob: &Descriptor| format!("blobs/sha256/{}", blob.digest.hex());
    let names: Vec<String> = names.iter().map(familiar).collect();
    let entry = Entry {
        config: path(&manifest.config),
        repo_tags: (!names.is_empty()).then_some(names),
        layers: manifest.layers.iter().map(path).collect(),
    };
    Ok(serde_json::to_vec(&[entry])?)
}

/// A name as Docker shows it: what belongs to Docker's hub is named without it.
#[must_use]
pub fn familiar(name: &Reference) -> String {
    let full = name.tagged(name.tag().unwrap_or("latest")).to_string();
    match full.strip_prefix("docker.io/") {
        Some(rest) => rest.strip_prefix("library/").unwrap_or(rest).to_owned(),
        None => full,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_what_is_in_the_archive() {
        let dir = tempfile::tempdir().unwrap();
        let content = ContentStore::open(dir.path().into()).unwrap();
        let config = Descriptor::of(media_type::CONFIG, b"c");
        let layer = Descriptor::of(media_type::LAYER_GZIP, b"l");
        let manifest = Manifest::image(config.clone(), vec![layer.clone()]);
        let manifest = serde_json::to_vec(&manifest).unwrap();
        content.put(&manifest).unwrap();
        let image = Descriptor::of(media_type::MANIFEST, &manifest);
        let list = |names: &[&str]| {
            let names: Vec<Reference> = names.iter().map(|name| name.parse().unwrap()).collect();
            String::from_utf8(manifest_json(&content, &image, &names).unwrap()).unwrap()
        };
        let (config, layer) = (config.digest.hex(), layer.digest.hex());
        assert_eq!(
            list(&["app", "registry.example/team/app:2"]),
            format!(
                r#"[{{"Config":"blobs/sha256/{config}","RepoTags":["app:latest","registry.example/team/app:2"],"Layers":["blobs/sha256/{layer}"]}}]"#
            )
        );
        assert!(list(&[]).contains(r#""RepoTags":null"#));
        let index = Descriptor::of(media_type::INDEX, b"{}");
        let refused = manifest_json(&content, &index, &[]).unwrap_err();
        assert!(matches!(refused, DockerArchiveError::Platforms), "{refused}");
    }
}
