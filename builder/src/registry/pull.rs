//! Blobs from a registry: streamed into the content store, resumed where they broke off, and never
//! kept with another digest than promised.

use std::{io::Write, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_RANGE, HeaderValue, RANGE},
};

use super::{
    answer::{self, BodyFault},
    client::RegistryClient,
    connection::is_short,
    error::{RegistryError, Said, What},
    progress::TransferProgress,
    retry::{Attempts, Failure},
    route::{Access, Endpoint},
    transport::Call,
};
use crate::{
    content::{
        error::ContentError, growing_blob::Growing, partial_blob::PartialBlob, store::ContentStore,
    },
    oci::{descriptor::Descriptor, digest::Digest, reference::Reference},
};

/// Blobs that are pulled at the same time.
pub const PARALLEL: usize = 4;
/// An attempt that brought so many bytes does not count as failed, in bytes.
const WORTH_IT: u64 = 1024 * 1024;
/// How often to look whether another process has finished the same download.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl RegistryClient {
    /// Brings a blob into the store, unless it is there. A download that broke off, in this process or
    /// in one that was killed, goes on where it stopped; a blob that another process is downloading is
    /// waited for.
    ///
    /// # Errors
    /// [`RegistryError`]; what has arrived stays for the next attempt, except when it is wrong.
    pub async fn pull_blob(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        store: &ContentStore,
        progress: &dyn TransferProgress,
    ) -> Result<(), RegistryError> {
        self.pull_blob_along(reference, blob, store, progress, None).await
    }

    /// As [`pull_blob`](Self::pull_blob), while somebody reads along at the other end of `growing`. Who reads has
    /// nothing where the blob was there already, or another process downloads it.
    ///
    /// # Errors
    /// As [`pull_blob`](Self::pull_blob).
    pub async fn pull_blob_along(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        store: &ContentStore,
        progress: &dyn TransferProgress,
        mut growing: Option<Growing>,
    ) -> Result<(), RegistryError> {
        let endpoint = self.endpoint(reference, Access::Pull)?;
        if !store.has(&blob.digest) {
            self.plugged(format_args!("{} of {reference}", blob.digest))?;
        }
        progress.start(blob);
        let pull = Pull { client: self, endpoint: &endpoint, blob, progress };
        // What a killed process left may have been damaged on disk since: once more from the start.
        let mut tries = 0;
        while let Some(mut partial) = pull.begin(store).await? {
            if let Some(growing) = growing.take() {
                partial.feed(growing)?;
            }
            let resumed = partial.offset() > 0;
            tries += 1;
            match pull.run(partial).await {
                Err(RegistryError::WrongDigest { .. }) if resumed && tries == 1 => {}
                other => {
                    other?;
                    break;
                }
            }
        }
        progress.done(blob);
        Ok(())
    }

    /// Brings several blobs into the store, some at a time; ends with the first that fails.
    ///
    /// # Errors
    /// As [`pull_blob`](Self::pull_blob).
    pub async fn pull_blobs(
        &self,
        reference: &Reference,
        blobs: &[Descriptor],
        store: &ContentStore,
        progress: &dyn TransferProgress,
    ) -> Result<(), RegistryError> {
        let pulls = blobs.iter().map(|blob| self.pull_blob(reference, blob, store, progress));
        let pulls: Vec<_> = pulls.collect();
        stream::iter(pulls).buffer_unordered(PARALLEL).try_collect().await
    }

    /// A small blob, such as a configuration or a bundle, of at most `max` bytes, verified.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn read_blob(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        max: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        self.plugged(format_args!("{} of {reference}", blob.digest))?;
        let endpoint = self.endpoint(reference, Access::Pull)?;
        let at = endpoint.place();
        let (what, expected) = (What::Blob(blob.digest), blob.size);
        if expected > max {
            return Err(RegistryError::TooLarge { at, what, max });
        }
        let mut attempts = Attempts::new(self.transport.options.retry);
        let bytes = loop {
            let call = Call::new(Method::GET, endpoint.url(&format!("blobs/{}", blob.digest)));
            let answer = self.transport.ask(&endpoint, &call, (what, expected)).await;
            let answer = match answer {
                Err(RegistryError::TooLarge { .. }) => {
                    return Err(RegistryError::TooLong { at, what, expected });
                }
                other => other?,
            };
            if answer.status != StatusCode::OK {
                return Err(refused(&endpoint, blob, answer.status, answer.said));
            }
            let found = answer.bytes.len() as u64;
            if found == expected {
                break answer.bytes;
            }
            attempts.again(truncated(&endpoint, blob, found)).await?;
        };
        match Digest::of(&bytes) {
            found if found == blob.digest => Ok(bytes),
            found => {
                let expected = blob.digest;
                Err(RegistryError::wrong_digest(at, what, expected, found))
            }
        }
    }
}

struct Pull<'a> {
    client: &'a RegistryClient,
    endpoint: &'a Endpoint,
    blob: &'a Descriptor,
    progress: &'a dyn TransferProgress,
}

impl Pull<'_> {
    /// The download as far as it is; `None` when the store has the blob.
    async fn begin(&self, store: &ContentStore) -> Result<Option<PartialBlob>, RegistryError> {
        let digest = &self.blob.digest;
        loop {
            if store.has(digest) {
                self.progress.had(self.blob, self.blob.size);
                return Ok(None);
            }
            match store.try_resume(digest)? {
                // Who held the lock before may have finished it between our look and now.
                Some(_) if store.has(digest) => {}
                Some(partial) => {
                    self.progress.had(self.blob, partial.offset().min(self.blob.size));
                    return Ok(Some(partial));
                }
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    async fn run(&self, mut partial: PartialBlob) -> Result<(), RegistryError> {
        let mut attempts = Attempts::new(self.client.transport.options.retry);
        if partial.offset() > self.blob.size {
            self.restart(&mut partial)?;
        }
        while partial.offset() < self.blob.size {
            let before = partial.offset();
            if let Err(failure) = self.attempt(&mut partial).await {
                if partial.offset() >= before + WORTH_IT {
                    attempts.reset();
                }
                attempts.again(failure).await?;
            }
        }
        let at = self.endpoint.place();
        match partial.commit() {
            Err(ContentError::WrongDigest { expected, found }) => {
                let what = What::Blob(expected);
                Err(RegistryError::wrong_digest(at, what, expected, found))
            }
            other => other.map(drop).map_err(Into::into),
        }
    }

    fn restart(&self, partial: &mut PartialBlob) -> Result<(), ContentError> {
        if partial.offset() > 0 {
            self.progress.restart(self.blob);
        }
        partial.restart()
    }

    /// One request, from where we are (distribution-spec, "Pulling blobs"; RFC 9110, 14).
    async fn attempt(&self, partial: &mut PartialBlob) -> Result<(), Failure> {
        let offset = partial.offset();
        let url = self.endpoint.url(&format!("blobs/{}", self.blob.digest));
        let mut call = Call::new(Method::GET, url);
        if offset > 0
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={offset}-"))
        {
            call.headers.insert(RANGE, range);
        }
        let transport = &self.client.transport;
        let response = transport.send_once(self.endpoint, &call, &mut |_| {}).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if starts_at(&response, offset) => {}
            // The server does not know ranges, or answers another one: all of it again.
            StatusCode::OK => self.restart(partial)?,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                self.restart(partial)?;
                return Err(truncated(self.endpoint, self.blob, 0));
            }
            status => {
                let limit = (What::Blob(self.blob.digest), 0);
                let answer = transport.read(self.endpoint, response, limit).await?;
                return Err(refused(self.endpoint, self.blob, status, answer.said).into());
            }
        }
        self.stream(response, partial).await
    }

    async fn stream(
        &self,
        mut response: Response,
        partial: &mut PartialBlob,
    ) -> Result<(), Failure> {
        let what = What::Blob(self.blob.digest);
        let transport = &self.client.transport;
        let silence = self.endpoint.limits(&transport.options.limits).silence;
        loop {
            let piece = match answer::next(&mut response, silence).await {
                Ok(Some(piece)) => piece,
                Ok(None) if partial.offset() == self.blob.size => return Ok(()),
                Ok(None) => return Err(truncated(self.endpoint, self.blob, partial.offset())),
                // A body that ends before its announced length is an error of the connection.
                Err(BodyFault::Broken(error)) if is_short(&error) => {
                    return Err(truncated(self.endpoint, self.blob, partial.offset()));
                }
                Err(fault) => {
                    return Err(transport.body_failure(self.endpoint, fault, (what, 0)));
                }
            };
            let expected = self.blob.size;
            if partial.offset() + piece.len() as u64 > expected {
                partial.restart()?;
                let at = self.endpoint.place();
                return Err(RegistryError::TooLong { at, what, expected }.into());
            }
            // To the page cache, which takes a piece in less time than a hand-over to another thread.
            partial.write_all(&piece).map_err(|source| ContentError::Io {
                action: "write",
                path: partial.path().to_owned(),
                source,
            })?;
            self.progress.advance(self.blob, piece.len() as u64);
        }
    }
}

/// `Content-Range: bytes <offset>-…`
fn starts_at(response: &Response, offset: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")))
}

pub(super) fn truncated(endpoint: &Endpoint, blob: &Descriptor, found: u64) -> Failure {
    let at = endpoint.place();
    let (what, expected, attempts) = (What::Blob(blob.digest), blob.size, 1);
    Failure::soon(RegistryError::Truncated { at, what, expected, found, attempts })
}

pub(super) fn refused(
    endpoint: &Endpoint,
    blob: &Descriptor,
    status: StatusCode,
    said: Said,
) -> RegistryError {
    let at = endpoint.place();
    let digest = blob.digest;
    if status == StatusCode::NOT_FOUND {
        return RegistryError::UnknownBlob { at, digest, status, said };
    }
    let help = "check that the registry works: it named this blob itself";
    RegistryError::Refused { at, what: What::Blob(digest), status, said, help }
}
