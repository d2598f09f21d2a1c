//! Image references (distribution `reference` grammar, with Docker's short forms): `debian`,
//! `registry.example/team/app:1.2@sha256:…`.

use std::{fmt, str::FromStr};

use super::digest::Digest;

/// A registry, a repository in it, and a tag or a digest or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not an image reference: {reason}")]
pub struct ReferenceError {
    text: String,
    reason: &'static str,
}

const DOCKER_HUB: &str = "docker.io";

impl Reference {
    /// Host name and port of the registry; Docker's hub is `docker.io`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path in the registry, with Docker's `library/` made explicit.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag as given, if any.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest as given, if any.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What a registry is asked for: the digest where there is one, else the tag, else `latest`.
    #[must_use]
    pub fn selector(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_else(|| "latest".into()),
        }
    }

    /// The same repository at this digest, without a tag.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same repository at this tag, without a digest.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Self {
        Self { tag: Some(tag.into()), digest: None, ..self.clone() }
    }

    /// The same image fetched from another place: `location` is `host[:port][/path]`, put in front of
    /// the repository (a policy's `mirror`).
    #[must_use]
    pub fn mirrored(&self, location: &str) -> Self {
        let (registry, prefix) = location.split_once('/').unwrap_or((location, ""));
        let repository = match prefix.trim_matches('/') {
            "" => self.repository.clone(),
            prefix => format!("{prefix}/{}", self.repository),
        };
        Self { registry: registry.into(), repository, ..self.clone() }
    }

    /// Registry and repository without tag or digest.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let fault =
            |reason| ReferenceError { text: text.chars().take(300).collect::<String>(), reason };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest
                    .parse::<Digest>()
                    .map_err(|_| fault("after '@' stands sha256: and 64 hex digits"))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(fault("a tag is up to 128 letters, digits, '_', '.' and '-'"));
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, path)) if is_host(first) => (first, path),
            _ => (DOCKER_HUB, name),
        };
        let registry = if registry == "index.docker.io" { DOCKER_HUB } else { registry };
        let library = registry == DOCKER_HUB && !path.contains('/');
        let longest = if library { 255 - "library/".len() } else { 255 };
        if path.is_empty() || path.len() > longest || !path.split('/').all(is_component) {
            return Err(fault(
                "a repository name is lower-case letters and digits, parted by '.', '_', '-' or '/'",
            ));
        }
        Ok(Self {
            registry: registry.into(),
            repository: if library { format!("library/{path}") } else { path.into() },
            tag: tag.map(Into::into),
            digest,
        })
    }
}

fn is_host(text: &str) -> bool {
    let allowed =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
    (text == "localhost" || text.contains(['.', ':'])) && text.bytes().all(allowed)
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&text.len())
        && word(text.as_bytes()[0])
        && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    word(*first)
        && word(*last)
        && bytes.iter().all(|b| word(*b) || matches!(b, b'.' | b'_' | b'-'))
        && !["..", "._", "_.", "-.", ".-", "_-", "-_", "___"].iter().any(|bad| text.contains(bad))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(text: &str) -> String {
        text.parse::<Reference>().unwrap().to_string()
    }

    #[test]
    fn short_forms_become_full() {
        assert_eq!(full("debian"), "docker.io/library/debian");
        assert_eq!(full("debian:bookworm"), "docker.io/library/debian:bookworm");
        assert_eq!(full("team/app"), "docker.io/team/app");
        assert_eq!(full("localhost/app"), "localhost/app");
        assert_eq!(full("127.0.0.1:5000/app:1"), "127.0.0.1:5000/app:1");
        let digest = Digest::of(b"");
        assert_eq!(
            full(&format!("registry.example/a/b__c:v1@{digest}")),
            format!("registry.example/a/b__c:v1@{digest}")
        );
    }

    #[test]
    fn faults_say_what_a_reference_is() {
        let longest = "a".repeat(247);
        assert_eq!(full(&full(&longest)), full(&longest));
        assert!(format!("{longest}a").parse::<Reference>().is_err());
        for text in ["", "Debian", "a//b", "a:", "a:-x", "a@sha256:1", "-a", "a-", "a..b", "x/../y"]
        {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
        assert_eq!(
            "Debian".parse::<Reference>().unwrap_err().to_string(),
            "'Debian' is not an image reference: a repository name is lower-case letters and digits, \
             parted by '.', '_', '-' or '/'"
        );
    }

    #[test]
    fn a_mirror_takes_the_place_of_the_registry() {
        let reference: Reference = "debian:12".parse().unwrap();
        assert_eq!(
            reference.mirrored("registry.example:5000/hub").to_string(),
            "registry.example:5000/hub/library/debian:12"
        );
    }
}
