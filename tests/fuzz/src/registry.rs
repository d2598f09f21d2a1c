//! What a registry answers: manifests and indexes with the type that they are served as (the first
//! line), and challenges.

use touchmark_builder::{
    oci::digest::Digest,
    registry::{challenge::Challenge, document::Resolved, platform_choice::select_platform},
};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (first, rest) = bytes.split_at(end);
    let first = std::str::from_utf8(first).ok();
    for challenge in first.map(Challenge::parse).unwrap_or_default() {
        if let Challenge::Bearer(bearer) = challenge {
            assert!(!bearer.realm.is_empty());
        }
    }
    match Resolved::read(first.filter(|kind| !kind.is_empty()), rest.to_vec()) {
        Ok(found) => {
            assert_eq!(found.descriptor.digest, Digest::of(rest));
            assert!(found.index().is_some() != found.manifest().is_some());
            let platform = "linux/arm64/v8".parse().expect("a platform");
            if let Some(Err(fault)) = found.index().map(|index| select_platform(index, &platform)) {
                drop(fault.to_string());
            }
        }
        Err(fault) => assert!(!fault.reason.contains(|c: char| c.is_control())),
    }
}
