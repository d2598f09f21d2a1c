//! Why a step did not produce its result.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::shared::SourceFault;
use crate::{
    content::error::ContentError,
    dockerfile::Span,
    downloads::Breaches,
    egress::{EgressError, Refusal},
    emulation::Unrunnable,
    executor::ExecError,
    fetch::FetchError,
    graph::Origin,
    integrity::IntegrityError,
    layer::{pack::PackError, unpack::UnpackError},
    oci::{digest::Digest, reference::Reference},
    registry::error::RegistryError,
    snapshot::{MountError, SnapshotError},
    source::error::SourceError,
    trust::TrustError,
    worker::ConnectionError,
};

/// The failure of a build while it runs.
#[derive(Debug, thiserror::Error)]
pub enum SolveError {
    /// A RUN step ended with another code than 0.
    #[error("RUN ended with exit code {code}")]
    Exit {
        /// The process's exit code.
        code: u32,
        /// What the network refused to the step, first refusal first.
        refusals: Vec<Refusal>,
        /// Where the step's files lie, if the disk was full when it began or ended.
        full: Option<PathBuf>,
    },
    /// What was taken from elsewhere is not as `--locked` or `--offline` wants it.
    #[error(transparent)]
    Terms(#[from] Breaches),
    /// A failure at an instruction of the Dockerfile.
    #[error("{cause}")]
    At {
        /// Where in the Dockerfile.
        span: Span,
        /// The instruction as it is shown.
        text: String,
        /// What happened.
        cause: Box<SolveError>,
    },
    /// Several steps failed that do not need each other.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<Arc<SolveError>>),
    /// A layer of a base image cannot be had or unpacked.
    #[error("the base image {reference} cannot be used: {cause}")]
    Base {
        /// The image.
        reference: Reference,
        /// What happened.
        cause: Box<SolveError>,
    },
    /// A layer of a shared cache cannot be had, or is not what the cache says.
    #[error("the shared cache {name} does not give a layer that it names: {cause}")]
    Shared {
        /// The source's name.
        name: String,
        /// What happened.
        cause: SourceFault,
    },
    /// The machine failed another step, or the user interrupted the build.
    #[error("cancelled")]
    Cancelled,
    /// Something that no build may do.
    #[error("{what} is refused\nhelp: {help}")]
    Forbidden {
        /// The instruction with its flag.
        what: &'static str,
        /// What to do instead.
        help: &'static str,
    },
    /// See [`Unrunnable`].
    #[error(transparent)]
    Unrunnable(#[from] Unrunnable),
    /// A secret that the Dockerfile requires was not given.
    #[error("the secret '{0}' was not given\nhelp: give it: --secret id={0},src=FILE")]
    NoSecret(String),
    /// A step asks for what logs in with a mirror.
    #[error(
        "the secret '{0}' logs in with a mirror of the policy, and no step gets that\nhelp: give what the step needs under another id: --secret id=NAME,src=FILE"
    )]
    SecretOfMirror(String),
    /// An SSH agent that the Dockerfile requires was not given.
    #[error(
        "the SSH agent '{0}' was not given\nhelp: give it: --ssh {0} for the one at SSH_AUTH_SOCK, or --ssh {0}=KEYFILE"
    )]
    NoAgent(String),
    /// A secret with bytes that no environment variable can hold.
    #[error(
        "the secret '{0}' is not UTF-8 text, so it cannot be an environment variable\nhelp: mount it as a file: leave out env="
    )]
    SecretNotText(String),
    /// Something of the language that is not built yet.
    #[error("{what} is not supported yet")]
    Unsupported {
        /// The feature.
        what: String,
    },
    /// `--build-context` gives no files under this name.
    #[error("nothing is known about the named context '{0}'")]
    NoContext(String),
    /// `--checksum` of a file is no digest.
    #[error(
        "--checksum: '{0}' is not a digest\nhelp: write --checksum=sha256: and 64 hexadecimal digits"
    )]
    Checksum(String),
    /// An image of the graph was not looked up before.
    #[error("the base image {0} was not resolved")]
    Unresolved(Reference),
    /// A layer was asked of an empty stack.
    #[error("an empty image has no layer")]
    EmptyChain,
    /// A layer vanished from the store while the build used it.
    #[error("the layer {0} vanished from the store; run the build again")]
    LayerGone(Digest),
    /// A snapshot does not pack to the layer that it is recorded as.
    #[error("the snapshot of layer {expected} packs to {actual}; build with --no-cache")]
    LayerChanged {
        /// As recorded.
        expected: Digest,
        /// As packed.
        actual: Digest,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
    /// A layer's bytes are damaged.
    #[error("the layer cannot be read: {0}")]
    LayerBytes(io::Error),
    /// A layer could not be compressed while later steps ran.
    #[error(transparent)]
    Background(Arc<SolveError>),
    /// There is no room for a layer.
    #[error("the layer cannot be written: {0}")]
    NoRoom(io::Error),
    /// The local store cannot be used.
    #[error("{path}: {error}")]
    Store {
        /// Directory or file.
        path: String,
        /// The system's answer.
        error: io::Error,
    },
    /// A blocking task was ended by the runtime.
    #[error("a task ended before its work was done: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// A document could not be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// See [`ContentError`].
    #[error(transparent)]
    Content(#[from] ContentError),
    /// What killed builds left cannot be removed.
    #[error(transparent)]
    Worker(#[from] Arc<ConnectionError>),
    /// See [`EgressError`].
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// A step could not be made to trust the build's authority, or has left its certificate somewhere.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// What was fetched is not what its ecosystem says it is.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
    /// See [`FetchError`].
    #[error(transparent)]
    Fetch(Box<FetchError>),
    /// See [`ExecError`].
    #[error(transparent)]
    Exec(ExecError),
    /// See [`UnpackError`].
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// See [`PackError`].
    #[error(transparent)]
    Pack(#[from] PackError),
    /// See [`MountError`].
    #[error(transparent)]
    Mount(#[from] MountError),
    /// See [`RegistryError`].
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// See [`SnapshotError`].
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// See [`SourceError`].
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl From<RegistryError> for SolveError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl From<FetchError> for SolveError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(Box::new(error))
    }
}

impl From<ExecError> for SolveError {
    /// A step that was interrupted is a consequence, never the cause.
    fn from(error: ExecError) -> Self {
        match error {
            ExecError::Cancelled => Self::Cancelled,
            error => Self::Exec(error),
        }
    }
}

impl SolveError {
    /// Says where in the Dockerfile it happened.
    #[must_use]
    pub fn at(self, origin: &Origin) -> Self {
        match self {
            Self::At { .. } | Self::Cancelled => self,
            cause => {
                Self::At { span: origin.span, text: origin.text.clone(), cause: Box::new(cause) }
            }
        }
    }

    /// Is this only the consequence of another failure?
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// The shared cache that did not keep what it promised, where that is the cause.
    #[must_use]
    pub fn shared_source(&self) -> Option<&str> {
        match self {
            Self::Shared { name, .. } => Some(name),
            Self::At { cause, .. } | Self::Base { cause, .. } => cause.shared_source(),
            _ => None,
        }
    }

    /// What happened, without where.
    #[must_use]
    pub fn root(&self) -> &Self {
        match self {
            Self::At { cause, .. } | Self::Base { cause, .. } => cause.root(),
            other => other,
        }
    }

    /// Says which base image it is about.
    #[must_use]
    pub(super) fn of_base(self, reference: &Reference) -> Self {
        Self::Base { reference: reference.clone(), cause: Box::new(self) }
    }

    pub(super) fn layer(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoRoom(error),
            _ => Self::LayerBytes(error),
        }
    }

    pub(super) fn store(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::Store { path: path.display().to_string(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_step_is_not_the_cause_of_a_failure() {
        assert!(SolveError::from(ExecError::Cancelled).is_cancelled());
        assert!(!SolveError::from(ExecError::Request("x".into())).is_cancelled());
    }
}
