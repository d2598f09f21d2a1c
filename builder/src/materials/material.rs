//! One thing that went into an image.

use serde::Serialize;
use touchmark_attest::{
    predicate::slsa::{CONTEXT, Provenance},
    resource_descriptor::ResourceDescriptor,
};

use crate::{
    downloads::git_commit,
    oci::digest::Digest,
    policy::preset::Preset,
    provenance::{COMMITS, METHOD, REQUEST, VERIFIED_BY},
};

/// What sort of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// A base image.
    Image,
    /// The build context, a named one, or what it was unpacked from.
    Context,
    /// A repository, by commit.
    Git,
    /// A package: the address tells which one.
    Package,
    /// Another file.
    File,
}

/// A resolved dependency, with what can be told from its address.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Material {
    /// What sort of thing it is.
    pub sort: Sort,
    /// The host that was asked, the registry of an image; empty for what came from this machine.
    pub origin: String,
    /// The host that it was fetched from, where the policy named another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    /// The type of package URLs of the ecosystem that it belongs to: `deb`, `pypi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecosystem: Option<String>,
    /// What it is called.
    pub name: String,
    /// The address that was asked for; of an image its package URL.
    pub uri: String,
    /// Where it was fetched from, when that is another address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetched_from: Option<String>,
    /// The method, where it was not GET.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The status of the answer, where it was not 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u64>,
    /// The line of the Dockerfile that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// SHA-256 of the bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Of a base image the digest of its platform's manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// The commit of a repository; of a clone that wanted several all of them, with spaces between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Bytes; not known of images and contexts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// By what it was checked beside its digest, where that was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_by: Option<String>,
    /// Why there is no digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
}

impl Material {
    /// Everything that a provenance lists, in its order.
    #[must_use]
    pub fn all(provenance: &Provenance) -> Vec<Self> {
        let listed = provenance.build_definition.resolved_dependencies.iter();
        let mut all: Vec<Self> = listed.map(Self::read).collect();
        // An index lies beside the packages that it lists, so it belongs to their ecosystem.
        for at in 0..all.len() {
            if all[at].ecosystem.is_none() && matches!(all[at].sort, Sort::File) {
                let beside = all.iter().filter(|one| one.origin == all[at].origin);
                let mut known = beside.filter_map(|one| one.ecosystem.clone());
                let first = known.next().filter(|first| known.all(|other| other == *first));
                all[at].ecosystem = first;
            }
        }
        all
    }

    /// Is it bytes that a later build could need from a store, and are they known?
    #[must_use]
    pub fn is_body(&self) -> bool {
        match self.sort {
            Sort::Package | Sort::File => self.digest.is_some(),
            Sort::Git => self.commit.is_some(),
            Sort::Image | Sort::Context => false,
        }
    }

    /// The method by which the store knows it.
    #[must_use]
    pub fn kept_method(&self) -> String {
        match (self.sort, &self.commit, &self.method) {
            (Sort::Git, Some(commit), _) => git_commit(commit),
            (_, _, Some(method)) => method.clone(),
            _ => "GET".into(),
        }
    }

    fn read(dependency: &ResourceDescriptor) -> Self {
        let text = |key: &str| Some(dependency.annotations.get(key)?.as_str()?.to_owned());
        let number = |key: &str| dependency.annotations.get(key)?.as_u64();
        let digest = dependency.digest.get("sha256");
        let digest = digest.and_then(|hex| format!("sha256:{hex}").parse().ok());
        let commit =
            dependency.digest.get("gitCommit").map(str::to_owned).or_else(|| text(COMMITS));
        let purl = text("purl");
        let asked = text(REQUEST).and_then(|digest| digest.parse().ok());
        let kept_method = asked.map(crate::egress::kept_method);
        let sort = sort(dependency, purl.is_some());
        let origin = origin(dependency, sort);
        let fetched_from =
            Some(&dependency.download_location).filter(|place| !place.is_empty()).cloned();
        let mirror = fetched_from.as_deref().map(host).filter(|host| *host != origin);
        let ecosystem = purl.as_deref().and_then(kind).map(str::to_owned).or_else(|| {
            let preset = Some(()).filter(|()| sort == Sort::File);
            preset.and_then(|()| Preset::of_host(&origin)?.ecosystem())
        });
        Self {
            sort,
            mirror,
            ecosystem,
            name: dependency.name.clone(),
            uri: dependency.uri.clone(),
            fetched_from,
            method: kept_method.or_else(|| text(METHOD)),
            status: number("status"),
            line: number("line"),
            digest,
            manifest: text("manifest").and_then(|digest| digest.parse().ok()),
            commit,
            size: number("size"),
            purl,
            verified_by: text(VERIFIED_BY),
            incomplete: dependency.incomplete().map(str::to_owned),
            origin,
        }
    }
}

fn sort(dependency: &ResourceDescriptor, package: bool) -> Sort {
    let (name, uri) = (dependency.name.as_str(), dependency.uri.as_str());
    let image = dependency.annotations.contains_key("manifest");
    // `line` is where the Dockerfile asked: what has none was named by the command line.
    let asked = dependency.annotations.contains_key("line");
    match () {
        () if uri.starts_with("pkg:docker/") || image => Sort::Image,
        () if !asked || name == CONTEXT => Sort::Context,
        () if uri.starts_with("git+") => Sort::Git,
        () if package => Sort::Package,
        () => Sort::File,
    }
}

/// The host of an address, with its port; of an image the registry.
fn origin(dependency: &ResourceDescriptor, sort: Sort) -> String {
    if sort == Sort::Image {
        let registry = dependency.uri.strip_prefix("pkg:docker/").unwrap_or_default();
        return registry.split('/').next().unwrap_or_default().to_owned();
    }
    host(&dependency.uri)
}

fn host(uri: &str) -> String {
    let url = url::Url::parse(uri.strip_prefix("git+").unwrap_or(uri)).ok();
    let host = url.as_ref().and_then(|url| url.host_str().map(|host| (host, url.port())));
    match host {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host.to_owned(),
        None => String::new(),
    }
}

/// `deb` of `pkg:deb/debian/x@1`.
fn kind(purl: &str) -> Option<&str> {
    purl.strip_prefix("pkg:")?.split('/').next()
}
