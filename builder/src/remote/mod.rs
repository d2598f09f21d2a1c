//! Addresses that files are fetched from: `git_address` (a repository with what is wanted of it),
//! `named_source` (the value of `--build-context`). Pure: nothing is looked up.

mod git_address;
mod named_source;

pub use git_address::{GitAddress, RefKind, Transport};
pub use named_source::{
    ImageRef, LAYOUT_REGISTRY, LayoutRef, NamedSource, NamedSourceError, Selector,
};

pub use url::Url;

/// What an address leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// A git repository.
    Git(GitAddress),
    /// A file over HTTP.
    Http(Url),
}

/// Why a text that looks like an address is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// It is no URL.
    #[error("'{text}' is not an address: {reason}")]
    Malformed {
        /// The text, without a password.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// A key of a repository's query is not known.
    #[error(
        "the repository's query has the unknown key '{key}'\nhelp: the keys are ref, tag, branch, commit, checksum, subdir, keep-git-dir and submodules"
    )]
    Query {
        /// The key.
        key: String,
    },
    /// Two parts of the address say different things.
    #[error("the repository's address names its {what} twice, as '{one}' and as '{other}'")]
    Conflict {
        /// `ref` or `subdirectory`.
        what: &'static str,
        /// The first.
        one: String,
        /// The second.
        other: String,
    },
    /// A value that git would take for something else.
    #[error("'{value}' is not {what} of a repository")]
    Value {
        /// With its article.
        what: &'static str,
        /// The value.
        value: String,
    },
}

impl Remote {
    /// What a text of the Dockerfile or of the command line leads to; `None` when it is a path. An address
    /// of HTTP is a repository when its path ends in `.git`; `user@host:path` is one over SSH.
    ///
    /// # Errors
    /// [`RemoteError`] when it begins like an address and is none.
    pub fn parse(text: &str) -> Result<Option<Self>, RemoteError> {
        match text.split_once("://") {
            Some(("http" | "https", _)) => {
                let url = url(text)?;
                match url.path().ends_with(".git") {
                    true => GitAddress::of_url(text, &url).map(|git| Some(Self::Git(git))),
                    false => Ok(Some(Self::Http(url))),
                }
            }
            Some(("git" | "ssh", _)) => {
                GitAddress::of_url(text, &url(text)?).map(|git| Some(Self::Git(git)))
            }
            Some(_) => Ok(None),
            None => Ok(GitAddress::of_scp(text)?.map(Self::Git)),
        }
    }

    /// The same for a build context, where `github.com/…` may stand without its scheme.
    ///
    /// # Errors
    /// See [`Remote::parse`].
    pub fn parse_context(text: &str) -> Result<Option<Self>, RemoteError> {
        match text.starts_with("github.com/") {
            true => {
                let text = format!("https://{text}");
                GitAddress::of_url(&text, &url(&text)?).map(|git| Some(Self::Git(git)))
            }
            false => Self::parse(text),
        }
    }

    /// Is it fetched over the network by ADD, rather than a path? Also when it is malformed.
    #[must_use]
    pub fn is_address(text: &str) -> bool {
        !matches!(Self::parse(text), Ok(None))
    }
}

fn url(text: &str) -> Result<Url, RemoteError> {
    let fault = |reason: String| RemoteError::Malformed { text: without_password(text), reason };
    if text.len() > 8192 || text.contains(char::is_control) {
        return Err(fault("it is longer than 8192 bytes, or not printable".into()));
    }
    let url = Url::parse(text).map_err(|error| fault(error.to_string()))?;
    match url.host_str() {
        Some(host) if !host.is_empty() && !host.starts_with('-') => Ok(url),
        _ => Err(fault("it has no host".into())),
    }
}

/// The text of an address without its password, for messages and records.
#[must_use]
pub fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) if scheme != "ssh" || rest[..at].contains(':') => {
            format!("{scheme}://{}", &rest[at + 1..])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> &'static str {
        match Remote::parse_context(text) {
            Ok(None) => "path",
            Ok(Some(Remote::Git(_))) => "git",
            Ok(Some(Remote::Http(_))) => "http",
            Err(_) => "fault",
        }
    }

    #[test]
    fn an_address_is_told_from_a_path() {
        for (text, expected) in [
            (".", "path"),
            ("./github.com/a/b", "path"),
            ("dir.git", "path"),
            ("ftp://files.example/x", "path"),
            ("C:/x", "path"),
            ("github.com/a/b", "git"),
            ("github.com/a/b#v1", "git"),
            ("https://git.example/a.git", "git"),
            ("https://git.example/a.git#v1:sub", "git"),
            ("https://git.example/a.git?ref=v1", "git"),
            ("http://git.example/a", "http"),
            ("https://git.example/a#v1", "http"),
            ("https://files.example/a.git.tar", "http"),
            ("git://git.example/a", "git"),
            ("ssh://git@git.example:22/a", "git"),
            ("git@git.example:a/b.git#main", "git"),
            ("https://", "fault"),
            ("git://-x/a", "fault"),
            ("https://git.example/a.git?x=1", "fault"),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
        assert!(!Remote::is_address("github.com/a/b"), "ADD takes it for a path");
    }

    #[test]
    fn a_password_is_not_told() {
        for (text, shown) in [
            ("https://u:p@h.example/a", "https://h.example/a"),
            ("https://token@h.example/a?x@y", "https://h.example/a?x@y"),
            ("ssh://git@h.example/a", "ssh://git@h.example/a"),
            ("ssh://git:p@h.example/a", "ssh://h.example/a"),
            ("git@h.example:a", "git@h.example:a"),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }
}
