//! The value of `--build-context NAME=VALUE`: what stands behind the name.

use std::path::PathBuf;

use super::{Remote, RemoteError};
use crate::oci::{digest::Digest, reference::Reference};

/// What stands behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedSource {
    /// A directory of this machine.
    Directory(PathBuf),
    /// An image of a registry.
    Image(ImageRef),
    /// An image of a directory with an OCI layout.
    Layout(LayoutRef),
    /// A repository, or a file over HTTP.
    Remote(Remote),
}

/// The registry in the references that stand for images of layouts: none that a name could lead to
/// (RFC 6761, section 6.4).
pub const LAYOUT_REGISTRY: &str = "oci-layout.invalid";

/// An image that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageRef {
    /// The empty file system.
    Scratch,
    /// This one.
    Named(Reference),
}

/// An image in an OCI layout.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LayoutRef {
    /// The directory.
    pub path: PathBuf,
    /// Which of its images.
    pub selector: Selector,
}

/// Which image of a layout.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// The one with this name, `latest` where none is given; a layout with one image needs no name.
    Tag(String),
    /// The one with this digest.
    Digest(Digest),
}

/// Why a value names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamedSourceError {
    /// An image's name is malformed.
    #[error("'{value}': {reason}")]
    Image {
        /// The value.
        value: String,
        /// What is wrong.
        reason: String,
    },
    /// An address is malformed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// It begins with a scheme that is not known.
    #[error(
        "'{value}' is neither a directory nor an address\nhelp: write a directory, docker-image://NAME, oci-layout://DIRECTORY[:TAG|@DIGEST], or the address of a repository or an archive"
    )]
    Unknown {
        /// The value.
        value: String,
    },
}

impl LayoutRef {
    /// The reference that stands for the image that the context `name` is.
    #[must_use]
    pub fn reference(name: &str) -> Option<Reference> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let plain = name.to_ascii_lowercase();
        let plain: String = plain.chars().map(|c| if fits(c) { c } else { '-' }).collect();
        let plain = plain.trim_matches('-');
        let digest = Digest::of(name.as_bytes()).hex();
        format!(
            "{LAYOUT_REGISTRY}/x{}/{}",
            &digest[..8],
            if plain.is_empty() { "x" } else { plain }
        )
        .parse::<Reference>()
        .ok()
        .map(|reference| reference.tagged("layout"))
    }
}

impl NamedSource {
    /// Reads a value.
    ///
    /// # Errors
    /// [`NamedSourceError`].
    pub fn parse(value: &str) -> Result<Self, NamedSourceError> {
        let image = |reason: String| NamedSourceError::Image { value: value.into(), reason };
        if let Some(name) = value.strip_prefix("docker-image://") {
            if name == "scratch" {
                return Ok(Self::Image(ImageRef::Scratch));
            }
            let reference: Reference = name.parse().map_err(|error| image(format!("{error}")))?;
            let tagged = match (reference.tag(), reference.digest()) {
                (None, None) => reference.tagged("latest"),
                _ => reference,
            };
            return Ok(Self::Image(ImageRef::Named(tagged)));
        }
        if let Some(rest) = value.strip_prefix("oci-layout://") {
            return layout(rest).map(Self::Layout).map_err(image);
        }
        if let Some(remote) = Remote::parse_context(value)? {
            return Ok(Self::Remote(remote));
        }
        if value.contains("://") || value.is_empty() {
            return Err(NamedSourceError::Unknown { value: value.into() });
        }
        Ok(Self::Directory(value.into()))
    }
}

/// `PATH`, `PATH:TAG`, `PATH@DIGEST`, `PATH:TAG@DIGEST`
fn layout(text: &str) -> Result<LayoutRef, String> {
    let (rest, digest) = match text.rsplit_once('@') {
        Some((rest, digest)) => {
            (rest, Some(digest.parse::<Digest>().map_err(|error| error.to_string())?))
        }
        None => (text, None),
    };
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, tag),
        _ => (rest, "latest"),
    };
    if path.is_empty() {
        return Err("it names no directory".into());
    }
    let selector = digest.map_or_else(|| Selector::Tag(tag.into()), Selector::Digest);
    Ok(LayoutRef { path: path.into(), selector })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value() {
        let parse = |value: &str| NamedSource::parse(value).unwrap();
        assert_eq!(parse("../x"), NamedSource::Directory("../x".into()));
        assert_eq!(parse("docker-image://scratch"), NamedSource::Image(ImageRef::Scratch));
        match parse("docker-image://alpine") {
            NamedSource::Image(ImageRef::Named(name)) => {
                assert_eq!(name.to_string(), "docker.io/library/alpine:latest");
            }
            other => panic!("{other:?}"),
        }
        let tag = |tag: &str| Selector::Tag(tag.into());
        for (value, path, selector) in [
            ("oci-layout:///a/b", "/a/b", tag("latest")),
            ("oci-layout://a:1.0", "a", tag("1.0")),
            ("oci-layout://a:8/b", "a:8/b", tag("latest")),
        ] {
            assert_eq!(
                parse(value),
                NamedSource::Layout(LayoutRef { path: path.into(), selector })
            );
        }
        let digest = Digest::of(b"x");
        assert_eq!(
            parse(&format!("oci-layout:///a:1@{digest}")),
            NamedSource::Layout(LayoutRef {
                path: "/a".into(),
                selector: Selector::Digest(digest)
            })
        );
        assert!(matches!(parse("https://h.example/a.tar.gz"), NamedSource::Remote(_)));
        for value in ["foo://x", "docker-image://A B", "oci-layout://:x", "oci-layout:///a@b"] {
            assert!(NamedSource::parse(value).is_err(), "{value}");
        }
    }
}
