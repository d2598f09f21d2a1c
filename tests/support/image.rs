//! Images made by hand and pushed: layers, configuration, manifest.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Map, Value, json};

use crate::client::Client;

/// Media type of an image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Media type of an image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Pushes an index of these entries.
pub fn push_index(registry: &Client, repository: &str, tag: &str, entries: &[Value]) -> String {
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    registry.put_manifest(repository, tag, INDEX, index.to_string().as_bytes())
}

/// An image to push: tars of its layers and the container part of its configuration.
pub struct Image {
    /// Uncompressed tars, lowest first.
    pub layers: Vec<Vec<u8>>,
    /// The `config` object: Env, Cmd, Entrypoint …
    pub config: Value,
    /// Further fields of the configuration document, such as `author`; they stand over those made here.
    pub document: Map<String, Value>,
}

impl Image {
    /// An image of these layers with nothing but a PATH.
    #[must_use]
    pub fn of(layers: Vec<Vec<u8>>) -> Self {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        Self { layers, config: json!({ "Env": [path] }), document: Map::new() }
    }

    /// Pushes the image, returns the manifest's digest.
    pub fn push(&self, registry: &Client, repository: &str, tag: &str) -> String {
        let blobs: Vec<Vec<u8>> = self.layers.iter().map(|tar| gzip(tar)).collect();
        let descriptors: Vec<Value> = blobs.iter().map(|blob| layer_descriptor(blob)).collect();
        for blob in &blobs {
            registry.put_blob(repository, blob);
        }
        let config = self.config_bytes();
        registry.put_blob(repository, &config);
        let manifest = manifest(&config, &descriptors);
        registry.put_manifest(repository, tag, MANIFEST, manifest.to_string().as_bytes())
    }

    /// Pushes the image as one for `architecture[/variant]`, and returns its entry in an index.
    pub fn push_for(&self, registry: &Client, repository: &str, platform: &str) -> Value {
        let (architecture, variant) = platform.split_once('/').unwrap_or((platform, ""));
        let mut config: Value = serde_json::from_slice(&self.config_bytes()).expect("own JSON");
        let mut entry = json!({"architecture": architecture, "os": "linux"});
        for place in [&mut config, &mut entry] {
            place["architecture"] = architecture.into();
            if !variant.is_empty() {
                place["variant"] = variant.into();
            }
        }
        let blobs: Vec<Vec<u8>> = self.layers.iter().map(|tar| gzip(tar)).collect();
        let descriptors: Vec<Value> = blobs.iter().map(|blob| layer_descriptor(blob)).collect();
        let config = config.to_string().into_bytes();
        for blob in blobs.iter().chain([&config]) {
            registry.put_blob(repository, blob);
        }
        let manifest = manifest(&config, &descriptors).to_string();
        let digest = crate::digest(manifest.as_bytes());
        registry.put_manifest(repository, &digest, MANIFEST, manifest.as_bytes());
        json!({"mediaType": MANIFEST, "digest": digest, "size": manifest.len(), "platform": entry})
    }

    /// The configuration document.
    #[must_use]
    pub fn config_bytes(&self) -> Vec<u8> {
        let diff_ids: Vec<String> = self.layers.iter().map(|tar| crate::digest(tar)).collect();
        let created = "1970-01-01T00:00:00Z";
        let history: Vec<Value> = diff_ids
            .iter()
            .map(|_| json!({"created": created, "created_by": "made by hand"}))
            .collect();
        let mut document = json!({
            "created": created, "architecture": architecture(), "os": "linux", "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
        });
        let fields = document.as_object_mut().expect("an object");
        fields.extend(self.document.clone());
        document.to_string().into_bytes()
    }
}

/// This machine's architecture as OCI calls it.
#[must_use]
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A gzip layer's descriptor.
#[must_use]
pub fn layer_descriptor(blob: &[u8]) -> Value {
    json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": crate::digest(blob), "size": blob.len(),
    })
}

/// A manifest over a configuration and layer descriptors.
#[must_use]
pub fn manifest(config: &[u8], layers: &[Value]) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": crate::digest(config), "size": config.len(),
        },
        "layers": layers,
    })
}

/// `bytes` as gzip, quickly.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("gzip in memory");
    encoder.finish().expect("gzip in memory")
}
