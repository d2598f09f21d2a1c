//! One kind of statement about an image, printed as its JSON predicate.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use touchmark_attest::{
    bundle::Bundle,
    image_digest::ImageDigest,
    policy::Evidence,
    statement::Statement,
    trust::Trust,
    verify::{self, Role},
};

use crate::{
    config::Config, error::CliError, image, policy_file, runtime, signing_key, ui::printer::Printer,
};

/// Which image, and whom to trust.
#[derive(Debug, Args)]
pub(crate) struct StatementArgs {
    /// registry.example/name:tag, oci:DIRECTORY[:TAG] or oci-archive:FILE
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Public key that must have signed
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Policy file, for its registries
    #[arg(long, value_name = "PATH")]
    policy: Option<PathBuf>,
}

/// Prints the newest statement of this role that counts.
pub(crate) fn print(
    args: &StatementArgs,
    role: Role,
    printer: &Printer,
) -> Result<ExitCode, CliError> {
    let config = Config::from_environment()?;
    let policy = policy_file::read(args.policy.as_deref())?;
    let place = image::place(&args.image, &policy.policy.registries, &config)?;
    let keys = args.key.iter().map(|path| signing_key::load_public(path));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let found = runtime::block_on(place.find())?.map_err(|error| image::not_found(&error))?;
    let digest: ImageDigest = found
        .image
        .digest
        .to_string()
        .parse()
        .map_err(|error| CliError::failed(format!("{error}")))?;
    let statement = match keys.is_empty() {
        true => unverified(&found.evidence, role),
        false => verified(&found.evidence, role, &digest, &Trust::in_keys(keys)),
    };
    let Some(statement) = statement else {
        let checked = if args.key.is_empty() { "" } else { "verified " };
        return Err(CliError::failed(format!("{} has no {checked}{}", args.image, role.name()))
            .hint(format!("touchmark verify {} says what there is", args.image)));
    };
    match args.key.is_empty() {
        true => printer.warning("nobody checked the signature of what follows; give --key"),
        false => printer.talk("verified: signed by the key and about this image"),
    }
    printer.data(statement.predicate_json())?;
    Ok(ExitCode::SUCCESS)
}

fn verified(
    evidence: &[Evidence],
    role: Role,
    image: &ImageDigest,
    trust: &Trust,
) -> Option<Statement> {
    evidence.iter().rev().find_map(|candidate| {
        let bundle = Bundle::from_json(&candidate.bytes).ok()?;
        let declared = candidate.declared_predicate_type.as_deref();
        let statement = verify::verify(&bundle, image, declared, trust).ok()?;
        (statement.role() == role).then(|| statement.value().clone())
    })
}

fn unverified(evidence: &[Evidence], role: Role) -> Option<Statement> {
    evidence.iter().rev().find_map(|candidate| {
        let bundle = Bundle::from_json(&candidate.bytes).ok()?;
        let statement = bundle.statement_unverified_unsafe().ok()?;
        (Role::of(statement.predicate_type()) == Some(role)).then_some(statement)
    })
}
