//! What can go wrong between a source tree and a copy of it.

use std::{io, path::PathBuf};

/// Why files could not be read, selected or copied. [`SourceError::help`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A pattern of an ignore file, `--exclude` or a COPY source is malformed.
    #[error("the pattern '{pattern}' cannot be read: {reason}")]
    BadPattern {
        /// The pattern as written.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A line of an ignore file is malformed.
    #[error("{file}, line {line}: {cause}")]
    BadIgnoreFile {
        /// Name of the ignore file.
        file: String,
        /// Line from 1.
        line: usize,
        /// The malformed pattern.
        cause: Box<SourceError>,
    },
    /// A source does not exist.
    #[error("'{pattern}' was not found in {place}")]
    NotFound {
        /// The source as written.
        pattern: String,
        /// The context or stage that was searched.
        place: String,
    },
    /// A source exists, but an ignore rule hides it.
    #[error("'{pattern}' is hidden by the rule '{rule}' in line {line} of {file}")]
    Ignored {
        /// The source as written.
        pattern: String,
        /// The rule that hides it.
        rule: String,
        /// Its line from 1.
        line: usize,
        /// Name of the ignore file.
        file: String,
    },
    /// A symbolic link that was named as a source leads nowhere.
    #[error("'{pattern}' is a symbolic link to '{target}', which was not found in {place}")]
    DanglingLink {
        /// The source as written.
        pattern: String,
        /// Where it leads, as a path in `place`.
        target: String,
        /// The context or stage that was searched.
        place: String,
    },
    /// A name as owner of a copy that knows no users.
    #[error("'--link' copies onto an empty file system, where '{text}' is not known")]
    LinkedOwner {
        /// The owner as written.
        text: String,
    },
    /// A directory is needed where something else stands.
    #[error("'{path}' is not a directory, so nothing can be copied into it")]
    NotADirectory {
        /// The path in the destination.
        path: String,
    },
    /// A file would replace a directory.
    #[error("the file '{source_path}' cannot replace the directory '{path}'")]
    ReplacesDirectory {
        /// The path in the source.
        source_path: String,
        /// The path in the destination.
        path: String,
    },
    /// A file did not hold still, twice.
    #[error("'{path}' changed while it was being read")]
    Changed {
        /// The path in the source.
        path: String,
    },
    /// A block or character device, or another kind of file that no layer can take.
    #[error("'{path}' is a {kind}, which cannot be copied")]
    Unsupported {
        /// The path in the source.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A `--chmod` value is malformed.
    #[error("'{text}' is not a file mode")]
    BadMode {
        /// The value as written.
        text: String,
    },
    /// An owner is outside the ids that a build may use.
    #[error("'{path}' would belong to {uid}:{gid}, but a build has the ids 0 to 65535 only")]
    OwnerOutOfRange {
        /// The path in the destination.
        path: String,
        /// User id in the image.
        uid: u32,
        /// Group id in the image.
        gid: u32,
    },
    /// A user or group is not in the image.
    #[error("the {kind} '{name}' is not in {file} of the image")]
    UnknownName {
        /// `user` or `group`.
        kind: &'static str,
        /// The name as written.
        name: String,
        /// The file that was searched.
        file: &'static str,
    },
    /// A `user[:group]` text is malformed.
    #[error("'{text}' is not a user of the form user[:group] or uid[:gid]")]
    BadUser {
        /// The text as written.
        text: String,
    },
    /// A file that is read whole is too large.
    #[error("'{path}' is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// An archive could not be unpacked.
    #[error("the archive '{path}' cannot be unpacked: {reason}")]
    Archive {
        /// The path in the source.
        path: String,
        /// The reason.
        reason: String,
    },
    /// The system refused an operation.
    #[error("cannot {action} '{}': {}", path.display(), reason(cause))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
}

impl SourceError {
    /// What the user can do about it, in one line.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotFound { .. } => {
                "check the spelling; sources are relative to the root of the context or stage"
            }
            Self::Ignored { .. } => "add an exception ('!' and the path) below that rule",
            Self::DanglingLink { .. } => {
                "links are followed inside the context or stage only; copy the file itself there"
            }
            Self::NotADirectory { .. } | Self::ReplacesDirectory { .. } => {
                "choose another destination, or remove what stands there in an earlier RUN"
            }
            Self::Changed { .. } => "stop what is writing to the context, then build again",
            Self::Unsupported { .. } => "add it to .dockerignore",
            Self::LinkedOwner { .. } => "use numeric ids, or leave out --link",
            Self::BadMode { .. } => "write octal digits such as 0755, or u=rwX,go=rX",
            Self::UnknownName { .. } => "create it in an earlier RUN, or use numeric ids",
            Self::Io { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                "make it readable for the user who builds, or add it to .dockerignore"
            }
            _ => return None,
        })
    }

    /// Wraps the system's answer; use as `map_err(SourceError::io("read", path))`.
    pub(super) fn io<E: Into<io::Error>>(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |cause| Self::Io { action, path, cause: cause.into() }
    }
}

/// The system's message without Rust's `(os error N)`.
fn reason(cause: &io::Error) -> String {
    let text = cause.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}
