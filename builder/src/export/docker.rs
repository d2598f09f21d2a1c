//! Loading an image into a running Docker: its engine reads the archive of `docker load` over HTTP
//! (Docker Engine API, "Import images"). The archive is written while it is sent, so nothing lies on the
//! disk twice.

use std::{
    convert::Infallible,
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    Request,
    body::{Bytes, Frame, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    sync::mpsc,
    time::timeout,
};

use super::{ExportError, outputs::DockerEndpoint, stream::Stream};

/// An engine that does not take a connection for so long is not there.
const CONNECT: Duration = Duration::from_secs(10);
/// The most of an engine's answer that is read, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;
/// Bytes of the archive that are sent at a time.
const CHUNK: usize = 256 * 1024;

/// Why Docker has no image.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// Nobody listens where one was looked for.
    #[error(
        "no Docker answers: {tried}\n\
         help: start it, or name it by DOCKER_HOST=unix:///path/docker.sock or \
         --output type=docker,context=NAME\n\
         help: without Docker, write an archive with --output type=docker,dest=FILE, or load into \
         containerd with --output type=containerd"
    )]
    Unreachable {
        /// Each place with what was wrong there.
        tried: String,
    },
    /// The socket is there, and belongs to somebody else.
    #[error(
        "you may not use the Docker at {place}\n\
         help: become a member of the socket's group, mostly 'docker', and log in again\n\
         help: or pipe the image: touchmark build -o type=docker,dest=- … | sudo docker load"
    )]
    Forbidden {
        /// The socket.
        place: String,
    },
    /// The engine answered that it did not take the image.
    #[error("Docker at {place} did not take the image: {reason}")]
    Refused {
        /// The engine.
        place: String,
        /// Its words.
        reason: String,
    },
    /// The connection broke.
    #[error("the image could not be sent to the Docker at {place}: {reason}")]
    Broken {
        /// The engine.
        place: String,
        /// What happened.
        reason: String,
    },
}

impl fmt::Display for DockerEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// Both kinds of connection.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Is there an engine at one of these places? Asked before the build, so that it does not fail at its end.
pub(super) async fn check(endpoints: &[DockerEndpoint]) -> Result<(), DockerError> {
    connect(endpoints).await.map(drop)
}

/// Sends `image` to the first engine that answers and returns what it said.
pub(super) async fn load(
    image: &Stream,
    endpoints: &[DockerEndpoint],
) -> Result<Vec<String>, ExportError> {
    let (connection, endpoint) = connect(endpoints).await?;
    let place = endpoint.to_string();
    let broken = |reason: &dyn fmt::Display| DockerError::Broken {
        place: endpoint.to_string(),
        reason: reason.to_string(),
    };
    let (mut sender, driver) =
        http1::handshake(TokioIo::new(connection)).await.map_err(|error| broken(&error))?;
    let driver = tokio::spawn(driver);
    let (chunks, received) = mpsc::channel::<Bytes>(4);
    let image = image.clone();
    let writing = tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(CHUNK, Sending(chunks));
        image.write(&mut out)?;
        out.flush().map_err(|error| super::LayoutError::io("send", "the image")(error).into())
    });
    let body = stream::unfold(received, |mut received| async move {
        let chunk = received.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(chunk)), received))
    });
    let request = Request::post("/images/load?quiet=1")
        .header(header::HOST, "docker")
        .header(header::CONTENT_TYPE, "application/x-tar")
        .body(StreamBody::new(Box::pin(body)))
        .map_err(|error| broken(&error))?;
    let answer = sender.send_request(request).await;
    let written: Result<(), ExportError> = writing.await.map_err(|error| broken(&error))?;
    let answer = match (answer, written) {
        // An engine that has seen enough closes the stream; its words say more than the closed stream.
        (Ok(answer), _) => read(answer, &place).await?,
        (Err(error), Ok(())) => return Err(broken(&error).into()),
        (Err(_), Err(fault)) => return Err(fault),
    };
    driver.abort();
    Ok(answer)
}

/// The engine's answer: lines of JSON. Its status is 200 as soon as it begins to read, so a fault can
/// stand in any line.
async fn read(answer: hyper::Response<Incoming>, place: &str) -> Result<Vec<String>, DockerError> {
    #[derive(Deserialize)]
    struct Line {
        stream: Option<String>,
        error: Option<String>,
        message: Option<String>,
    }
    let refused = |reason: String| DockerError::Refused { place: place.into(), reason };
    let status = answer.status();
    let body = http_body_util::Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    let body = body
        .map_err(|error| DockerError::Broken { place: place.into(), reason: error.to_string() })?;
    let mut said = Vec::new();
    for line in body.to_bytes().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
        let fault = line.error.or(line.message.filter(|_| !status.is_success()));
        if let Some(fault) = fault {
            return Err(refused(harmless(&fault)));
        }
        said.extend(line.stream.map(|text| harmless(&text)));
    }
    match status.is_success() {
        true => Ok(said),
        false => Err(refused(format!("it answered {status}"))),
    }
}

/// Words from elsewhere on one line, without what would write on a terminal.
fn harmless(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(1000).collect()
}

async fn connect(
    endpoints: &[DockerEndpoint],
) -> Result<(Box<dyn Connection>, &DockerEndpoint), DockerError> {
    let mut tried = Vec::new();
    for endpoint in endpoints {
        let fault = match timeout(CONNECT, open(endpoint)).await {
            Ok(Ok(connection)) => return Ok((connection, endpoint)),
            Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(DockerError::Forbidden { place: endpoint.to_string() });
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".into(),
        };
        tried.push(format!("{endpoint}: {fault}"));
    }
    Err(DockerError::Unreachable { tried: tried.join("; ") })
}

async fn open(endpoint: &DockerEndpoint) -> io::Result<Box<dyn Connection>> {
    match endpoint {
        DockerEndpoint::Tcp(address) => Ok(Box::new(TcpStream::connect(address).await?)),
        DockerEndpoint::Unix(path) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let outside = outside(path).ok_or(error)?;
                Ok(Box::new(UnixStream::connect(outside).await?))
            }
            found => Ok(Box::new(found?)),
        },
    }
}

/// Where a path below `/run` is that was made after the worker began: the worker has its own `/run`, with
/// links to what was there before, and the host's as a hidden directory in it.
pub(super) fn outside(path: &Path) -> Option<PathBuf> {
    let below = path.strip_prefix("/run").or_else(|_| path.strip_prefix("/var/run")).ok()?;
    let hidden = fs::read_dir("/run").ok()?.flatten();
    let hidden = hidden.filter(|entry| entry.file_name().to_string_lossy().starts_with(".ro"));
    hidden.map(|entry| entry.path().join(below)).find(|path| path.exists())
}

/// Hands what is written to the connection.
struct Sending(mpsc::Sender<Bytes>);

impl Write for Sending {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(buffer));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
