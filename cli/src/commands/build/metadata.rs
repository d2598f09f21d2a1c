//! `--metadata-file`: the result for programs, under the keys that docker gives it (docs/metadata.md).

use serde_json::{Map, Value};
use touchmark_builder::{
    export::{outputs::Outputs, product::Product},
    oci::digest::Digest,
};

use crate::{config, error::CliError};

/// How much of the provenance stands in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    None,
    Min,
    Max,
}

/// The document about `product`; without an image there is nothing to say.
pub(super) fn document(product: Option<&Product>, outputs: &Outputs) -> Result<String, CliError> {
    let fault = |error: serde_json::Error| CliError::failed(error.to_string());
    let detail = detail()?;
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| drop(document.insert(key.into(), value));
    for one in product.iter().flat_map(|product| product.release.images()) {
        let Some(provenance) = &one.provenance else { continue };
        let provenance = serde_json::to_value(provenance).map_err(fault)?;
        let key = match product.is_some_and(|product| product.release.index().is_some()) {
            true => format!("buildx.build.provenance/{}", one.platform),
            false => "buildx.build.provenance".into(),
        };
        match detail {
            Detail::None => {}
            Detail::Min => put(&key, shortened(provenance)),
            Detail::Max => put(&key, provenance),
        }
    }
    if let Some(product) = product {
        if let Some(digest) = config_digest(product) {
            put("containerimage.config.digest", digest.to_string().into());
        }
        let descriptor = product.release.descriptor();
        put("containerimage.descriptor", serde_json::to_value(descriptor).map_err(fault)?);
        put("containerimage.digest", descriptor.digest.to_string().into());
        let mut names: Vec<String> = Vec::new();
        for name in outputs.all_names() {
            let full = name.tagged(name.tag().unwrap_or("latest")).to_string();
            if !names.contains(&full) {
                names.push(full);
            }
        }
        if !names.is_empty() {
            put("image.name", names.join(",").into());
        }
    }
    serde_json::to_string_pretty(&document).map_err(fault)
}

/// The configuration's digest, where there is one image and not one per platform.
pub(super) fn config_digest(product: &Product) -> Option<Digest> {
    product.release.image().map(|one| Digest::of(&one.image.config))
}

/// What `BUILDX_METADATA_PROVENANCE` says.
fn detail() -> Result<Detail, CliError> {
    Ok(match config::text_variable("BUILDX_METADATA_PROVENANCE")?.as_deref() {
        None | Some("min" | "true" | "1") => Detail::Min,
        Some("max") => Detail::Max,
        Some("disabled" | "false" | "0") => Detail::None,
        Some(other) => {
            let shown = crate::ui::text::harmless(other);
            return Err(CliError::usage(format!(
                "BUILDX_METADATA_PROVENANCE is '{shown}', which is no amount of provenance"
            ))
            .hint("set it to min, max or disabled, or unset it"));
        }
    })
}

/// What was asked for and who built it, without everything that went in.
fn shortened(mut provenance: Value) -> Value {
    if let Some(definition) = provenance["buildDefinition"].as_object_mut() {
        definition.retain(|key, _| matches!(key.as_str(), "buildType" | "externalParameters"));
    }
    if let Some(details) = provenance["runDetails"].as_object_mut() {
        details.retain(|key, _| key == "builder");
    }
    provenance
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_short_form_keeps_what_was_asked_for() {
        let full = json!({
            "buildDefinition": {
                "buildType": "t",
                "externalParameters": {"a": 1},
                "internalParameters": {},
                "resolvedDependencies": [],
            },
            "runDetails": {"builder": {"id": "b"}, "metadata": {}, "byproducts": []},
        });
        assert_eq!(
            shortened(full),
            json!({
                "buildDefinition": {"buildType": "t", "externalParameters": {"a": 1}},
                "runDetails": {"builder": {"id": "b"}},
            })
        );
    }
}
