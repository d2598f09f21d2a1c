//! `touchmark verify`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, ValueEnum};
use touchmark_attest::{
    policy::{Requirement, Status, Verdict, evaluate},
    trust::Trust,
};
use touchmark_builder::{
    attestations::find::{Found, Place},
    oci::media_type,
    policy::verify::Evidence,
};

use crate::{
    config::Config,
    content_check,
    error::CliError,
    image,
    index::{self, PlatformFound},
    policy_file, runtime, signing_key,
    ui::{
        printer::Printer,
        table::{self, ContentCheck},
    },
    verdict_json,
};

/// Check an image's signature, provenance and SBOM.
///
/// Every statement that is attached to the image is looked at. The image passes when its signature,
/// its provenance and its SBOM are each signed by the key and are about this image. Of an image index,
/// each platform must have them too, itself or by what is said about the index. The exit code is 0
/// only then; it is 1 when the image does not pass, 2 for wrong usage, and 3 when the registry does not
/// answer. Nothing is asked of the network but the registry.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// registry.example/name:tag, oci:PATH[:TAG] or oci-archive:FILE[:TAG]
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Public key that must have signed; may be given several times, any of them will do [default:
    /// what the policy says]
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Policy file, for its registries and its [verify] section
    #[arg(long, value_name = "PATH")]
    policy: Option<PathBuf>,
    /// What must be there, separated by commas [default: what the policy says, else
    /// signature,provenance,sbom]
    #[arg(long, value_name = "KINDS", value_enum, value_delimiter = ',')]
    require: Vec<Kind>,
    /// The builder that the provenance must name; may be given several times [default: what the
    /// policy says]
    #[arg(long, value_name = "URI")]
    builder_id: Vec<String>,
    /// The source that the provenance must name, with `*` at the end for every continuation; may be
    /// given several times [default: what the policy says]
    #[arg(long, value_name = "URI")]
    source: Vec<String>,
    /// Also fetch every layer of an image in a registry and check its digest
    #[arg(long)]
    layers: bool,
    /// How the verdict is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    format: Format,
}

/// Kinds of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The key's holder stands for the image
    Signature,
    /// How it was built
    Provenance,
    /// What is in it
    Sbom,
    /// What was taken out of it
    Hardening,
    /// That it was built again, and the same came out
    Rebuild,
}

/// Forms of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table
    Text,
    /// One JSON document, documented in docs/verdict.md
    Json,
}

/// Runs `touchmark verify`. With `--format json` there is a document on standard output also when no
/// verdict could be reached.
pub(crate) fn run(args: &VerifyArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    let judged = judge(args);
    if args.format == Format::Json {
        let text = match &judged {
            Ok(judged) => {
                verdict_json::document(&args.image, &judged.verdict, &judged.content, judged.passed)
            }
            Err(error) => verdict_json::no_verdict(&args.image, error),
        };
        printer.data(&text?)?;
    }
    let judged = judged?;
    if args.format == Format::Text {
        printer.data(&table::verdict(&args.image, &judged.verdict, &judged.content))?;
    }
    if judged.passed {
        return Ok(ExitCode::SUCCESS);
    }
    if judged.content.iter().any(|check| check.unanswered) {
        return Err(CliError::environment("the registry did not answer all that was asked of it")
            .hint("this verdict is not final: try again"));
    }
    Ok(ExitCode::FAILURE)
}

struct Judged {
    verdict: Verdict,
    content: Vec<ContentCheck>,
    passed: bool,
}

fn judge(args: &VerifyArgs) -> Result<Judged, CliError> {
    let config = Config::from_environment()?;
    let policy = policy_file::read(args.policy.as_deref())?;
    let trust = trust(args, &policy)?;
    let requirement = requirement(args, &policy);
    let place = image::place(&args.image, &policy.policy.registries, &config)?;
    let Looked { found, platforms, content } = runtime::block_on(look(&place, args.layers))??;
    let is_index = media_type::is_index(&found.image.media_type);
    let digest = found.image.digest.to_string().parse();
    let digest = digest.map_err(|error| CliError::failed(format!("{error}")))?;
    let mut verdict = evaluate(&digest, found.evidence, &trust, &requirement);
    if is_index {
        let platforms = index::judge(platforms, &trust, &requirement)?;
        verdict = verdict.with_platforms(platforms, &requirement);
    }
    let passed = verdict.passed() && content.iter().all(|check| check.status != Status::Failed);
    Ok(Judged { verdict, content, passed })
}

struct Looked {
    found: Found,
    platforms: Vec<PlatformFound>,
    content: Vec<ContentCheck>,
}

async fn look(place: &Place, layers: bool) -> Result<Looked, CliError> {
    let found = place.find().await.map_err(|error| image::not_found(&error))?;
    let platforms = index::platforms(place, &found).await;
    let content = content_check::check(place, &found, &platforms, layers).await;
    Ok(Looked { found, platforms, content })
}

fn trust(args: &VerifyArgs, policy: &policy_file::PolicyFile) -> Result<Trust, CliError> {
    let verify = &policy.policy.verify;
    if !verify.identities.is_empty() || verify.trusted_root.is_some() {
        return Err(CliError::usage(
            "the policy wants keyless signatures, which cannot be verified yet",
        )
        .hint("take 'identity' and 'trusted-root' out of [verify] and list 'keys' there"));
    }
    let from_policy = verify.keys.iter().map(|key| policy.dir.join(key));
    let paths: Vec<PathBuf> = match args.key.is_empty() {
        true => from_policy.collect(),
        false => args.key.clone(),
    };
    if paths.is_empty() {
        return Err(CliError::usage("there is no key to verify with")
            .hint("give the signer's public key: --key cosign.pub")
            .hint("or a policy with keys in its [verify] section: --policy touchmark.toml"));
    }
    let keys = paths.iter().map(|path| signing_key::load_public(path));
    Ok(Trust::in_keys(keys.collect::<Result<Vec<_>, _>>()?))
}

/// The command line's word counts before the policy's.
fn requirement(args: &VerifyArgs, policy: &policy_file::PolicyFile) -> Requirement {
    let policy = &policy.policy.verify;
    let asked = |kind: Kind, evidence: Evidence| match args.require.is_empty() {
        true => policy.require.contains(&evidence),
        false => args.require.contains(&kind),
    };
    let first = |own: &[String], other: &[String]| {
        if own.is_empty() { other.to_vec() } else { own.to_vec() }
    };
    Requirement {
        signature: asked(Kind::Signature, Evidence::Signature),
        provenance: asked(Kind::Provenance, Evidence::Provenance),
        sbom: asked(Kind::Sbom, Evidence::Sbom),
        hardening: asked(Kind::Hardening, Evidence::Hardening),
        rebuild: asked(Kind::Rebuild, Evidence::Rebuild),
        builders: first(&args.builder_id, &policy.builders),
        build_type: None,
        sources: first(&args.source, &policy.sources),
        hermetic: policy.hermetic,
    }
}
