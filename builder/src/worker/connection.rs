//! The one way to talk to containerd: its v1 services over the worker's socket, in the namespace
//! `touchmark`. Only services that 1.6 to 2.x share are used.

use std::path::{Path, PathBuf};

use containerd_client::services::v1::{
    content_client::ContentClient, diff_client::DiffClient, images_client::ImagesClient,
    leases_client::LeasesClient, snapshots::snapshots_client::SnapshotsClient,
    version_client::VersionClient,
};
use tonic::{Code, Request, Status, metadata::MetadataValue, transport::Channel};

/// containerd's namespace for all that touchmark makes.
pub const NAMESPACE: &str = "touchmark";

/// The label that names the build process that made a container, lease or active snapshot; its value is a
/// [`ProcessIdentity`](super::ProcessIdentity).
pub const BUILDER_LABEL: &str = "touchmark/builder";

/// A shared connection; clones use the same channel.
#[derive(Debug, Clone)]
pub struct Connection {
    channel: Channel,
}

/// Why a call to containerd failed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// Nobody listens.
    #[error("cannot reach containerd at '{}': {source}\nhelp: run `touchmark worker start`", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the transport said.
        source: tonic::transport::Error,
    },
    /// containerd answered with an error.
    #[error("containerd could not {call}: {}{}", status.message(), remedy(status))]
    Refused {
        /// What was asked, as a verb and its object.
        call: String,
        /// The answer.
        status: Box<Status>,
    },
}

/// What to do when containerd went away in the middle of a call.
fn remedy(status: &tonic::Status) -> &'static str {
    let gone = ["transport error", "Connection refused", "Broken pipe"];
    if gone.iter().any(|words| status.message().contains(words)) {
        "\nhelp: the worker died meanwhile; run the command again, which starts it anew"
    } else {
        ""
    }
}

impl ConnectionError {
    /// A closure for `map_err` that names the call.
    pub(crate) fn call(what: impl Into<String>) -> impl FnOnce(Status) -> Self {
        let call = what.into();
        move |status| Self::Refused { call, status: Box::new(status) }
    }

    /// Whether containerd said that the thing is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.code() == Code::NotFound)
    }

    /// Whether containerd said that the thing is there already.
    #[must_use]
    pub fn is_already_there(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.code() == Code::AlreadyExists)
    }
}

impl Connection {
    /// Connects to a socket. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`ConnectionError::Unreachable`] when nobody listens.
    pub async fn open(socket: &Path) -> Result<Self, ConnectionError> {
        let unreachable =
            |source| ConnectionError::Unreachable { socket: socket.to_owned(), source };
        Ok(Self { channel: containerd_client::connect(socket).await.map_err(unreachable)? })
    }

    pub(crate) fn snapshots(&self) -> SnapshotsClient<Channel> {
        SnapshotsClient::new(self.channel.clone())
    }

    pub(crate) fn leases(&self) -> LeasesClient<Channel> {
        LeasesClient::new(self.channel.clone())
    }

    pub(crate) fn content(&self) -> ContentClient<Channel> {
        ContentClient::new(self.channel.clone())
    }

    pub(crate) fn images(&self) -> ImagesClient<Channel> {
        ImagesClient::new(self.channel.clone())
    }

    pub(crate) fn diffs(&self) -> DiffClient<Channel> {
        DiffClient::new(self.channel.clone())
    }

    pub(crate) fn version(&self) -> VersionClient<Channel> {
        VersionClient::new(self.channel.clone())
    }
}

/// `message` in touchmark's namespace.
pub(crate) fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let namespace = MetadataValue::from_static(NAMESPACE);
    request.metadata_mut().insert("containerd-namespace", namespace);
    request
}

/// `message` in touchmark's namespace, with a lease that holds what the call makes.
pub(crate) fn leased<T>(message: T, lease: &str) -> Request<T> {
    let mut request = request(message);
    if let Ok(lease) = MetadataValue::try_from(lease) {
        request.metadata_mut().insert("containerd-lease", lease);
    }
    request
}
