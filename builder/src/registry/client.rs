//! The registry client, and what it does with manifests: resolve a reference, ask whether it exists.

use std::{fmt, sync::Arc};

use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, HeaderValue},
};

use super::{
    credentials::Credentials,
    document::Resolved,
    error::{RegistryError, What},
    platform_choice::select_platform,
    route::{Access, Endpoint, Routes},
    transport::{Answer, Call, Transport, TransportOptions},
};
use crate::{
    downloads::ImageDocuments,
    oci::{digest::Digest, manifest::MAX_MANIFEST_BYTES, platform::Platform, reference::Reference},
};

/// Pulls from and pushes to registries. Cheap to clone; clones share connections and tokens. All
/// references it takes are those the user wrote: the policy's rewriting happens inside.
#[derive(Clone)]
pub struct RegistryClient {
    pub(super) transport: Arc<Transport>,
    routes: Arc<dyn Routes>,
    documents: Option<ImageDocuments>,
}

/// Every kind of manifest that can be read, the OCI ones first.
pub(super) const DOCUMENTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

impl RegistryClient {
    /// A client that goes where `routes` lets it, as whom `credentials` say.
    #[must_use]
    pub fn new(
        routes: Arc<dyn Routes>,
        credentials: Arc<Credentials>,
        options: TransportOptions,
    ) -> Self {
        let transport = Arc::new(Transport::new(options, credentials));
        Self { transport, routes, documents: None }
    }

    /// The same, with `documents` for what it looks up: to keep it, or, without a network, to find it.
    #[must_use]
    pub fn keeping(self, documents: ImageDocuments) -> Self {
        Self { documents: Some(documents), ..self }
    }

    /// Where it keeps what it looks up.
    #[must_use]
    pub fn documents(&self) -> Option<&ImageDocuments> {
        self.documents.as_ref()
    }

    /// An error where no registry is to be asked for `what`.
    pub(super) fn plugged(&self, what: impl std::fmt::Display) -> Result<(), RegistryError> {
        match self.documents.as_ref().is_some_and(ImageDocuments::is_offline) {
            true => Err(RegistryError::Offline { what: what.to_string() }),
            false => Ok(()),
        }
    }

    /// The manifest or index of a reference, of at most 4 MiB. Where the reference has a digest, the
    /// bytes have it; where it has only a tag, the registry is believed.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn resolve(&self, reference: &Reference) -> Result<Resolved, RegistryError> {
        let endpoint = self.endpoint(reference, Access::Pull)?;
        let name = reference.to_string();
        if let Some(documents) = self.documents.as_ref().filter(|known| known.is_offline()) {
            let found = documents.find(&name, MAX_MANIFEST_BYTES);
            let (kind, bytes) = found.ok_or(RegistryError::Offline { what: name })?;
            let at = endpoint.place();
            return Resolved::read(kind.as_deref(), bytes).map_err(|fault| {
                RegistryError::NoImage { at, reason: fault.reason, help: fault.help }
            });
        }
        match self.manifest(&endpoint).await? {
            Ok(resolved) => {
                if let Some(documents) = &self.documents {
                    documents.keep(&name, &resolved.descriptor.media_type, &resolved.bytes);
                }
                Ok(resolved)
            }
            Err(Answer { status, said, .. }) => {
                let at = endpoint.place();
                Err(RegistryError::UnknownImage { at, status, said })
            }
        }
    }

    /// As [`resolve`](Self::resolve), and where that is an index, the manifest for `platform` in it.
    /// A reference that leads to a manifest directly is taken as it is: which platform it is for stands
    /// in its configuration.
    ///
    /// # Errors
    /// [`RegistryError::NoPlatform`] and all others.
    pub async fn resolve_platform(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Resolved, RegistryError> {
        let resolved = self.resolve(reference).await?;
        let Some(index) = resolved.index() else { return Ok(resolved) };
        let entry = select_platform(index, platform).map_err(|fault| {
            RegistryError::NoPlatform { image: reference.to_string(), fault: Box::new(fault) }
        })?;
        let manifest = self.resolve(&reference.at(entry.digest)).await?;
        if manifest.index().is_none() {
            return Ok(manifest);
        }
        let at = self.endpoint(reference, Access::Pull)?.place();
        let reason = format!("the index names another index as its manifest for {platform}");
        let help = "push the image again with a current tool";
        Err(RegistryError::NoImage { at, reason, help })
    }

    /// Does the reference exist, and with which digest? The digest is the registry's word only; whoever
    /// builds on it resolves `reference.at(digest)`.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn exists(&self, reference: &Reference) -> Result<Option<Digest>, RegistryError> {
        let endpoint = self.endpoint(reference, Access::Pull)?;
        let url = endpoint.url(&format!("manifests/{}", endpoint.reference.selector()));
        let mut call = Call::new(Method::HEAD, url);
        call.headers.insert(ACCEPT, HeaderValue::from_static(DOCUMENTS));
        let limit = (What::Manifest, 0);
        let answer = self.transport.ask(&endpoint, &call, limit).await?;
        let digest = answer.header("docker-content-digest").and_then(|text| text.parse().ok());
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() && digest.is_some() => Ok(digest),
            // The header is a courtesy; without it the manifest itself tells.
            _ => Ok(self.manifest(&endpoint).await?.ok().map(|found| found.descriptor.digest)),
        }
    }

    /// Where this reference leads.
    pub(super) fn endpoint(
        &self,
        reference: &Reference,
        access: Access,
    ) -> Result<Endpoint, RegistryError> {
        let endpoint = Endpoint::new(self.routes.route(reference, access)?, access)?;
        Ok(endpoint.behind(&self.transport.options.proxies))
    }

    /// The endpoint's manifest; the inner error is a 404.
    pub(super) async fn manifest(
        &self,
        endpoint: &Endpoint,
    ) -> Result<Result<Resolved, Answer>, RegistryError> {
        let at = endpoint.place();
        let what = What::Manifest;
        let url = endpoint.url(&format!("manifests/{}", endpoint.reference.selector()));
        let mut call = Call::new(Method::GET, url);
        call.headers.insert(ACCEPT, HeaderValue::from_static(DOCUMENTS));
        let answer = self.transport.ask(endpoint, &call, (what, MAX_MANIFEST_BYTES)).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(Err(answer)),
            status => {
                let (said, help) = (answer.said, "check the name, and that this is a registry");
                return Err(RegistryError::Refused { at, what, status, said, help });
            }
        }
        let found = Digest::of(&answer.bytes);
        let stated = answer.header("docker-content-digest").and_then(|text| text.parse().ok());
        if let Some(expected) = endpoint.reference.digest().or(stated)
            && expected != found
        {
            return Err(RegistryError::wrong_digest(at, what, expected, found));
        }
        let content_type = answer.header("content-type").map(ToOwned::to_owned);
        Resolved::read(content_type.as_deref(), answer.bytes)
            .map(Ok)
            .map_err(|fault| RegistryError::NoImage { at, reason: fault.reason, help: fault.help })
    }
}

impl fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryClient").finish_non_exhaustive()
    }
}
