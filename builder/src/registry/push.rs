//! Blobs and manifests to a registry (distribution-spec, "Push"). Nothing is visible to others before
//! a manifest names it, and everything can be repeated without harm.

use std::path::Path;

use reqwest::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use url::Url;

use super::{
    client::RegistryClient,
    error::{RegistryError, Said, What},
    progress::TransferProgress,
    retry::{Again, Attempts, Failure},
    route::{Access, Endpoint},
    transport::{Answer, Call},
    upload::{BlobFile, Payload},
};
use crate::{
    content::store::ContentStore,
    oci::{
        descriptor::Descriptor, digest::Digest, manifest::MAX_MANIFEST_BYTES, reference::Reference,
    },
};

/// Where the bytes of a blob are. Whichever it is, they are verified on their way out.
#[derive(Debug, Clone, Copy)]
pub enum BlobSource<'a> {
    /// In the content store.
    Store(&'a ContentStore),
    /// In a file of their own.
    File(&'a Path),
    /// In memory, for what is small.
    Bytes(&'a [u8]),
}

/// How a blob came to be in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobPush {
    /// It was there.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// A manifest in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestPush {
    /// What was pushed.
    pub descriptor: Descriptor,
    /// The registry has a referrers API and has listed the manifest under its subject
    /// (distribution-spec: header `OCI-Subject`). If it is false and the manifest has a subject,
    /// [`RegistryClient::add_referrers`] must follow.
    pub listed: bool,
}

const ANSWER: u64 = 64 * 1024;
const TRY_LATER: &str = "try again; if it stays, report it to whoever runs the registry";

impl RegistryClient {
    /// Makes sure that the registry has this blob: asks first, then tries to take it from the
    /// repository of `mount_from` (if that is on the same registry), then sends it.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn push_blob(
        &self,
        target: &Reference,
        blob: &Descriptor,
        source: BlobSource<'_>,
        mount_from: Option<&Reference>,
        progress: &dyn TransferProgress,
    ) -> Result<BlobPush, RegistryError> {
        let endpoint = self.endpoint(target, Access::Push)?;
        let payload = match source {
            BlobSource::Bytes(bytes) => Payload::Bytes(verified(&endpoint, blob, bytes)?),
            BlobSource::Store(store) => stream(BlobFile::Store(store.clone()), blob),
            BlobSource::File(path) => stream(BlobFile::Elsewhere(path.to_owned()), blob),
        };
        let mount = mount_from.and_then(|from| self.endpoint(from, Access::Pull).ok());
        let same = |from: &Endpoint| from.origin() == endpoint.origin();
        let mount = mount.filter(same).map(|from| from.reference.repository().to_owned());
        let mut push = Push { client: self, endpoint: &endpoint, blob, progress, payload, mount };
        progress.start(blob);
        let mut attempts = Attempts::new(self.transport.options.retry);
        loop {
            match push.attempt().await {
                Ok(how) => {
                    if how != BlobPush::Uploaded {
                        progress.had(blob, blob.size);
                    }
                    progress.done(blob);
                    return Ok(how);
                }
                Err(failure) => {
                    progress.restart(blob);
                    attempts.again(failure).await?;
                }
            }
        }
    }

    /// Puts a manifest at the digest or the tag of `target`, byte for byte.
    ///
    /// # Errors
    /// [`RegistryError`]; nothing is sent when the bytes do not have the digest of `target`.
    pub async fn push_manifest(
        &self,
        target: &Reference,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<ManifestPush, RegistryError> {
        let endpoint = self.endpoint(target, Access::Push)?;
        let descriptor = Descriptor::of(media_type, bytes);
        let (what, expected) = (What::Manifest, descriptor.digest);
        let unsent = |reason, help| {
            let at = endpoint.place();
            Err(RegistryError::NotSent { at, what, reason, help })
        };
        if descriptor.size > MAX_MANIFEST_BYTES {
            let reason = format!("it has {} bytes, registries take 4 MiB", descriptor.size);
            return unsent(reason, "use fewer or shorter annotations");
        }
        if let Some(named) = endpoint.reference.digest()
            && named != expected
        {
            let reason = format!("its digest is {expected}");
            return unsent(reason, "push to a tag, or to the digest that the bytes have");
        }
        let url = endpoint.url(&format!("manifests/{}", endpoint.reference.selector()));
        let mut call = Call::new(Method::PUT, url);
        let Ok(content_type) = HeaderValue::from_str(media_type) else {
            return unsent("its media type is no media type".into(), "use a registered media type");
        };
        call.headers.insert(CONTENT_TYPE, content_type);
        call.payload = Payload::Bytes(bytes.to_vec());
        let mut attempts = Attempts::new(self.transport.options.retry);
        loop {
            let answer = self.transport.ask(&endpoint, &call, (what, ANSWER)).await?;
            if answer.status.is_success() {
                match stored_as(&answer).filter(|found| *found != expected) {
                    None => {
                        let listed = answer.headers.contains_key("oci-subject");
                        return Ok(ManifestPush { descriptor, listed });
                    }
                    // The tag names something else than was sent until the right bytes get through.
                    Some(found) => {
                        attempts.again(altered(&endpoint, expected, found)).await?;
                        continue;
                    }
                }
            }
            let (status, said) = (answer.status, answer.said);
            let again = disbelief(status, &said);
            let help = "the registry lacks something that the manifest names, or does not take this kind of manifest";
            let at = endpoint.place();
            let error = RegistryError::Refused { at, what, status, said, help };
            attempts.again(Failure::new(error, again)).await?;
        }
    }
}

/// The digest that the registry says it has stored something under (distribution-spec, "Pushing
/// Manifests").
fn stored_as(answer: &Answer) -> Option<Digest> {
    answer.header("docker-content-digest").and_then(|text| text.parse().ok())
}

fn altered(endpoint: &Endpoint, expected: Digest, found: Digest) -> Failure {
    let (at, attempts) = (endpoint.place(), 1);
    let (expected, found) = (Box::new(expected), Box::new(found));
    Failure::soon(RegistryError::Altered { at, expected, found, attempts })
}

/// The registry says that our digest is wrong, which we know to be right. docker-registry answers so
/// while a parallel push of the same blob has just emptied a link file that it is about to write.
fn disbelief(status: StatusCode, said: &Said) -> Again {
    let doubted = status == StatusCode::BAD_REQUEST && said.0.starts_with("DIGEST_INVALID");
    if doubted { Again::Soon } else { Again::Never }
}

fn stream(source: BlobFile, blob: &Descriptor) -> Payload {
    Payload::Blob { source, descriptor: blob.clone() }
}

fn verified(
    endpoint: &Endpoint,
    blob: &Descriptor,
    bytes: &[u8],
) -> Result<Vec<u8>, RegistryError> {
    let found = Digest::of(bytes);
    if found == blob.digest && bytes.len() as u64 == blob.size {
        return Ok(bytes.to_vec());
    }
    let at = endpoint.place();
    let reason = format!("its bytes have the digest {found} and the size {}", bytes.len());
    let (what, help) = (What::Blob(blob.digest), "report this as a fault of touchmark");
    Err(RegistryError::NotSent { at, what, reason, help })
}

struct Push<'a> {
    client: &'a RegistryClient,
    endpoint: &'a Endpoint,
    blob: &'a Descriptor,
    progress: &'a dyn TransferProgress,
    payload: Payload,
    mount: Option<String>,
}

impl Push<'_> {
    /// One go from the start: an upload that broke may even have arrived, so ask first each time.
    async fn attempt(&mut self) -> Result<BlobPush, Failure> {
        let head = self.endpoint.url(&format!("blobs/{}", self.blob.digest));
        if self.ask(&Call::new(Method::HEAD, head)).await?.status == StatusCode::OK {
            return Ok(BlobPush::Present);
        }
        if let Some(from) = self.mount.take()
            && let Some(how) = self.mount(from).await?
        {
            return Ok(how);
        }
        let begin = Call::new(Method::POST, self.endpoint.url("blobs/uploads/"));
        let session = self.ask(&begin).await?;
        self.send(session).await
    }

    /// distribution-spec, "Mounting a blob from another repository". `None`: it cannot be mounted, and
    /// no upload was begun.
    async fn mount(&mut self, from: String) -> Result<Option<BlobPush>, Failure> {
        let query = format!("blobs/uploads/?mount={}&from={from}", self.blob.digest);
        let mut call = Call::new(Method::POST, self.endpoint.url(&query));
        call.mount = Some(from);
        match self.ask(&call).await {
            Ok(answer) if answer.status == StatusCode::CREATED => Ok(Some(BlobPush::Mounted)),
            // "If a registry does not support cross-repository mounting …, it SHOULD return 202".
            Ok(answer) if answer.status == StatusCode::ACCEPTED => {
                self.send(answer).await.map(Some)
            }
            // We may not read that repository, or mounting is unknown here: the blob is sent instead.
            _ => Ok(None),
        }
    }

    /// The whole blob in one PUT to the place that the registry gave us.
    async fn send(&mut self, session: Answer) -> Result<BlobPush, Failure> {
        if session.status != StatusCode::ACCEPTED {
            return Err(self.refused(session.status, session.said, TRY_LATER).into());
        }
        let mut url = self.place(&session)?;
        url.query_pairs_mut().append_pair("digest", &self.blob.digest.to_string());
        let mut call = Call::new(Method::PUT, url);
        let kind = HeaderValue::from_static("application/octet-stream");
        call.headers.insert(CONTENT_TYPE, kind);
        call.payload = std::mem::replace(&mut self.payload, Payload::Nothing);
        let (progress, blob) = (self.progress, self.blob);
        let mut moved = |bytes| progress.advance(blob, bytes);
        let transport = &self.client.transport;
        let response = transport.send_once(self.endpoint, &call, &mut moved).await;
        self.payload = call.payload;
        let limit = (What::Blob(blob.digest), ANSWER);
        let answer = transport.read(self.endpoint, response?, limit).await?;
        match answer.status {
            status if status.is_success() => Ok(BlobPush::Uploaded),
            // The session is gone or has another offset; a new one may do.
            status @ (StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE) => {
                let error = self.refused(status, answer.said, TRY_LATER);
                Err(Failure::soon(error))
            }
            status @ StatusCode::PAYLOAD_TOO_LARGE => {
                let help = "the registry, or a proxy before it, limits the size of uploads: raise that limit, or make the layer smaller";
                Err(self.refused(status, answer.said, help).into())
            }
            status => {
                let again = disbelief(status, &answer.said);
                Err(Failure::new(self.refused(status, answer.said, TRY_LATER), again))
            }
        }
    }

    /// `Location`: absolute, or relative to where we asked; never from HTTPS to plain HTTP.
    fn place(&self, session: &Answer) -> Result<Url, Failure> {
        let location = session.header("location").and_then(|place| session.url.join(place).ok());
        let said = |text: &str| Said(text.into());
        let (fault, help) = match location {
            Some(url) if url.scheme() == "https" => return Ok(url),
            Some(url) if url.scheme() == "http" && self.endpoint.plain_http => return Ok(url),
            Some(_) => (
                said("it sends us to plain HTTP for the upload"),
                "the registry does not know that it is behind HTTPS: have its proxy set X-Forwarded-Proto",
            ),
            None => (said("its answer has no usable Location"), TRY_LATER),
        };
        Err(self.refused(session.status, fault, help).into())
    }

    async fn ask(&self, call: &Call) -> Result<Answer, Failure> {
        let limit = (What::Blob(self.blob.digest), ANSWER);
        self.client.transport.ask_once(self.endpoint, call, limit).await
    }

    fn refused(&self, status: StatusCode, said: Said, help: &'static str) -> RegistryError {
        let at = self.endpoint.place();
        let what = What::Blob(self.blob.digest);
        RegistryError::Refused { at, what, status, said, help }
    }
}
