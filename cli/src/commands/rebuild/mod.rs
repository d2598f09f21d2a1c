//! `touchmark rebuild`.

mod recorded;
mod side;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser};
use touchmark_attest::{predicate::slsa::Provenance, verify::Role};
use touchmark_builder::{
    attestations::find::Place,
    content::store::ContentStore,
    export::{
        layout::OciLayout,
        layout_address::{LayoutAddress, LayoutForm},
    },
    materials::material::{Material, Sort},
    oci::{
        descriptor::Descriptor, digest::Digest, manifest::Manifest, media_type,
        reference::Reference,
    },
    registry::{client::RegistryClient, error::RegistryError, progress::Unwatched},
};

use crate::{
    commands::{
        build::{self, arguments::BuildArgs},
        materials,
        provenance::predicate,
    },
    config::{self, Config},
    error::CliError,
    inside, policy_file, registries, runtime,
    statement::{self, Read, StatementArgs},
    ui::{printer::Printer, text::harmless},
};

/// Build an image again from its provenance, and compare bit for bit.
///
/// The provenance says how the image was built and out of what: base images are taken by the digests that it
/// names, downloads from beside the image (`touchmark materials push`) or from this machine's store, and the
/// steps run again without a network and without the cache. Only the source is yours to bring. The exit code
/// is 0 when both images are the same, and 1 when they are not; then the first difference is told.
#[derive(Debug, Args)]
pub(crate) struct RebuildArgs {
    #[command(flatten)]
    statement: StatementArgs,
    /// The source that the image was built from
    #[arg(value_name = "CONTEXT", default_value = ".")]
    context: PathBuf,
    /// Named context, as for `touchmark build`
    #[arg(long, value_name = "NAME=VALUE")]
    build_context: Vec<String>,
    /// Secret for `RUN --mount=type=secret`, as for `touchmark build`
    #[arg(long, value_name = "SPEC")]
    secret: Vec<String>,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

/// The arguments of the build that is made of them.
#[derive(Debug, Parser)]
struct Again {
    #[command(flatten)]
    build: BuildArgs,
}

/// Runs `touchmark rebuild`.
pub(crate) fn run(args: &RebuildArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    let config = Config::from_environment()?;
    inside::begin(&inside::worker_config(&config)?)?;
    let read = statement::read(&args.statement, Role::Provenance, printer)?;
    if media_type::is_index(&read.subject.image.media_type) {
        return Err(CliError::usage("an image index is rebuilt platform by platform")
            .hint("name one with --platform"));
    }
    let provenance = predicate(read.statement.predicate_json())?;
    let materials = Material::all(&provenance);
    for obstacle in recorded::obstacles(&provenance, &materials) {
        printer.warning(&format!("this cannot be replayed exactly: {}", harmless(&obstacle)));
    }
    source(args, &provenance)?;
    let store = materials::store(&config)?;
    if !args.statement.keys().is_empty() && matches!(read.place, Place::Registry(..)) {
        materials::pull(&read, &materials, &store, printer)?;
    }
    let policy = policy_file::read(args.statement.policy())?;
    let client = registries::client(&policy.policy.registries, &config)?;
    bases(&materials, &client, store.content(), printer)?;
    let room = tempfile::tempdir().map_err(|error| CliError::environment(error.to_string()))?;
    let layout = room.path().join("image");
    let lock = room.path().join("provenance.lock");
    fs::write(&lock, recorded::lock(&materials).text())
        .map_err(|error| CliError::environment(error.to_string()))?;
    let given = command(args, &provenance, &read, (&layout, &lock))?;
    let again = Again::try_parse_from(given)
        .map_err(|error| CliError::failed(format!("the recorded parameters: {error}")))?;
    let code = build::run(&again.build, printer)?;
    if !layout.exists() {
        return Ok(code);
    }
    compared(args, &read, &layout, store.content(), printer)
}

/// Compares, and tells what was found.
fn compared(
    args: &RebuildArgs,
    read: &Read,
    layout: &Path,
    store: &ContentStore,
    printer: &Printer,
) -> Result<ExitCode, CliError> {
    let fault = |error: &dyn std::fmt::Display| CliError::failed(error.to_string());
    let address =
        LayoutAddress { form: LayoutForm::Directory, path: layout.to_owned(), image: None };
    let rebuilt = OciLayout::open(&address).map_err(|error| fault(&error))?;
    let resolved = rebuilt.resolve(None).map_err(|error| fault(&error))?;
    let found =
        side::compare(&read.place, &read.subject.bytes, (&rebuilt, &resolved.bytes), store)?;
    let (old, new) = (read.subject.image.digest, resolved.descriptor.digest);
    if args.json {
        let document = serde_json::json!({
            "image": old.to_string(),
            "rebuilt": new.to_string(),
            "identical": found.is_none(),
            "firstDifference": found,
        });
        printer.data(&document.to_string())?;
    }
    match found {
        None => {
            printer.talk(&format!("identical: {new}"));
            Ok(ExitCode::SUCCESS)
        }
        Some(found) => Err(CliError::failed(format!(
            "the rebuilt image {new} is not {old}\nfirst difference: {}",
            harmless(&found.to_string())
        ))
        .hint("is the source the one that the provenance names as 'context'?")),
    }
}

/// Is the Dockerfile the recorded one?
fn source(args: &RebuildArgs, provenance: &Provenance) -> Result<(), CliError> {
    let parameters = &provenance.build_definition.external_parameters;
    let Some(recorded) = parameters.get("dockerfile") else { return Ok(()) };
    let (Some(path), Some(digest)) =
        (recorded["path"].as_str(), recorded["digest"]["sha256"].as_str())
    else {
        return Ok(());
    };
    let file = args.context.join(path);
    let bytes = config::read_file(&file, 16 << 20).map_err(|reason| {
        CliError::usage(format!("{} cannot be read: {reason}", file.display())).hint(
            "give the directory that the image was built from: touchmark rebuild IMAGE CONTEXT",
        )
    })?;
    if Digest::of(&bytes).hex() != digest {
        return Err(CliError::failed(format!("{} is not the one that was built", file.display()))
            .hint("check out the commit that the provenance names"));
    }
    Ok(())
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

/// The command line of the build: what was recorded, offline, into a layout.
fn command(
    args: &RebuildArgs,
    provenance: &Provenance,
    read: &Read,
    (layout, lock): (&Path, &Path),
) -> Result<Vec<OsString>, CliError> {
    let manifest: Manifest = serde_json::from_slice(&read.subject.bytes)
        .map_err(|error| CliError::failed(format!("the image's manifest: {error}")))?;
    let mut given: Vec<OsString> = vec!["build".into()];
    given.extend(recorded::flags(provenance).into_iter().map(OsString::from));
    let zstd = manifest.layers.iter().any(|layer| layer.media_type.ends_with("zstd"));
    let gzip = manifest.layers.iter().any(|layer| layer.media_type.ends_with("gzip"));
    let compression = match (zstd, gzip) {
        (true, _) => "zstd",
        (_, true) => "gzip",
        _ => "uncompressed",
    };
    let docker = manifest.config.media_type == media_type::DOCKER_CONFIG;
    let types = if docker { "oci-mediatypes=false" } else { "oci-mediatypes=true" };
    let dest = layout.display();
    let output =
        format!("--output=type=oci,tar=false,dest={dest},compression={compression},{types}");
    given.push(output.into());
    // Annotations are no parameters; the image has them in plain sight.
    given.extend(
        manifest
            .annotations
            .iter()
            .map(|(key, value)| format!("--annotation={key}={value}").into()),
    );
    let dockerfile = &provenance.build_definition.external_parameters.get("dockerfile");
    let file = dockerfile.and_then(|file| file["path"].as_str()).unwrap_or("Dockerfile");
    given.extend(["--file".into(), args.context.join(file).into_os_string()]);
    if let Some(policy) = args.statement.policy() {
        given.extend(["--policy".into(), policy.as_os_str().to_owned()]);
    }
    for (name, values) in [("--build-context", &args.build_context), ("--secret", &args.secret)] {
        values.iter().for_each(|value| given.extend([name.into(), value.into()]));
    }
    given.push(format!("--locked={}", lock.display()).into());
    given.extend(["--offline", "--no-cache", "--no-sign"].map(OsString::from));
    given.extend(["--progress", "plain", "--"].map(OsString::from));
    given.push(args.context.clone().into_os_string());
    Ok(given)
}
