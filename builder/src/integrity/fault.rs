//! What ends a build.

use super::digest_of::Hash;
use crate::oci::digest::Digest;

/// An index of the build says otherwise of a file than what was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The address of the file.
    pub url: String,
    /// The address of the index.
    pub index: String,
    /// What the index states.
    pub stated: Hash,
    /// The same hash of what was fetched.
    pub found: Hash,
}

/// Fetched files that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntegrityError {
    /// See [`Contradiction`].
    #[error(
        "{url} is not the file that its index names\n  {index}: {stated}\n  fetched: {found}\n\
         help: a client that checks what it fetches refuses this file; find out who altered it on its way, or why the \
         mirror's index does not fit its files",
        url = .0.url, index = .0.index, stated = .0.stated, found = .0.found
    )]
    Contradicted(Box<Contradiction>),
    /// The same address, which names one file for ever, brought two.
    #[error(
        "{url} was fetched twice and was not the same\n  first: {first}\n  then: {then}\n\
         help: an address like this names one file for ever; if the mirror replaced it on purpose, build with --no-cache, \
         which fetches it once for all steps"
    )]
    Twice {
        /// The address.
        url: String,
        /// As it came first.
        first: Digest,
        /// As it came later.
        then: Digest,
    },
}
