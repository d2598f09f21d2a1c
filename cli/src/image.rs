//! IMAGE arguments: a registry reference, `oci:PATH[:TAG|@DIGEST]` or `oci-archive:FILE`.

use std::{path::Path, sync::Arc};

use touchmark_builder::{
    attestations::find::{FindError, Place},
    export::{layout::OciLayout, layout_address::LayoutAddress},
    oci::reference::Reference,
    policy::RegistriesPolicy,
};

use crate::{config::Config, error::CliError, registries};

/// Where the image that `text` names is read from.
pub(crate) fn place(
    text: &str,
    policy: &RegistriesPolicy,
    config: &Config,
) -> Result<Place, CliError> {
    if let Some(address) = LayoutAddress::parse(text) {
        let layout = OciLayout::open(&address);
        let layout = layout.map_err(|error| CliError::failed(error.to_string()))?;
        return Ok(Place::Layout(layout, address));
    }
    if let Some(path) = meant_as_path(text) {
        return Err(CliError::usage(format!(
            "'{text}' is a file or directory here, not an image in a registry"
        ))
        .hint(format!("to read it as an OCI layout, write oci:{path}")));
    }
    let reference: Reference = text.parse().map_err(|error| {
        CliError::usage(format!("{error}"))
            .hint("an image is registry.example/name:tag, oci:DIRECTORY or oci-archive:FILE")
    })?;
    let client = registries::client(policy, config)?;
    Ok(Place::Registry(Arc::new(client), reference))
}

/// The path, where what looks like a name is a tar file or a layout, or another tool's word for one.
fn meant_as_path(text: &str) -> Option<&str> {
    let others = ["docker-archive:", "oci-layout://", "oci-dir:", "dir:", "./"];
    let path = others.iter().find_map(|word| text.strip_prefix(word)).unwrap_or(text);
    let found = Path::new(path);
    (found.is_file() || found.join("index.json").is_file()).then_some(path)
}

/// Nothing can be said about the image: 3 where a registry does not answer, else 1.
pub(crate) fn not_found(error: &FindError) -> CliError {
    match error {
        error if error.is_environment() => CliError::environment(error.to_string()),
        _ => CliError::failed(error.to_string()),
    }
}
