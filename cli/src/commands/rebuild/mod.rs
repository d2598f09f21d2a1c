//! `touchmark rebuild`: `again` builds one image again, from its `source` with the `inputs` and the parameters that
//! were `recorded`, and compares it `side` by side; `index` does so with each image of an index; `outcome` tells what was found and
//! `attest` signs it.

mod again;
mod attest;
mod index;
mod inputs;
mod outcome;
mod recorded;
mod side;
mod source;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use touchmark_attest::verify::Role;
use touchmark_builder::{attestations::find::Place, downloads::DownloadStore, oci::media_type};

use self::{
    again::{Attempt, Original},
    attest::Attest,
    outcome::Outcome,
    source::Source,
};
use crate::{
    commands::materials,
    config::Config,
    error::CliError,
    inside,
    policy_file::{self, PolicyFile},
    statement::{self, StatementArgs},
    ui::printer::Printer,
};

/// Which image, out of which source, and what becomes of the result.
#[derive(Debug, Args)]
pub(crate) struct RebuildArgs {
    #[command(flatten)]
    statement: StatementArgs,
    /// The directory that the image was built from [default: the commit that the provenance names, here or from its
    /// repository as far as the policy allows; else the current directory]
    #[arg(value_name = "CONTEXT")]
    context: Option<PathBuf>,
    /// Named context, as for `touchmark build`
    #[arg(long, value_name = "NAME=VALUE")]
    build_context: Vec<String>,
    /// Secret for `RUN --mount=type=secret`, as for `touchmark build`
    #[arg(long, value_name = "SPEC")]
    secret: Vec<String>,
    /// Sign a statement about the result, whichever it is, and push it beside the image, or write it to a file
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    attest: Option<Option<PathBuf>>,
    /// Private key that signs the statement [default: what the policy says]
    #[arg(long, value_name = "FILE", requires = "attest")]
    sign_key: Option<String>,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

/// What every image of a rebuild has in common.
struct Session<'a> {
    args: &'a RebuildArgs,
    config: &'a Config,
    policy: &'a PolicyFile,
    place: &'a Place,
    source: &'a Source,
    store: &'a DownloadStore,
    printer: &'a Printer,
}

/// Runs `touchmark rebuild`.
pub(crate) fn run(args: &RebuildArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    let config = Config::from_environment()?;
    let attest = Attest::choose(args)?;
    inside::begin(&inside::worker_config(&config)?)?;
    let policy = policy_file::read(args.statement.policy())?;
    let attest = attest.map(|attest| attest.open(args, &policy, printer)).transpose()?;
    let read = statement::read(&args.statement, Role::Provenance, printer)?;
    if let (Some(attest), Place::Layout(..)) = (&attest, &read.place) {
        attest.needs_a_file()?;
    }
    let store = materials::store(&config)?;
    let original = Original::new(read.subject, &read.statement, read.origin)?;
    let (place, policy) = (&read.place, &policy);
    let (config, network) = (&config, &policy.policy.network);
    let source = Source::find(args, &original.provenance, (config, network), &store, printer)?;
    let (store, source) = (&store, &source);
    let session = Session { args, config, policy, place, source, store, printer };
    session.bring(&original)?;
    if media_type::is_index(&original.subject.image.media_type) {
        return index::rebuild(&session, original, attest.as_ref());
    }
    match again::rebuild(&session, &original)? {
        Attempt::NotBuilt(code) => {
            if attest.is_some() {
                printer.warning("nothing was attested, because there is no image to compare with");
            }
            Ok(code)
        }
        Attempt::Built(rebuilt) => {
            let outcome = Outcome::single(&original, &rebuilt);
            outcome.tell(args.json, printer)?;
            if let Some(attest) = &attest {
                attest.image(&session, &original, &rebuilt, true)?;
            }
            outcome.conclude(printer)
        }
    }
}
