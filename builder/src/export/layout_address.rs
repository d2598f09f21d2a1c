//! `oci:DIR[:tag|@digest]` and `oci-archive:FILE[:tag|@digest]`: images that are not in a registry.

use std::{fmt, path::PathBuf};

use crate::oci::digest::Digest;

/// Where a layout is, and which image in it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutAddress {
    /// Directory or tar archive.
    pub form: LayoutForm,
    /// The directory or the archive.
    pub path: PathBuf,
    /// Which image; `None` where there is only one.
    pub image: Option<ImageSelector>,
}

/// The two forms of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayoutForm {
    /// A directory.
    Directory,
    /// An uncompressed tar archive of that directory.
    Archive,
}

/// Names an image in a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSelector {
    /// The annotation `org.opencontainers.image.ref.name`, or the full image name.
    Name(String),
    /// The digest of its manifest or index.
    Digest(Digest),
}

impl LayoutAddress {
    /// Reads an address; `None` when the text does not begin with `oci:` or `oci-archive:` and so
    /// names an image in a registry. A colon in the path is part of it when a slash follows.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (form, rest) = match text.split_once(':')? {
            ("oci", rest) => (LayoutForm::Directory, rest),
            ("oci-archive", rest) => (LayoutForm::Archive, rest),
            _ => return None,
        };
        let by_digest = rest
            .rsplit_once('@')
            .and_then(|(path, digest)| Some((path, ImageSelector::Digest(digest.parse().ok()?))));
        let by_name = || {
            let (path, name) = rest.rsplit_once(':')?;
            let is_name = !path.is_empty() && !name.is_empty() && !name.contains('/');
            is_name.then(|| (path, ImageSelector::Name(name.into())))
        };
        let named = by_digest.or_else(by_name);
        let path = named.as_ref().map_or(rest, |(path, _)| path);
        (!path.is_empty()).then(|| Self {
            form,
            path: path.into(),
            image: named.map(|(_, image)| image),
        })
    }
}

impl LayoutAddress {
    /// The same place in the form that it really has: people give a tar file as `oci:` and a directory
    /// as `oci-archive:`. Where nothing is, or both could be meant, the form stays.
    #[must_use]
    pub fn as_found(&self) -> Self {
        let form = match self.path.metadata() {
            Ok(found) if found.is_dir() => LayoutForm::Directory,
            Ok(found) if found.is_file() => LayoutForm::Archive,
            _ => self.form,
        };
        Self { form, ..self.clone() }
    }
}

impl fmt::Display for LayoutAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.form {
            LayoutForm::Directory => "oci",
            LayoutForm::Archive => "oci-archive",
        };
        write!(f, "{scheme}:{}", self.path.display())
    }
}

impl fmt::Display for ImageSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Digest(digest) => write!(f, "{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parse = |text: &str| {
            let address = LayoutAddress::parse(text)?;
            Some((address.to_string(), address.image.map(|image| image.to_string())))
        };
        let digest = Digest::of(b"").to_string();
        let some = |place: &str, image: Option<&str>| {
            Some((place.to_owned(), image.map(ToOwned::to_owned)))
        };
        assert_eq!(parse("oci:out"), some("oci:out", None));
        assert_eq!(parse("oci:/a/b:1.0"), some("oci:/a/b", Some("1.0")));
        assert_eq!(parse("oci:/a:b/c"), some("oci:/a:b/c", None));
        assert_eq!(parse(&format!("oci:x@{digest}")), some("oci:x", Some(&digest)));
        assert_eq!(parse("oci-archive:a.tar:v1"), some("oci-archive:a.tar", Some("v1")));
        assert_eq!(parse("oci-archive:a@b.tar"), some("oci-archive:a@b.tar", None));
        for text in ["debian:12", "registry.example/oci:1", "oci:", "oci"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
