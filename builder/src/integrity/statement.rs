//! What one line of an index says about one file.

use super::digest_of::Hash;
use crate::purl::decode;

/// Which file a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// The file at this address, without fragment.
    Url(String),
    /// The file at an address whose path ends so, on whatever host.
    PathEnd(String),
    /// A file of this content, wherever it is.
    Content,
}

/// An index states a hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    /// Of which file.
    pub about: About,
    /// The hash.
    pub hash: Hash,
}

impl About {
    /// Is it about the file at `url`?
    #[must_use]
    pub fn names(&self, url: &str) -> bool {
        match self {
            Self::Url(known) => known == url,
            Self::PathEnd(end) => {
                let path = url.split(['?', '#']).next().unwrap_or_default();
                path.ends_with(end.as_str()) || decode(path).ends_with(end.as_str())
            }
            Self::Content => false,
        }
    }

    /// The file at `reference`, seen from the document at `base`.
    pub(super) fn at(base: &str, reference: &str) -> Option<Self> {
        let mut url = url::Url::parse(base).ok()?.join(reference).ok()?;
        url.set_fragment(None);
        Some(Self::Url(url.to_string()))
    }
}
