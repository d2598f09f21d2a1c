//! Request bodies: none, a few bytes, or a blob that streams from disk and is verified on its way.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{Stream, stream};
use reqwest::{Body, RequestBuilder, Response, header::CONTENT_LENGTH};

use super::{
    connection::{self, stalled},
    retry::Failure,
    route::Endpoint,
    transport::Limits,
};
use crate::{
    content::{error::ContentError, store::ContentStore, verified_blob::VerifiedBlob},
    oci::descriptor::Descriptor,
};

/// What a request carries. It can be sent again from the start.
#[derive(Debug)]
pub(super) enum Payload {
    Nothing,
    Bytes(Vec<u8>),
    Blob { source: BlobFile, descriptor: Descriptor },
}

/// Where a blob lies.
#[derive(Debug, Clone)]
pub(super) enum BlobFile {
    Store(ContentStore),
    Elsewhere(PathBuf),
}

/// Bytes read from disk and given to the connection at a time.
const PIECE: usize = 256 * 1024;

impl Payload {
    /// Sends the request with this body. `moved` is told how many bytes of a blob have gone since the
    /// last time.
    pub(super) async fn send(
        &self,
        request: RequestBuilder,
        endpoint: &Endpoint,
        limits: &Limits,
        moved: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Response, Failure> {
        let (request, size) = match self {
            Self::Nothing => (request, 0),
            Self::Bytes(bytes) => (request.body(bytes.clone()), 0),
            Self::Blob { descriptor, .. } => {
                // Given, so that the body goes as it is and not in chunks, which many registries refuse.
                (request.header(CONTENT_LENGTH, descriptor.size), descriptor.size)
            }
        };
        let gone = Arc::new(AtomicU64::new(0));
        let request = match self {
            Self::Blob { source, descriptor } => {
                let blob = open(source, descriptor)?;
                request.body(Body::wrap_stream(pieces(blob, descriptor.size, Arc::clone(&gone))))
            }
            _ => request,
        };
        let sending = request.send();
        tokio::pin!(sending);
        let tick = (limits.silence / 4).min(Duration::from_millis(100));
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            let answer = tokio::time::timeout(tick, &mut sending).await;
            let now = gone.load(Ordering::Relaxed);
            if now != seen {
                moved(now - seen);
                (seen, since) = (now, Instant::now());
            }
            if let Ok(answer) = answer {
                return answer.map_err(|error| connection::failure(endpoint, &error));
            }
            let digesting = size > 0 && now >= size;
            let patience = if digesting { limits.digestion } else { limits.silence };
            if since.elapsed() >= patience {
                return Err(stalled(endpoint, patience));
            }
        }
    }
}

fn open(source: &BlobFile, descriptor: &Descriptor) -> Result<VerifiedBlob, ContentError> {
    match source {
        BlobFile::Store(store) => store.open_verified(descriptor),
        BlobFile::Elsewhere(path) => match File::open(path) {
            Ok(file) => Ok(VerifiedBlob::foreign(file, descriptor)),
            Err(source) => Err(ContentError::Io { action: "read", path: path.clone(), source }),
        },
    }
}

/// The blob piece by piece. The last piece is held back until the digest is known to be right: a
/// damaged blob is never sent whole, so no registry can store it.
fn pieces(
    blob: VerifiedBlob,
    size: u64,
    gone: Arc<AtomicU64>,
) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
    stream::try_unfold((blob, 0), move |(mut blob, mut read)| {
        let gone = Arc::clone(&gone);
        async move {
            let step = tokio::task::spawn_blocking(move || {
                let mut piece = Vec::with_capacity(PIECE);
                Read::by_ref(&mut blob).take(PIECE as u64).read_to_end(&mut piece)?;
                read += piece.len() as u64;
                if read == size {
                    io::copy(&mut blob, &mut io::sink())?;
                }
                Ok::<_, io::Error>((piece, (blob, read)))
            });
            let (piece, state) = step.await.map_err(io::Error::other)??;
            gone.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok((!piece.is_empty()).then_some((piece, state)))
        }
    })
}
