//! `touchmark materials`.

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use touchmark_attest::verify::Role;
use touchmark_builder::{
    attestations::find::Place,
    content::{hold::Hold, index::Index, store::ContentStore},
    downloads::DownloadStore,
    materials::{
        artifact::{Matched, matched},
        material::Material,
        transfer::{self, Moved, TransferError},
    },
    oci::{descriptor::Descriptor, reference::Reference},
    registry::client::RegistryClient,
};

use crate::{
    commands::provenance::predicate,
    config::Config,
    error::CliError,
    inside, runtime,
    statement::{self, Read, StatementArgs},
    ui::{
        printer::Printer,
        text::{harmless, size},
    },
};

/// Keep what a build fetched beside its image, and bring it back.
#[derive(Debug, Args)]
pub(crate) struct MaterialsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put every file that the image's provenance lists beside the image, out of this machine's store
    ///
    /// They become an artifact that refers to the image; a file that the registry has already is not sent
    /// again. Nothing is pushed unless all of them are here.
    Push(StatementArgs),
    /// Bring the files that are kept beside an image into this machine's store, for --offline
    ///
    /// Only files that the image's provenance names with the same digest are taken, so the provenance has
    /// to be verified: give --key.
    Pull(StatementArgs),
}

/// Runs `touchmark materials`.
pub(crate) fn run(args: &MaterialsArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    let config = Config::from_environment()?;
    let asked = match &args.command {
        Command::Push(asked) => asked,
        Command::Pull(asked) if asked.keys().is_empty() => {
            return Err(CliError::usage("whose provenance counts is not said")
                .hint("give the public key that signed it: --key cosign.pub"));
        }
        Command::Pull(asked) => asked,
    };
    // The store belongs to the worker's inside.
    let _worker = inside::join(&inside::worker_config(&config)?)?;
    let read = statement::read(asked, Role::Provenance, printer)?;
    let provenance = predicate(read.statement.predicate_json())?;
    let materials = Material::all(&provenance);
    let store = store(&config)?;
    match &args.command {
        Command::Push(_) => push(&read, &materials, &store, printer)?,
        Command::Pull(_) => {
            let _ = pull(&read.place, &read.subject.image, &materials, &store, printer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// This machine's download store. What this process asks of it stays while it runs.
pub(crate) fn store(config: &Config) -> Result<DownloadStore, CliError> {
    let data = &config.data_dir;
    let fault = |error: &dyn std::fmt::Display| CliError::environment(error.to_string());
    let hold = Arc::new(Hold::open(&data.join("in-use")).map_err(|error| fault(&error))?);
    let content = ContentStore::open(data.join("content")).map_err(|error| fault(&error))?;
    let index = Arc::new(Index::open(&data.join("index")));
    Ok(DownloadStore::new(Arc::new(content.holding(hold)), index))
}

fn push(
    read: &Read,
    materials: &[Material],
    store: &DownloadStore,
    printer: &Printer,
) -> Result<(), CliError> {
    let (client, reference) = registry(&read.place)?;
    let Matched { answers, missing } = matched(materials, |method, url| store.answers(method, url));
    if !missing.is_empty() {
        let list = missing.iter().map(|one| format!("\n  {}", harmless(&one.uri)));
        let message =
            format!("of what the build fetched, this is not here:{}", list.collect::<String>());
        return Err(CliError::failed(message)
            .hint("build it once more here with --no-cache, then push its materials"));
    }
    for material in materials.iter().filter(|one| one.incomplete.is_some()) {
        let uri = harmless(&material.uri);
        printer.warning(&format!("{uri} has no digest and cannot be kept"));
    }
    let moved = transfer::push(client, reference, &read.subject.image, &answers, store);
    let moved = runtime::block_on(moved)?.map_err(|error| failed(&error))?;
    let Moved { answers, bytes, .. } = moved;
    printer.talk(&format!("{answers} files with {} are beside the image", size(bytes)));
    Ok(())
}

/// Brings what is beside the image into the store, and says how much that was.
pub(crate) fn pull(
    place: &Place,
    subject: &Descriptor,
    materials: &[Material],
    store: &DownloadStore,
    printer: &Printer,
) -> Result<Moved, CliError> {
    let (client, reference) = registry(place)?;
    let moved = transfer::pull(client, reference, subject, materials, store);
    let moved = runtime::block_on(moved)?.map_err(|error| failed(&error))?;
    let Moved { answers, bytes, foreign } = moved;
    if foreign > 0 {
        printer
            .warning(&format!("the provenance does not know {foreign} of the files: left there"));
    }
    printer.talk(&format!("{answers} files with {} taken from beside the image", size(bytes)));
    Ok(moved)
}

fn registry(place: &Place) -> Result<(&RegistryClient, &Reference), CliError> {
    match place {
        Place::Registry(client, reference) => Ok((client, reference)),
        Place::Layout(..) => Err(CliError::usage("materials are kept beside images in registries")
            .hint("push the image first, then name it as registry.example/name:tag")),
    }
}

fn failed(error: &TransferError) -> CliError {
    match error {
        TransferError::Registry(cause) if cause.is_environment() => {
            CliError::environment(error.to_string())
        }
        _ => CliError::failed(error.to_string()),
    }
}
