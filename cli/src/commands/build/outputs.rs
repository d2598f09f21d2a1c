//! What `--output`, `--push` and `--tag` ask for.

use std::path::PathBuf;

use touchmark_builder::{
    export::{LayoutOutput, Outputs},
    oci::reference::Reference,
};

use crate::error::CliError;

/// Reads the three flags together.
pub(super) fn parse(specs: &[String], push: bool, tags: &[String]) -> Result<Outputs, CliError> {
    let tags = tags
        .iter()
        .map(|tag| tag.parse::<Reference>().map_err(|error| CliError::usage(error.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(pinned) = tags.iter().find(|tag| tag.digest().is_some()) {
        return Err(CliError::usage(format!("the tag '{pinned}' has a digest"))
            .hint("a digest is what a build finds out; name the image without it"));
    }
    let mut outputs = Outputs { tags, push, layouts: Vec::new() };
    for spec in specs {
        read(spec, &mut outputs)?;
    }
    if outputs.push && outputs.tags.is_empty() {
        return Err(CliError::usage("there is no name to push the image under")
            .hint("give it one: --tag registry.example/team/app:1.0"));
    }
    Ok(outputs)
}

fn read(spec: &str, outputs: &mut Outputs) -> Result<(), CliError> {
    let mut kind = None;
    let mut dest = None;
    let mut archive = None;
    let mut push = None;
    for field in spec.split(',') {
        let (key, value) = field.split_once('=').ok_or_else(|| {
            CliError::usage(format!("--output: '{field}' is not KEY=VALUE"))
                .hint("write for example --output type=oci,dest=image.tar")
        })?;
        match key {
            "type" => kind = Some(value),
            "dest" => dest = Some(PathBuf::from(value)),
            "tar" => archive = Some(flag(key, value)?),
            "push" => push = Some(flag(key, value)?),
            "name" => outputs.tags.push(
                value.parse().map_err(|error| CliError::usage(format!("--output: {error}")))?,
            ),
            _ => {
                return Err(CliError::usage(format!("--output does not know the key '{key}'"))
                    .hint("the keys are type, dest, tar, push and name"));
            }
        }
    }
    match (kind, dest) {
        (Some("image" | "registry"), None) => {
            outputs.push |= push.unwrap_or(kind == Some("registry"));
        }
        (Some("oci"), Some(path)) => {
            let archive =
                archive.unwrap_or_else(|| path.extension().is_some_and(|ending| ending == "tar"));
            outputs.layouts.push(LayoutOutput { path, archive });
        }
        (Some("oci"), None) => {
            return Err(CliError::usage("--output type=oci needs dest=PATH")
                .hint("a PATH that ends in .tar becomes an archive, any other a directory"));
        }
        (Some("image" | "registry"), Some(_)) => {
            return Err(CliError::usage("--output type=image goes to a registry and has no dest")
                .hint("write --output type=oci,dest=PATH for files"));
        }
        (Some(kind @ ("docker" | "local" | "tar")), _) => {
            return Err(CliError::usage(format!("--output type={kind} is not supported yet"))
                .hint("use type=image or type=oci"));
        }
        (Some(kind), _) => {
            return Err(CliError::usage(format!("--output does not know type={kind}"))
                .hint("the types are image and oci"));
        }
        (None, _) => {
            return Err(CliError::usage("--output needs type=")
                .hint("write for example --output type=oci,dest=image.tar"));
        }
    }
    Ok(())
}

fn flag(key: &str, value: &str) -> Result<bool, CliError> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(CliError::usage(format!("--output: {key} is '{value}', not true or false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(specs: &[&str], push: bool, tags: &[&str]) -> Result<Outputs, String> {
        let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        parse(&own(specs), push, &own(tags)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_layout_is_a_directory_unless_its_name_says_tar() {
        let found = outputs(&["type=oci,dest=a", "type=oci,dest=b.tar"], false, &[]).unwrap();
        let archives: Vec<bool> = found.layouts.iter().map(|layout| layout.archive).collect();
        assert_eq!(archives, [false, true]);
        assert!(!found.push);
    }

    #[test]
    fn pushing_needs_a_name() {
        assert_eq!(
            outputs(&["type=image,push=true"], false, &[]).unwrap_err(),
            "there is no name to push the image under\n\
             help: give it one: --tag registry.example/team/app:1.0"
        );
        assert!(outputs(&["type=registry"], false, &["app"]).unwrap().push);
    }

    #[test]
    fn unknown_words_are_named() {
        assert_eq!(
            outputs(&["type=oci,dst=x"], false, &[]).unwrap_err(),
            "--output does not know the key 'dst'\nhelp: the keys are type, dest, tar, push and name"
        );
        assert_eq!(
            outputs(&["type=local,dest=x"], false, &[]).unwrap_err(),
            "--output type=local is not supported yet\nhelp: use type=image or type=oci"
        );
    }
}
