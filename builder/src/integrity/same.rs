//! What is fetched twice in one build from an address that names one file for ever has to be the same.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{examine::unpacked, fault::IntegrityError};
use crate::{content::store::ContentStore, egress::RequestRecord, oci::digest::Digest};

/// Checks all requests of a build, in the order of its steps.
///
/// # Errors
/// [`IntegrityError::Twice`].
pub fn same<'a>(
    requests: impl Iterator<Item = &'a RequestRecord>,
    content: &ContentStore,
) -> Result<(), IntegrityError> {
    let mut known: BTreeMap<&str, &RequestRecord> = BTreeMap::new();
    for request in requests.filter(|request| request.is_dependency() && is_pinned(request)) {
        let first = match known.entry(&request.url) {
            Entry::Vacant(free) => {
                free.insert(request);
                continue;
            }
            Entry::Occupied(known) => *known.get(),
        };
        if let (Some(first_digest), Some(then)) = (first.sha256, request.sha256)
            && first_digest != then
            && !one_is_packed(content, first, request)
        {
            let url = request.url.clone();
            return Err(IntegrityError::Twice { url, first: first_digest, then });
        }
    }
    Ok(())
}

/// Does the address name a version or the file's own hash?
fn is_pinned(request: &RequestRecord) -> bool {
    request.purl.is_some() || request.url.contains("/by-hash/")
}

/// Is one of them the other with a content coding (RFC 9110, section 8.4.1)?
fn one_is_packed(content: &ContentStore, one: &RequestRecord, other: &RequestRecord) -> bool {
    let plain = |request: &RequestRecord| {
        let bytes = unpacked(content, request)?;
        Some(Digest::of(&bytes))
    };
    let plain = [plain(one).or(one.sha256), plain(other).or(other.sha256)];
    plain[0] == plain[1] || plain[0] == other.sha256 || plain[1] == one.sha256
}
