//! One kind of statement about an image, printed as its JSON predicate.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use touchmark_attest::{
    bundle::Bundle,
    image_digest::ImageDigest,
    policy::Evidence,
    statement::Statement,
    trust::Trust,
    verify::{self, Role},
};
use touchmark_builder::{
    attestations::find::{Found, Place},
    oci::{
        descriptor::Descriptor, digest::Digest, manifest::Index, media_type, platform::Platform,
    },
    registry::platform_choice::select_platform,
};

use crate::{
    config::Config, error::CliError, image, index, policy_file, runtime, signing_key,
    ui::printer::Printer,
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
    /// Of an image index: the statement about this platform's image [default: the one about the index,
    /// else about this machine's platform]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
}

/// Prints the newest statement of this role that counts.
pub(crate) fn print(
    args: &StatementArgs,
    role: Role,
    printer: &Printer,
) -> Result<ExitCode, CliError> {
    printer.data(read(args, role, printer)?.statement.predicate_json())?;
    Ok(ExitCode::SUCCESS)
}

/// A statement, and what it was found with.
pub(crate) struct Read {
    /// What it says.
    pub(crate) statement: Statement,
    /// What it is about: the image, or of an index the image of one platform.
    pub(crate) subject: Found,
    /// Where both are.
    pub(crate) place: Place,
    /// Which signed document says it.
    pub(crate) origin: Origin,
}

/// Where a statement was found, and who signed it.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// SHA-256 of the bundle.
    pub(crate) bundle: Digest,
    /// The hint of the trusted key that signed it; none where nobody checked.
    pub(crate) key: Option<String>,
}

impl Origin {
    fn new(candidate: &Evidence, key: Option<String>) -> Self {
        Self { bundle: Digest::of(&candidate.bytes), key }
    }
}

impl StatementArgs {
    /// The policy file that was given.
    pub(crate) fn policy(&self) -> Option<&Path> {
        self.policy.as_deref()
    }

    /// The public keys that were given.
    pub(crate) fn keys(&self) -> &[PathBuf] {
        &self.key
    }

    /// The image as it was named.
    pub(crate) fn image(&self) -> &str {
        &self.image
    }

    /// Trust in the keys that were given; none where none was.
    fn trust(&self) -> Result<Option<Trust>, CliError> {
        let keys = self.key.iter().map(|path| signing_key::load_public(path));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        Ok((!keys.is_empty()).then(|| Trust::in_keys(keys)))
    }

    /// The same, asked for by another command.
    pub(crate) fn new(
        image: &str,
        key: &[PathBuf],
        policy: Option<&Path>,
        platform: Option<&str>,
    ) -> Self {
        Self {
            image: image.to_owned(),
            key: key.to_vec(),
            policy: policy.map(Path::to_owned),
            platform: platform.map(str::to_owned),
        }
    }
}

/// The newest statement of this role that counts; says whether it was verified.
pub(crate) fn read(args: &StatementArgs, role: Role, printer: &Printer) -> Result<Read, CliError> {
    let config = Config::from_environment()?;
    let policy = policy_file::read(args.policy.as_deref())?;
    let place = image::place(&args.image, &policy.policy.registries, &config)?;
    let trust = args.trust()?;
    let mut found = runtime::block_on(place.find())?.map_err(|error| image::not_found(&error))?;
    let mut statement = match args.platform {
        Some(_) => None,
        None => statement(&found, role, trust.as_ref())?,
    };
    if statement.is_none() && media_type::is_index(&found.image.media_type) {
        let (platform, entry) = entry(args, &found)?;
        let of_platform = runtime::block_on(place.find_manifest(&entry))?;
        found = of_platform.map_err(|error| image::not_found(&error))?;
        statement = self::statement(&found, role, trust.as_ref())?;
        if statement.is_some() && args.platform.is_none() {
            let role = role.name();
            printer.talk(&format!("of an index: the {role} of its image for {platform}"));
        }
    }
    let Some((statement, origin)) = statement else {
        let checked = if args.key.is_empty() { "" } else { "verified " };
        return Err(CliError::failed(format!("{} has no {checked}{}", args.image, role.name()))
            .hint(format!("touchmark verify {} says what there is", args.image)));
    };
    match args.key.is_empty() {
        true => printer.warning("nobody checked the signature of what follows; give --key"),
        false => printer.talk("verified: signed by the key and about this image"),
    }
    Ok(Read { statement, subject: found, place, origin })
}

/// The newest statement of this role about a manifest that an index lists, if there is one that counts.
pub(crate) fn of_platform(
    args: &StatementArgs,
    place: &Place,
    entry: &Descriptor,
    role: Role,
) -> Result<(Found, Option<(Statement, Origin)>), CliError> {
    let found = runtime::block_on(place.find_manifest(entry))?;
    let found = found.map_err(|error| image::not_found(&error))?;
    let statement = statement(&found, role, args.trust()?.as_ref())?;
    Ok((found, statement))
}

/// The platform that was asked for, else this machine's, and its entry in the index.
fn entry(args: &StatementArgs, found: &Found) -> Result<(Platform, Descriptor), CliError> {
    let host = Platform::host();
    let wanted = match &args.platform {
        Some(text) => Platform::specified(text, &host).ok_or_else(|| {
            CliError::usage(format!("--platform: '{text}' is not a platform"))
                .hint("write os/architecture, such as linux/amd64 or linux/arm64")
        })?,
        None => host,
    };
    let index = Index::new(index::entries(found));
    let entry = select_platform(&index, &wanted).map_err(|error| {
        CliError::failed(format!("{} has {error}", args.image))
            .hint("choose one of these with --platform")
    })?;
    Ok((wanted, entry))
}

fn statement(
    found: &Found,
    role: Role,
    trust: Option<&Trust>,
) -> Result<Option<(Statement, Origin)>, CliError> {
    let digest: ImageDigest = found
        .image
        .digest
        .to_string()
        .parse()
        .map_err(|error| CliError::failed(format!("{error}")))?;
    Ok(match trust {
        None => unverified(&found.evidence, role),
        Some(trust) => verified(&found.evidence, role, &digest, trust),
    })
}

fn verified(
    evidence: &[Evidence],
    role: Role,
    image: &ImageDigest,
    trust: &Trust,
) -> Option<(Statement, Origin)> {
    evidence.iter().rev().find_map(|candidate| {
        let bundle = Bundle::from_json(&candidate.bytes).ok()?;
        let declared = candidate.declared_predicate_type.as_deref();
        let statement = verify::verify(&bundle, image, declared, trust).ok()?;
        let key = Some(statement.key().to_string());
        let origin = || Origin::new(candidate, key);
        (statement.role() == role).then(|| (statement.value().clone(), origin()))
    })
}

fn unverified(evidence: &[Evidence], role: Role) -> Option<(Statement, Origin)> {
    evidence.iter().rev().find_map(|candidate| {
        let bundle = Bundle::from_json(&candidate.bytes).ok()?;
        let statement = bundle.statement_unverified_unsafe().ok()?;
        let origin = Origin::new(candidate, None);
        (Role::of(statement.predicate_type()) == Some(role)).then_some((statement, origin))
    })
}
