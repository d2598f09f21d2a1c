//! A repository and what is wanted of it, as BuildKit writes both: `URL#ref:subdirectory`, or
//! `URL?branch=…&subdir=…`.

use url::Url;

use super::{RemoteError, without_password};
use crate::purl::decode;

/// How git talks to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `https://`
    Https,
    /// `http://`
    Http,
    /// `git://`
    Git,
    /// `ssh://`, or `user@host:path`
    Ssh,
}

/// What the reference of an address may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RefKind {
    /// A branch, a tag, a full reference or a commit.
    #[default]
    Any,
    /// A branch.
    Branch,
    /// A tag.
    Tag,
}

/// A repository and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitAddress {
    /// How it is reached.
    pub transport: Transport,
    /// What git is told; may hold a password.
    url: String,
    /// Host, without user and port.
    pub host: String,
    /// Port, where the address has one.
    pub port: Option<u16>,
    /// Path on the host, with its leading slash but for `user@host:path`.
    pub path: String,
    /// Branch, tag, reference or commit; none is the repository's HEAD.
    pub reference: Option<String>,
    /// What `reference` may be.
    pub kind: RefKind,
    /// Directory in the repository, without slashes at its ends; empty is all of it.
    pub subdir: String,
    /// The beginning of the commit's id that must come out.
    pub commit: Option<String>,
    /// Is `.git` wanted too? None where the address does not say.
    pub keep_git_dir: Option<bool>,
    /// Are submodules wanted? None where the address does not say: then they are.
    pub submodules: Option<bool>,
}

impl GitAddress {
    /// The address of a repository as a URL; `text` is what `url` was made from.
    pub(super) fn of_url(text: &str, url: &Url) -> Result<Self, RemoteError> {
        let transport = match url.scheme() {
            "https" => Transport::Https,
            "http" => Transport::Http,
            "git" => Transport::Git,
            _ => Transport::Ssh,
        };
        let bare = text.split(['#', '?']).next().unwrap_or(text);
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let mut address =
            Self { port: url.port(), ..Self::bare(transport, bare, &host, url.path()) };
        address.fragment(&decode(url.fragment().unwrap_or_default()))?;
        for (key, value) in url.query_pairs() {
            address.query(&key, &value)?;
        }
        address.checked()
    }

    /// A repository of which nothing more is said.
    fn bare(transport: Transport, url: &str, host: &str, path: &str) -> Self {
        Self {
            transport,
            url: url.to_owned(),
            host: host.to_owned(),
            port: None,
            path: path.to_owned(),
            reference: None,
            kind: RefKind::Any,
            subdir: String::new(),
            commit: None,
            keep_git_dir: None,
            submodules: None,
        }
    }

    /// `user@host:path`; none where the text is something else.
    pub(super) fn of_scp(text: &str) -> Result<Option<Self>, RemoteError> {
        let (bare, fragment) = text.split_once('#').unwrap_or((text, ""));
        let word = |text: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            !text.is_empty() && !text.starts_with('-') && text.bytes().all(fits)
        };
        let parts = bare.split_once('@').and_then(|(user, rest)| {
            let (host, path) = rest.split_once(':')?;
            (word(user) && word(host) && !path.is_empty()).then_some((host, path))
        });
        let Some((host, path)) = parts else { return Ok(None) };
        let mut address = Self::bare(Transport::Ssh, bare, host, path);
        address.fragment(fragment)?;
        address.checked().map(Some)
    }

    /// What git is told to fetch from. It may hold a password: for git's environment only.
    #[must_use]
    pub fn url_with_credentials(&self) -> &str {
        &self.url
    }

    /// The repository's URL for messages and records.
    #[must_use]
    pub fn url(&self) -> String {
        without_password(&self.url)
    }

    /// `https://host[:port]`, for what is meant for this host alone; none where it is not HTTP.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        let scheme = match self.transport {
            Transport::Https => "https",
            Transport::Http => "http",
            Transport::Git | Transport::Ssh => return None,
        };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{scheme}://{}{port}", self.host))
    }

    /// Is the reference a whole commit id?
    #[must_use]
    pub fn is_commit(text: &str) -> bool {
        matches!(text.len(), 40 | 64)
            && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
    }

    /// The repository that a submodule names, relative to this one (gitmodules(5), "url").
    ///
    /// # Errors
    /// When it is no address of a repository.
    pub fn submodule(&self, url: &str) -> Result<Self, RemoteError> {
        let fault = || RemoteError::Value { what: "the address of a submodule", value: url.into() };
        let absolute = match url.starts_with("./") || url.starts_with("../") {
            false => url.to_owned(),
            true => {
                let mut base = self.url.trim_end_matches('/');
                let mut rest = url;
                loop {
                    if let Some(next) = rest.strip_prefix("./") {
                        rest = next;
                    } else if let Some(next) = rest.strip_prefix("../") {
                        base = base.rsplit_once('/').ok_or_else(fault)?.0;
                        rest = next;
                    } else {
                        break format!("{base}/{rest}");
                    }
                }
            }
        };
        let Some((scheme, _)) = absolute.split_once("://") else {
            return Self::of_scp(&absolute)?.ok_or_else(fault);
        };
        match scheme {
            "http" | "https" | "git" | "ssh" => Self::of_url(&absolute, &super::url(&absolute)?),
            _ => Err(fault()),
        }
    }

    /// The repository of a provenance, `git+URL`, at one commit and there a directory.
    ///
    /// # Errors
    /// When it is no address of a repository, or no commit.
    pub fn recorded(uri: &str, commit: &str, subdir: &str) -> Result<Self, RemoteError> {
        let fault = |what, value: &str| RemoteError::Value { what, value: value.into() };
        if !Self::is_commit(commit) {
            return Err(fault("a commit", commit));
        }
        let bare = uri.strip_prefix("git+").unwrap_or(uri);
        let none = || fault("the address of a repository", uri);
        let address = match bare.split_once("://") {
            None => Self::of_scp(bare)?.ok_or_else(none)?,
            Some(("http" | "https" | "git" | "ssh", _)) => Self::of_url(bare, &super::url(bare)?)?,
            Some(_) => return Err(none()),
        };
        let subdir = subdir.trim_matches('/').to_owned();
        Self { reference: Some(commit.to_owned()), subdir, ..address }.checked()
    }

    /// `ref`, `ref:subdirectory`, `:subdirectory`
    fn fragment(&mut self, fragment: &str) -> Result<(), RemoteError> {
        let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
        if !reference.is_empty() {
            self.reference = Some(reference.to_owned());
        }
        subdir.trim_matches('/').clone_into(&mut self.subdir);
        Ok(())
    }

    fn query(&mut self, key: &str, value: &str) -> Result<(), RemoteError> {
        match key {
            "ref" => self.name(RefKind::Any, value),
            "branch" => self.name(RefKind::Branch, value),
            "tag" => self.name(RefKind::Tag, value),
            "commit" | "checksum" => set("commit", &mut self.commit, value),
            "subdir" => {
                let mut subdir = Some(self.subdir.clone()).filter(|subdir| !subdir.is_empty());
                set("subdirectory", &mut subdir, value.trim_matches('/'))?;
                self.subdir = subdir.unwrap_or_default();
                Ok(())
            }
            "keep-git-dir" => flag(value).map(|value| self.keep_git_dir = Some(value)),
            "submodules" => flag(value).map(|value| self.submodules = Some(value)),
            _ => Err(RemoteError::Query { key: key.into() }),
        }
    }

    fn name(&mut self, kind: RefKind, value: &str) -> Result<(), RemoteError> {
        set("ref", &mut self.reference, value)?;
        self.kind = kind;
        Ok(())
    }

    /// Nothing in it may be taken for an option or a pattern by git (git-check-ref-format(1)).
    fn checked(self) -> Result<Self, RemoteError> {
        let odd = |text: &str| {
            text.starts_with('-')
                || text.contains("..")
                || text.contains(|c: char| c.is_control() || " ~^:?*[\\".contains(c))
        };
        if let Some(reference) = self.reference.as_ref().filter(|text| odd(text)) {
            return Err(RemoteError::Value { what: "a reference", value: reference.clone() });
        }
        let hex = |text: &String| text.bytes().all(|b| b.is_ascii_hexdigit()) && text.len() <= 64;
        if let Some(commit) = self.commit.as_ref().filter(|text| !hex(text)) {
            return Err(RemoteError::Value { what: "a commit", value: commit.clone() });
        }
        if self.subdir.split('/').any(|part| part == "..") || self.subdir.contains('\0') {
            return Err(RemoteError::Value { what: "a directory", value: self.subdir });
        }
        if self.path.contains(char::is_control) || self.path.starts_with('-') {
            return Err(RemoteError::Value { what: "a path", value: self.path });
        }
        Ok(self)
    }
}

fn set(what: &'static str, place: &mut Option<String>, value: &str) -> Result<(), RemoteError> {
    match place {
        Some(one) if one != value => {
            Err(RemoteError::Conflict { what, one: one.clone(), other: value.into() })
        }
        _ => {
            *place = Some(value.to_owned()).filter(|value| !value.is_empty());
            Ok(())
        }
    }
}

fn flag(value: &str) -> Result<bool, RemoteError> {
    match value.to_ascii_lowercase().as_str() {
        "" | "1" | "t" | "true" => Ok(true),
        "0" | "f" | "false" => Ok(false),
        _ => Err(RemoteError::Value { what: "true or false in the query", value: value.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Remote, *};

    fn git(text: &str) -> GitAddress {
        match Remote::parse_context(text) {
            Ok(Some(Remote::Git(git))) => git,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn fault(text: &str) -> String {
        Remote::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn fragments_and_queries_say_the_same() {
        for text in [
            "https://git.example/a.git#v1:sub/dir/",
            "https://git.example/a.git?ref=v1&subdir=/sub/dir",
            "https://git.example/a.git?subdir=sub/dir#v1",
        ] {
            let git = git(text);
            assert_eq!(git.url(), "https://git.example/a.git", "{text}");
            assert_eq!(
                (git.reference.as_deref(), git.subdir.as_str(), git.kind),
                (Some("v1"), "sub/dir", RefKind::Any),
                "{text}"
            );
        }
        let all =
            git("https://h.example/a.git?tag=v1&commit=abc123&keep-git-dir=1&submodules=false");
        assert_eq!((all.kind, all.commit.as_deref()), (RefKind::Tag, Some("abc123")));
        assert_eq!((all.keep_git_dir, all.submodules), (Some(true), Some(false)));
        assert_eq!(git("github.com/a/b").url(), "https://github.com/a/b");
        assert_eq!(git("git@h.example:a/b.git#:x").subdir, "x");
    }

    #[test]
    fn a_recorded_repository_is_asked_for_its_commit() {
        let commit = "ab".repeat(20);
        let read = |uri: &str| GitAddress::recorded(uri, &commit, "/sub/");
        for (uri, url) in [
            ("git+https://git.example/a", "https://git.example/a"),
            ("git+ssh://git@git.example/a.git", "ssh://git@git.example/a.git"),
            ("git+git@git.example:a.git", "git@git.example:a.git"),
        ] {
            let git = read(uri).unwrap();
            assert_eq!((git.url().as_str(), git.subdir.as_str()), (url, "sub"));
            assert_eq!(git.reference.as_deref(), Some(commit.as_str()));
        }
        for uri in ["git+file:///srv/a.git", "git+/srv/a.git", "git+ext::sh -c x", ""] {
            assert!(read(uri).is_err(), "{uri}");
        }
        assert!(GitAddress::recorded("git+https://git.example/a", "main", "").is_err());
        assert!(GitAddress::recorded("git+https://git.example/a", &commit, "../x").is_err());
    }

    #[test]
    fn contradictions_and_oddities_are_refused() {
        assert_eq!(
            fault("https://h.example/a.git?branch=x#y"),
            "the repository's address names its ref twice, as 'y' and as 'x'"
        );
        assert_eq!(
            fault("https://h.example/a.git?depth=1"),
            "the repository's query has the unknown key 'depth'\nhelp: the keys are ref, tag, branch, \
             commit, checksum, subdir, keep-git-dir and submodules"
        );
        for text in [
            "https://h.example/a.git#--upload-pack=x",
            "https://h.example/a.git#a..b",
            "https://h.example/a.git#main:../..",
            "https://h.example/a.git?commit=xyz",
            "https://h.example/a.git?keep-git-dir=maybe",
            "https://h.example/a.git#a%0ab",
        ] {
            assert!(Remote::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_submodule_is_found_from_its_parent() {
        let parent = git("https://h.example/team/a.git");
        let at = |url: &str| parent.submodule(url).map(|git| git.url());
        assert_eq!(at("../b.git").unwrap(), "https://h.example/team/b.git");
        assert_eq!(at("./b").unwrap(), "https://h.example/team/a.git/b");
        assert_eq!(at("https://o.example/b").unwrap(), "https://o.example/b");
        assert_eq!(at("git@o.example:b").unwrap(), "git@o.example:b");
        for url in ["/etc/x", "file:///etc/x", "ext::sh -c x", "-x"] {
            assert!(at(url).is_err(), "{url}");
        }
    }
}
