//! A build's record becomes SLSA provenance v1. `docs/build-type.md` says for strangers what stands
//! here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use time::OffsetDateTime;
use touchmark_attest::{
    digest_set::{DigestSet, DigestSetError},
    predicate::{
        Timestamp, TimestampError, hardening,
        slsa::{BuildDefinition, Builder, CLEAN, CONTEXT, Metadata, Provenance, RunDetails},
    },
    resource_descriptor::{INCOMPLETE, ResourceDescriptor},
};

use crate::{
    egress::RequestRecord,
    graph::Origin,
    oci::{descriptor::Descriptor, digest::Digest, platform::Platform},
    remote::LAYOUT_REGISTRY,
    solver::{Solved, settings::NETWORK_HOST},
    source::{git::GitState, image::ResolvedImage},
};

/// The build type: which document explains the parameters.
pub const BUILD_TYPE: &str = "https://touchmark.dev/build-type/dockerfile/v1";
/// The builder: rootless, steps under subordinate ids, network by allowlist, signed outside the steps.
pub const BUILDER_ID: &str = "https://touchmark.dev/builder/rootless-mirrors/v1";
/// The same with a network that reaches nothing.
pub const BUILDER_ID_OFFLINE: &str = "https://touchmark.dev/builder/rootless-offline/v1";
/// Some step had a right beyond those of every step: the host's network, or every capability.
pub const BUILDER_ID_ENTITLED: &str = "https://touchmark.dev/builder/rootless-entitled/v1";

/// The annotation of a fetched file that was asked for otherwise than by GET: the method, `CONNECT` for what
/// passed through unseen.
pub const METHOD: &str = "method";
/// The annotation that says by what a fetched file was checked beside its digest.
pub const VERIFIED_BY: &str = "verified-by";

/// The annotation of an answer to a POST that only asks: the digest of what was asked.
pub const REQUEST: &str = "request";

/// The annotation of what a repository gave where that was several commits: their ids, sorted, with spaces between.
pub const COMMITS: &str = "commits";

/// What was asked for; becomes `externalParameters`, complete.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    /// The Dockerfile's path below the context, or its file name.
    pub dockerfile: String,
    /// The Dockerfile's bytes.
    pub dockerfile_digest: Option<Digest>,
    /// `--target`.
    pub target: Option<String>,
    /// Build arguments that the Dockerfile used.
    pub build_args: BTreeMap<String, String>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `os/architecture[/variant]`; those of an index, separated by commas.
    pub platform: String,
    /// Level of hardening.
    pub harden: String,
    /// `mirrors`, `none` or `host`.
    pub network: String,
    /// What else was said about RUN steps, by name: `allow`, `hosts`, `shmSize`, `ulimits`.
    pub steps: BTreeMap<String, Value>,
    /// How the layers that the build made are compressed ([`crate::image::form::Form::parameter`]).
    pub compression: Option<Value>,
    /// The policy file's bytes, where there is one.
    pub policy_digest: Option<Digest>,
    /// SOURCE_DATE_EPOCH in seconds.
    pub epoch: i64,
    /// `--provenance=min`: build arguments are named, but their values stay here.
    pub without_values: bool,
}

/// Where the build's files came from.
#[derive(Debug, Clone)]
pub struct ContextRecord {
    /// Digest over everything the context offered (docs/build-type.md, "context digest").
    pub digest: Digest,
    /// The commit, where the context is a git work tree or a repository.
    pub git: Option<GitState>,
    /// What was fetched to get the context and the Dockerfile.
    pub fetched: Vec<FetchedInput>,
    /// The digests of named contexts that are directories.
    pub named: BTreeMap<String, Digest>,
}

/// A file that the command line named, before anything was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedInput {
    /// What it is: `context archive`, `dockerfile`.
    pub name: String,
    /// Where it came from; empty for standard input.
    pub uri: String,
    /// Its digest.
    pub digest: Digest,
}

/// What an image, or the images of an index, were made from.
#[derive(Debug)]
pub struct Materials<'a> {
    /// Base images.
    pub images: Vec<&'a ResolvedImage>,
    /// The steps.
    pub solved: &'a Solved,
}

/// The predicate.
pub type Predicate = Provenance;

/// Something that came out beside the image.
pub type Byproduct = ResourceDescriptor;

/// Everything a provenance is made from.
#[derive(Debug)]
pub struct Facts<'a> {
    /// What was asked for.
    pub parameters: &'a Parameters,
    /// What went in beside the context.
    pub materials: Materials<'a>,
    /// The context.
    pub context: &'a ContextRecord,
    /// What came out beside the image.
    pub byproducts: Vec<Byproduct>,
    /// Names this run.
    pub invocation: String,
    /// When the build ended.
    pub finished: OffsetDateTime,
    /// Versions of touchmark and the worker's parts.
    pub versions: BTreeMap<String, String>,
}

/// Why facts do not make a provenance.
#[derive(Debug, thiserror::Error)]
pub enum ProvenanceError {
    /// A digest of the wrong form.
    #[error(transparent)]
    Digest(#[from] DigestSetError),
    /// A time outside the years 0 to 9999: the machine's clock is wrong.
    #[error("{0}; is the clock of this machine right?")]
    Time(#[from] TimestampError),
}

/// Makes the predicate.
///
/// # Errors
/// See [`ProvenanceError`].
pub fn provenance(facts: Facts<'_>) -> Result<Predicate, ProvenanceError> {
    let mut dependencies = Vec::new();
    let Materials { images, solved } = facts.materials;
    for image in images {
        dependencies.push(base_image(image)?);
    }
    dependencies.push(context(facts.context)?);
    dependencies.extend(inputs(facts.context)?);
    let fetched = fetched(solved)?;
    let complete = fetched.iter().all(|dependency| dependency.incomplete().is_none());
    // What a cache mount brought in from earlier builds, nobody recorded.
    let caches = solved.caches();
    let entitlements = solved.entitlements();
    // In the host's network nobody recorded what a step fetched.
    let hermetic = complete && caches.is_empty() && !entitlements.contains(NETWORK_HOST);
    dependencies.extend(fetched);
    let parameters = facts.parameters;
    Ok(Provenance {
        build_definition: BuildDefinition {
            build_type: BUILD_TYPE.into(),
            external_parameters: external(parameters),
            internal_parameters: BTreeMap::from([
                ("cacheMounts".into(), json!(caches)),
                ("entitlements".into(), json!(entitlements)),
                ("hermetic".into(), hermetic.into()),
                ("sourceDateEpoch".into(), parameters.epoch.into()),
            ]),
            resolved_dependencies: dependencies,
        },
        run_details: RunDetails {
            builder: Builder {
                id: builder_id(&parameters.network, solved).into(),
                version: facts.versions,
                ..Builder::default()
            },
            metadata: Some(Metadata {
                invocation_id: facts.invocation,
                started_on: Some(Timestamp::from_unix(solved.started.unix_timestamp())?),
                finished_on: Some(Timestamp::from_unix(facts.finished.unix_timestamp())?),
            }),
            byproducts: facts.byproducts,
        },
    })
}

/// The builder's id: `network` is [`Parameters::network`].
#[must_use]
pub fn builder_id(network: &str, solved: &Solved) -> &'static str {
    match network {
        _ if !solved.entitlements().is_empty() => BUILDER_ID_ENTITLED,
        "none" => BUILDER_ID_OFFLINE,
        _ => BUILDER_ID,
    }
}

/// The hardening report, given as JSON, as a byproduct of the image.
///
/// # Errors
/// Never for these digests.
pub fn hardening_report(report: &[u8]) -> Result<Byproduct, ProvenanceError> {
    Ok(ResourceDescriptor {
        name: "hardening-report".into(),
        uri: hardening::PREDICATE_TYPE.into(),
        digest: DigestSet::sha256(&Digest::of(report).hex())?,
        media_type: "application/json".into(),
        ..ResourceDescriptor::default()
    })
}

/// The image of one platform as a byproduct of the index that lists it.
///
/// # Errors
/// Never for these digests.
pub fn manifest(platform: &Platform, image: &Descriptor) -> Result<Byproduct, ProvenanceError> {
    Ok(ResourceDescriptor {
        name: platform.to_string(),
        digest: DigestSet::sha256(&image.digest.hex())?,
        media_type: image.media_type.clone(),
        ..ResourceDescriptor::default()
    })
}

fn external(parameters: &Parameters) -> BTreeMap<String, Value> {
    let mut external = BTreeMap::from([
        ("dockerfile".to_owned(), json!({"path": parameters.dockerfile})),
        ("buildArgs".to_owned(), build_args(parameters)),
        ("labels".to_owned(), json!(parameters.labels)),
        ("platform".to_owned(), json!(parameters.platform)),
        ("harden".to_owned(), json!(parameters.harden)),
        ("network".to_owned(), json!(parameters.network)),
    ]);
    if let Some(digest) = parameters.dockerfile_digest {
        external.insert(
            "dockerfile".into(),
            json!({"path": parameters.dockerfile, "digest": {"sha256": digest.hex()}}),
        );
    }
    external.extend(parameters.steps.clone());
    if let Some(target) = &parameters.target {
        external.insert("target".into(), json!(target));
    }
    if let Some(compression) = &parameters.compression {
        external.insert("compression".into(), compression.clone());
    }
    if let Some(policy) = parameters.policy_digest {
        external.insert("policy".into(), json!({"digest": {"sha256": policy.hex()}}));
    }
    external
}

/// The build arguments; for `--provenance=min` the value of each is null.
fn build_args(parameters: &Parameters) -> Value {
    let told = |value: &String| (!parameters.without_values).then(|| value.clone());
    let args = parameters.build_args.iter().map(|(name, value)| (name, told(value)));
    json!(args.collect::<BTreeMap<_, _>>())
}

fn base_image(image: &ResolvedImage) -> Result<ResourceDescriptor, DigestSetError> {
    let reference = &image.reference;
    let tag = reference.tag().map(|tag| format!("@{tag}")).unwrap_or_default();
    let platform = image.platform.to_string().replace('/', "%2F");
    Ok(ResourceDescriptor {
        name: reference.to_string(),
        uri: match reference.registry() == LAYOUT_REGISTRY {
            // It is in no registry.
            true => String::new(),
            false => format!(
                "pkg:docker/{}{tag}?digest={}&platform={platform}",
                reference.name(),
                image.digest
            ),
        },
        digest: DigestSet::sha256(&image.digest.hex())?,
        annotations: BTreeMap::from([("manifest".into(), image.manifest.to_string().into())]),
        ..ResourceDescriptor::default()
    })
}

fn context(record: &ContextRecord) -> Result<ResourceDescriptor, DigestSetError> {
    let mut digest = DigestSet::sha256(&record.digest.hex())?;
    let mut uri = String::new();
    let mut annotations = BTreeMap::new();
    if let Some(git) = &record.git {
        digest.insert("gitCommit", &git.commit)?;
        uri = git.remote.as_ref().map(|remote| format!("git+{remote}")).unwrap_or_default();
        annotations.insert(CLEAN.into(), (!git.dirty).into());
        if !git.subdir.is_empty() {
            annotations.insert("subdirectory".into(), git.subdir.clone().into());
        }
    }
    Ok(ResourceDescriptor { name: CONTEXT.into(), uri, digest, annotations, ..Default::default() })
}

/// Named contexts that are directories, and what became the context.
fn inputs(record: &ContextRecord) -> Result<Vec<ResourceDescriptor>, DigestSetError> {
    let named = record.named.iter().map(|(name, digest)| (format!("context:{name}"), "", digest));
    let fetched = record.fetched.iter();
    let fetched = fetched.map(|input| (input.name.clone(), input.uri.as_str(), &input.digest));
    let descriptor = |(name, uri, digest): (String, &str, &Digest)| {
        Ok(ResourceDescriptor {
            name,
            uri: uri.into(),
            digest: DigestSet::sha256(&digest.hex())?,
            ..Default::default()
        })
    };
    fetched.chain(named).map(descriptor).collect()
}

/// Every fetched file once, in the order of the steps; what was fetched twice with the same bytes is
/// one dependency.
fn fetched(solved: &Solved) -> Result<Vec<ResourceDescriptor>, DigestSetError> {
    let mut seen = BTreeSet::new();
    let mut list = Vec::new();
    for (origin, result) in solved.steps() {
        for request in &result.requests {
            let what = (request.sha256, request.commit.clone());
            if seen.insert((request.url.clone(), what, request.incomplete_reason.clone())) {
                list.push(fetched_file(origin, request)?);
            }
        }
    }
    Ok(list)
}

fn fetched_file(
    origin: &Origin,
    request: &RequestRecord,
) -> Result<ResourceDescriptor, DigestSetError> {
    let complete = request.complete && (request.sha256.is_some() || request.commit.is_some());
    let mut digest = match request.sha256 {
        Some(digest) if complete => DigestSet::sha256(&digest.hex())?,
        _ => DigestSet::default(),
    };
    let commits = request.commit.as_deref().filter(|_| complete);
    let (several, one) = commits.map_or((None, None), |all| match all.contains(' ') {
        true => (Some(all), None),
        false => (None, Some(all)),
    });
    if let Some(commit) = one {
        digest.insert("gitCommit", commit)?;
    }
    let mut annotations = BTreeMap::from([
        ("line".to_owned(), Value::from(origin.span.first_line)),
        ("stage".to_owned(), Value::from(origin.stage_name())),
        ("size".to_owned(), Value::from(request.size)),
    ]);
    if !complete {
        let reason = request.incomplete_reason.as_deref().unwrap_or("the body is not complete");
        annotations.insert(INCOMPLETE.into(), reason.into());
    }
    // A page that says "not found" is what the step got, but not the file that its name promises.
    if let Some(status) = request.status.filter(|status| *status != 200) {
        annotations.insert("status".into(), status.into());
    }
    if request.method != "GET" {
        annotations.insert(METHOD.into(), request.method.clone().into());
    }
    if let Some(query) = &request.query {
        annotations.insert(REQUEST.into(), query.to_string().into());
    }
    if let Some(commits) = several {
        annotations.insert(COMMITS.into(), commits.into());
    }
    if let Some(purl) = &request.purl {
        annotations.insert("purl".into(), purl.clone().into());
    }
    if let Some(what) = &request.verified_by {
        annotations.insert(VERIFIED_BY.into(), what.clone().into());
    }
    let elsewhere = request.fetched_url != request.url;
    Ok(ResourceDescriptor {
        name: request.url.rsplit('/').next().unwrap_or_default().to_owned(),
        uri: request.url.clone(),
        digest,
        download_location: if elsewhere { request.fetched_url.clone() } else { String::new() },
        annotations,
        ..ResourceDescriptor::default()
    })
}
