//! What the command line says about shared caches.

use std::{fmt, path::PathBuf, sync::Arc};

use touchmark_attest::{predicate::cache::CacheMode, sign::Signer, trust::Trust};

use crate::{
    layer::Compression,
    oci::{digest::Digest, reference::Reference},
};

/// The shared caches of one build.
#[derive(Clone, Default)]
pub struct SharedCache {
    /// Caches that are read; for a key that several have, the first counts.
    pub from: Vec<CacheSource>,
    /// Caches that are written.
    pub to: Vec<CacheTarget>,
    /// Whose caches are believed.
    pub trust: Trust,
    /// Who signs those that are written; nothing is written without one.
    pub signer: Option<Arc<dyn Signer>>,
}

impl fmt::Debug for SharedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, .. } = self;
        f.debug_struct("SharedCache").field("from", from).field("to", to).finish_non_exhaustive()
    }
}

impl SharedCache {
    /// Are all steps written somewhere, also those that left nothing in the image?
    #[must_use]
    pub fn wants_all(&self) -> bool {
        self.to.iter().any(|target| target.mode == CacheMode::Max)
    }
}

/// A cache that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSource {
    /// Where it is.
    pub place: CachePlace,
    /// The cache's manifest, where it is named by digest in a layout.
    pub digest: Option<Digest>,
    /// Cache mounts that are taken over where this machine has none of the name.
    pub mounts: Mounts,
}

/// Where a cache is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachePlace {
    /// A registry: a cache under its own name, or an image that a cache refers to.
    Registry(Reference),
    /// An OCI layout in a directory.
    Local(PathBuf),
}

impl fmt::Display for CachePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => write!(f, "{reference}"),
            Self::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A cache that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheTarget {
    /// Where to.
    pub place: TargetPlace,
    /// Which steps.
    pub mode: CacheMode,
    /// How their layers are compressed; `None` is as the image has them.
    pub compression: Option<Compression>,
    /// Which cache mounts.
    pub mounts: Mounts,
    /// `ignore-error=false`: the build fails where the cache cannot be written.
    pub needed: bool,
}

/// Where a cache goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPlace {
    /// Under a name of its own.
    Place(CachePlace),
    /// Beside the image, in every repository that it is pushed to.
    Inline,
}

impl fmt::Display for TargetPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(place) => place.fmt(f),
            Self::Inline => f.write_str("beside the image"),
        }
    }
}

/// Which cache mounts (`RUN --mount=type=cache`) are shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Mounts {
    /// None of them.
    #[default]
    None,
    /// All of them.
    All,
    /// Those with these ids.
    Named(Vec<String>),
}

impl Mounts {
    /// Is the cache mount with this id wanted?
    #[must_use]
    pub fn want(&self, id: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Named(ids) => ids.iter().any(|known| known == id),
        }
    }
}
