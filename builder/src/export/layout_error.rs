//! What can be wrong with an OCI layout.

use std::{io, path::PathBuf};

use crate::{
    content::error::ContentError, oci::digest::Digest, registry::platform_choice::NoPlatform,
};

/// Why a layout could not be read or written. `place` is the layout as the user named it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "`place` is explained above, the messages say the rest")]
pub enum LayoutError {
    /// The content store failed.
    #[error(transparent)]
    Store(#[from] ContentError),
    /// The file system refused.
    #[error("cannot {action} {}: {source}\nhelp: check the path, the free space and your rights", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// There is something else, or nothing.
    #[error(
        "{place} is not an OCI layout: {reason}\n\
         help: a layout is what 'touchmark build -o type=oci' writes: oci-layout, index.json and blobs/"
    )]
    NotALayout { place: String, reason: String },
    /// A document in it contradicts the specification.
    #[error(
        "{place}: {what} is broken: {reason}\n\
         help: the layout is damaged or forged: do not use it, copy or export it again"
    )]
    Broken { place: String, what: String, reason: String },
    /// A blob that a document names is not there.
    #[error(
        "{place} lacks the blob {digest}, which one of its manifests names\n\
         help: the layout is incomplete: copy or export it again"
    )]
    MissingBlob { place: String, digest: Digest },
    /// A document over the limit.
    #[error(
        "{place}: {what} is larger than {max} bytes and was not read\n\
         help: no honest layout needs one so large: do not use it"
    )]
    TooLarge { place: String, what: String, max: u64 },
    /// No image of that name.
    #[error(
        "{place} has no image '{wanted}'; it has {}\nhelp: name one of these after the path, as in oci:DIR:TAG or oci:DIR@sha256:…",
        list(have)
    )]
    NoSuchImage { place: String, wanted: String, have: Vec<String> },
    /// More than one image, and none named.
    #[error("{place} holds {} images: {}\nhelp: name one of these after the path, as in oci:DIR:TAG or oci:DIR@sha256:…", have.len(), list(have))]
    Ambiguous { place: String, have: Vec<String> },
    /// An index without the wanted platform.
    #[error("{place} has {fault}\nhelp: choose one of these with --platform")]
    NoPlatform { place: String, fault: Box<NoPlatform> },
    /// A file shall be where a directory is.
    #[error(
        "{} is a directory, so no archive was written there\n\
         help: name a file, or write tar=false for an OCI layout as a directory", path.display()
    )]
    Directory { path: PathBuf },
    /// There is something at the destination that must not be overwritten.
    #[error(
        "{} is neither empty nor an OCI layout, so nothing was written there\n\
         help: choose another dest=, or remove it first", path.display()
    )]
    Occupied { path: PathBuf },
}

impl LayoutError {
    /// Wraps what the system said about `path`.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

fn list(have: &[String]) -> String {
    match have {
        [] => "none at all".into(),
        some if some.len() > 20 => format!("{}, …", some[..20].join(", ")),
        some => some.join(", "),
    }
}
