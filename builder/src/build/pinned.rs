//! What the build took from elsewhere, as a lock file has it.

use std::collections::BTreeSet;

use super::BuildRequest;
use crate::{
    downloads::{Breach, Breaches, Lock, Terms, lock::LockedFile},
    graph::BaseImage,
    registry::client::RegistryClient,
    remote::LAYOUT_REGISTRY,
    solver::Solved,
    source::image::ResolvedImages,
};

/// Everything that is pinned, and what cannot be, each with the reason.
pub(super) fn pinned(
    request: &BuildRequest,
    images: &ResolvedImages,
    solved: &Solved,
) -> (Lock, BTreeSet<String>) {
    let mut lock = Lock::default();
    let mut open = BTreeSet::new();
    for image in images.iter().filter(|image| image.reference.registry() != LAYOUT_REGISTRY) {
        lock.images.insert(image.reference.to_string(), image.digest);
    }
    for input in request.fetched.iter().filter(|input| !input.uri.is_empty()) {
        let digest = Some(input.digest);
        let file = LockedFile { digest, size: None, commit: None, status: None, purl: None };
        lock.add(input.uri.clone(), file);
    }
    if let Some((uri, git)) = request.git.as_ref().and_then(|git| Some((git.locked_uri()?, git))) {
        let commit = Some(git.commit.clone());
        lock.add(uri, LockedFile { digest: None, size: None, commit, status: None, purl: None });
    }
    for request in solved.requests() {
        if !request.complete {
            let reason = request.incomplete_reason.as_deref().unwrap_or("it is not complete");
            open.insert(format!("{}: {reason}", request.url));
            continue;
        }
        let (purl, commit) = (request.purl.clone(), request.commit.clone());
        let file = LockedFile { digest: None, size: None, commit, status: None, purl };
        let file = match request.status {
            _ if request.is_dependency() || request.is_git_answer() => {
                LockedFile { digest: request.sha256, size: Some(request.size), ..file }
            }
            Some(status @ (404 | 410)) if request.method == "GET" => {
                LockedFile { status: Some(status), purl: None, ..file }
            }
            _ if file.commit.is_some() => file,
            _ => continue,
        };
        lock.add(request.url.clone(), file);
    }
    (lock, open)
}

/// Are these images as they are pinned?
pub(super) fn held(
    wanted: &[BaseImage],
    images: &ResolvedImages,
    terms: &Terms,
) -> Result<(), Breaches> {
    let found = wanted.iter().filter_map(|image| images.get(&image.reference, &image.platform));
    let check = |image: &crate::source::image::ResolvedImage| {
        terms.check_image(&image.reference.to_string(), image.digest).err()
    };
    let breaches: BTreeSet<Breach> = found.filter_map(check).collect();
    if breaches.is_empty() { Ok(()) } else { Err(Breaches(breaches.into_iter().collect())) }
}

/// Without a network: does the store have all of these images, and everything that is pinned?
pub(super) fn present(
    wanted: &[BaseImage],
    registry: &RegistryClient,
    request: &BuildRequest,
) -> Result<(), Breaches> {
    if !request.solve.terms.offline {
        return Ok(());
    }
    let names = wanted.iter().map(|image| image.reference.to_string());
    let gone = names.filter(|name| registry.documents().is_none_or(|known| !known.has(name)));
    let gone: BTreeSet<String> = gone.collect();
    let missing = |what: String| Breach::Missing { what };
    if gone.is_empty() {
        return Ok(());
    }
    Err(Breaches(gone.into_iter().map(missing).collect()))
}
