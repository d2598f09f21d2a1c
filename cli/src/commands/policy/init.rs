//! `touchmark policy init`.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::Value;
use touchmark_attest::{predicate::slsa::Provenance, verify::Role};
use touchmark_builder::{
    attestations::find::Place,
    materials::observed::observed,
    policy::{Policy, proposal::propose},
};

use crate::{
    commands::provenance::predicate,
    config,
    error::CliError,
    policy_file,
    statement::{self, StatementArgs},
    ui::printer::Printer,
};

/// Write the tightest policy with which a recorded build passes again.
///
/// Everything comes from the build's provenance: the registries of the base images, the hosts that steps
/// asked, where the policy had it fetched from, path patterns as tight as they stay useful when a version
/// changes, methods where more than reading was done. A comment says why each line is there. What the
/// provenance does not tell is taken from the policy that held so far, where one is given.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// registry.example/name:tag, oci:DIRECTORY[:TAG] or oci-archive:FILE: an image with provenance
    #[arg(value_name = "IMAGE", required_unless_present = "from")]
    image: Option<String>,
    /// Instead of an image: a file with its provenance (the predicate, a statement, or what --metadata-file
    /// wrote with BUILDX_METADATA_PROVENANCE=max)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["image", "key", "platform"])]
    from: Option<PathBuf>,
    /// Public key that must have signed the provenance
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// The policy that held so far
    #[arg(long, value_name = "PATH")]
    policy: Option<PathBuf>,
    /// Of an image index: from the provenance of this platform's image
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Write it here, where no file is yet [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs `touchmark policy init`.
pub(super) fn run(args: &InitArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    let known = policy_file::read(args.policy.as_deref())?.policy;
    let known = args.policy.is_some().then_some(known);
    let text = match &args.image {
        Some(image) => from_image(args, image, known.as_ref(), printer)?,
        None => {
            let provenance = from_file(args.from.as_deref().unwrap_or(Path::new("-")))?;
            propose(&observed(&provenance, None, &[]), known.as_ref())
        }
    };
    // It is for the next build to read.
    Policy::parse("the proposed policy", &text)
        .map_err(|error| CliError::failed(error.to_string()))?;
    match &args.output {
        None => printer.data(&text)?,
        Some(path) => {
            write(path, &text)?;
            printer.talk(&format!("wrote {}", path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn from_image(
    args: &InitArgs,
    image: &str,
    known: Option<&Policy>,
    printer: &Printer,
) -> Result<String, CliError> {
    let (policy, platform) = (args.policy.as_deref(), args.platform.as_deref());
    let asked = StatementArgs::new(image, &args.key, policy, platform);
    let read = statement::read(&asked, Role::Provenance, printer)?;
    let provenance = predicate(read.statement.predicate_json())?;
    let pushed = match &read.place {
        Place::Registry(_, reference) => Some(reference.registry()),
        Place::Layout(..) => None,
    };
    let keys: Vec<String> = args.key.iter().map(|key| key.display().to_string()).collect();
    Ok(propose(&observed(&provenance, pushed, &keys), known))
}

/// A larger file is none, in bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The provenance in a predicate, a statement, or a metadata file.
fn from_file(path: &Path) -> Result<Provenance, CliError> {
    let name = path.display();
    let fault = |reason: String| CliError::usage(format!("{name} cannot be read: {reason}"));
    let bytes = config::read_file(path, MAX_BYTES).map_err(fault)?;
    let document: Value = serde_json::from_slice(&bytes).map_err(|e| fault(e.to_string()))?;
    let found = ["predicate", "buildx.build.provenance"].iter().find_map(|key| document.get(*key));
    let found = found.unwrap_or(&document);
    if found["buildDefinition"].is_object() && found["runDetails"]["metadata"].is_null() {
        return Err(CliError::usage(format!("{name} holds the short form of the provenance"))
            .hint("build with BUILDX_METADATA_PROVENANCE=max, or name the image"));
    }
    predicate(&found.to_string()).map_err(|error| {
        CliError::usage(format!("{name}: {}", error.message()))
            .hint("give a provenance, a statement of one, or a metadata file")
    })
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let file = fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        CliError::failed(format!("{} cannot be written: {error}", path.display()))
            .hint("a policy that is there is not replaced: write to another file and compare")
    })
}
