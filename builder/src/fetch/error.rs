//! Why something could not be fetched.

use std::{io, path::PathBuf};

use crate::{content::error::ContentError, oci::digest::Digest, remote::RemoteError};

/// A message says what happened; its second line, where there is one, what to do.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The policy does not allow it.
    #[error("no connection to '{host}': {reason}\nhelp: {remedy}")]
    Refused {
        /// Host, with its port where that is not the scheme's.
        host: String,
        /// Why.
        reason: String,
        /// The lines of the policy that would allow it, or what else to do.
        remedy: String,
    },
    /// The store does not have it, and nobody is to be asked.
    #[error(
        "{url} is not in the store\nhelp: build once without --offline, which brings what is missing"
    )]
    Offline {
        /// What was asked for.
        url: String,
    },
    /// The server answered with something else than the file.
    #[error("{url}: the server answered {status}{}", hint_of(*status))]
    Status {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// A redirect that is not followed.
    #[error("{url}: the redirect was not followed: {reason}")]
    Redirect {
        /// What was asked for.
        url: String,
        /// Why.
        reason: String,
    },
    /// No answer, or not all of it.
    #[error("{url}: {reason}")]
    Broken {
        /// What was asked for.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The file is larger than the policy allows.
    #[error("{url}: it is larger than {limit} bytes\nhelp: raise body-bytes in [network.limits]")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// The file is another one than was promised.
    #[error(
        "{url} is {actual}, but {expected} was asked for\nhelp: if the new file is meant, write --checksum={actual}"
    )]
    Checksum {
        /// What was asked for.
        url: String,
        /// As written.
        expected: Digest,
        /// As fetched.
        actual: Digest,
    },
    /// The repository's commit is another one than was promised.
    #[error(
        "{url}: {reference} is the commit {actual}, but {expected} was asked for\nhelp: if the new commit is meant, write its id"
    )]
    Commit {
        /// The repository.
        url: String,
        /// What was resolved.
        reference: String,
        /// As written.
        expected: String,
        /// As found.
        actual: String,
    },
    /// The repository has no such branch, tag or commit.
    #[error(
        "the repository {url} has no branch, tag or commit '{reference}'\nhelp: name a branch, a tag or a whole commit id that it has"
    )]
    NoReference {
        /// The repository.
        url: String,
        /// What was asked for.
        reference: String,
    },
    /// The commit has no such directory.
    #[error(
        "the repository {url} has no directory '{subdir}' in the commit {commit}\nhelp: check what stands behind the ':'"
    )]
    NoDirectory {
        /// The repository.
        url: String,
        /// What was asked for.
        subdir: String,
        /// Where.
        commit: String,
    },
    /// git could not do its work.
    #[error("the repository {url} cannot be {action}: {reason}{}", login(reason))]
    Git {
        /// The repository.
        url: String,
        /// `read` or `fetched`.
        action: &'static str,
        /// git's own words, without passwords.
        reason: String,
    },
    /// There is no git program.
    #[error("there is no git program to read {url}\nhelp: install git")]
    NoGit {
        /// The repository.
        url: String,
    },
    /// A submodule cannot be had.
    #[error("the submodule '{path}': {cause}")]
    Submodule {
        /// Its path.
        path: String,
        /// What happened.
        cause: Box<FetchError>,
    },
    /// A submodule's entry is not usable.
    #[error("the submodule '{path}' cannot be used: {reason}")]
    SubmoduleEntry {
        /// Its path.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// No HTTP client could be made.
    #[error("cannot make an HTTP client: {0}\nhelp: check the certificates under /etc/ssl/certs")]
    Client(String),
    /// A secret that holds a token is not text.
    #[error("the secret '{0}' is not a header's text")]
    Secret(String),
    /// See [`RemoteError`].
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// See [`ContentError`].
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The system refused an operation.
    #[error("{}: {cause}", path.display())]
    Io {
        /// On what.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
}

impl FetchError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::Io { path, cause }
    }
}

fn hint_of(status: u16) -> &'static str {
    match status {
        401 | 403 => {
            "\nhelp: give a token: --secret id=HTTP_AUTH_TOKEN_<host>,src=FILE, with the host's name"
        }
        404 | 410 => "\nhelp: check the address",
        _ => "",
    }
}

fn login(reason: &str) -> &'static str {
    // With the words before them: a port may have the same digits.
    let asks = ["could not read Username", "Authentication failed", "error: 403", "error: 401"];
    match asks.iter().any(|sign| reason.contains(sign)) {
        true => "\nhelp: give a token: --secret id=GIT_AUTH_TOKEN,src=FILE",
        false => "",
    }
}
