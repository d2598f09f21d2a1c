//! A blob of any size read to its end, keeping nothing: is it what its descriptor says?

use std::io::{self, Write as _};

use reqwest::{Method, StatusCode};

use super::{
    answer::{self, BodyFault},
    client::RegistryClient,
    connection::is_short,
    error::{RegistryError, What},
    pull::{refused, truncated},
    retry::{Attempts, Failure},
    route::{Access, Endpoint},
    transport::Call,
};
use crate::oci::{descriptor::Descriptor, digest::Hashing, reference::Reference};

impl RegistryClient {
    /// Reads a blob to its end and compares size and digest.
    ///
    /// # Errors
    /// [`RegistryError`]; at the first byte too many, too.
    pub async fn check_blob(
        &self,
        reference: &Reference,
        blob: &Descriptor,
    ) -> Result<(), RegistryError> {
        let endpoint = self.endpoint(reference, Access::Pull)?;
        let mut attempts = Attempts::new(self.transport.options.retry);
        loop {
            match self.check_once(&endpoint, blob).await {
                Ok(()) => return Ok(()),
                Err(failure) => attempts.again(failure).await?,
            }
        }
    }

    async fn check_once(&self, endpoint: &Endpoint, blob: &Descriptor) -> Result<(), Failure> {
        let (what, expected) = (What::Blob(blob.digest), blob.size);
        let call = Call::new(Method::GET, endpoint.url(&format!("blobs/{}", blob.digest)));
        let mut response = self.transport.send_once(endpoint, &call, &mut |_| {}).await?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            let answer = self.transport.read(endpoint, response, (what, 0)).await?;
            return Err(refused(endpoint, blob, status, answer.said).into());
        }
        let silence = endpoint.limits(&self.transport.options.limits).silence;
        let mut seen = Hashing::new(io::sink());
        loop {
            let piece = match answer::next(&mut response, silence).await {
                Ok(Some(piece)) => piece,
                Ok(None) if seen.count() == expected => break,
                Ok(None) => return Err(truncated(endpoint, blob, seen.count())),
                Err(BodyFault::Broken(error)) if is_short(&error) => {
                    return Err(truncated(endpoint, blob, seen.count()));
                }
                Err(fault) => return Err(self.transport.body_failure(endpoint, fault, (what, 0))),
            };
            // A sink takes everything.
            let _ = seen.write_all(&piece);
            if seen.count() > expected {
                let at = endpoint.place();
                return Err(RegistryError::TooLong { at, what, expected }.into());
            }
        }
        match seen.finish() {
            (_, found, _) if found == blob.digest => Ok(()),
            (_, found, _) => {
                let at = endpoint.place();
                Err(RegistryError::wrong_digest(at, what, blob.digest, found).into())
            }
        }
    }
}
