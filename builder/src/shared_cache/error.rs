//! Why a shared cache is not used, or not written.

use std::{io, time::Duration};

use touchmark_attest::{
    bundle::BundleError, image_digest::ImageDigestError, predicate::TimestampError,
    sign::SignError, statement::StatementError,
};

use super::index::IndexError;
use crate::{
    content::error::ContentError,
    export::layout_error::LayoutError,
    registry::error::RegistryError,
    solver::{cache_archive::CacheArchiveError, error::SolveError},
};

/// What is wrong with a cache. None of it fails a build by itself.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Nobody wrote it yet.
    #[error("there is none yet\nhelp: a build with --cache-to writes it")]
    Missing,
    /// It does not answer in time.
    #[error("it was not read within {} seconds\nhelp: check that what it is kept in works", .0.as_secs())]
    Slow(Duration),
    /// There is something else.
    #[error("it is {0}\nhelp: name what a touchmark build wrote with --cache-to")]
    Other(String),
    /// Nobody is trusted.
    #[error(
        "no key is trusted to sign caches here\nhelp: give the build's own key with --sign-key, or \
         add to the policy: [cache] trust = [{{ key = \"FILE.pub\" }}]"
    )]
    NoTrust,
    /// Nobody stands for it.
    #[error(
        "it is not signed, and whoever can write there could put anything into your image\n\
         help: write it anew with --cache-to and a key"
    )]
    Unsigned,
    /// Somebody else stands for it.
    #[error(
        "no key that is trusted here signed it\n{looked}help: if you trust who wrote it, add their \
         key to the policy: [cache] trust = [{{ key = \"FILE.pub\" }}]"
    )]
    Untrusted {
        /// What stands beside it, a line each.
        looked: String,
    },
    /// Its index contradicts itself or the manifest.
    #[error("its index cannot be used: {0}\nhelp: write it anew with --cache-to")]
    Index(#[from] IndexError),
    /// See [`RegistryError`].
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// See [`LayoutError`].
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// See [`SolveError`].
    #[error(transparent)]
    Solve(Box<SolveError>),
    /// See [`ContentError`].
    #[error(transparent)]
    Content(#[from] ContentError),
    /// See [`CacheArchiveError`].
    #[error(transparent)]
    Mounts(#[from] CacheArchiveError),
    /// `type=inline` without an image in a registry.
    #[error(
        "the image is not pushed, so nothing can be kept beside it\nhelp: push it, or use \
         --cache-to type=registry or type=local"
    )]
    NotPushed,
    /// No key signs it.
    #[error("no key signs it, and nobody would read it\nhelp: give one with --sign-key")]
    NoSigner,
    /// The key failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A statement cannot be made.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A bundle cannot be made.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A digest that is none.
    #[error(transparent)]
    Digest(#[from] ImageDigestError),
    /// The machine's clock is out of range.
    #[error(transparent)]
    Clock(#[from] TimestampError),
    /// A document could not be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// An inventory could not be compressed.
    #[error("an inventory cannot be written: {0}")]
    Inventory(io::Error),
    /// A blocking task was ended by the runtime.
    #[error("a task ended before its work was done: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<RegistryError> for CacheError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::UnknownImage { .. } => Self::Missing,
            error => Self::Registry(Box::new(error)),
        }
    }
}

impl From<SolveError> for CacheError {
    fn from(error: SolveError) -> Self {
        Self::Solve(Box::new(error))
    }
}
