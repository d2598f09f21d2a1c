//! Support for end-to-end tests: everything around the real `touchmark` binary. In reading order:
//!
//! - [`cache`]: what is made once per machine (base images, copies of the binary) and shared by all tests
//! - [`account`]: the unprivileged user that builds
//! - [`home`]: a sandboxed home per test, thus a worker per test; checks on drop that nothing is left
//! - [`run`]: runs a program with a time limit, keeps its whole output
//! - [`leftovers`]: processes and mounts that belong to a home
//! - [`worker_state`]: what a worker holds between builds
//! - [`small_disk`]: a file system that can be filled
//! - [`snapshot`]: whole messages compared with a file
//! - [`http`], [`client`], [`registry`], [`impostor`]: a registry client, Debian's registry, and one that lies
//! - [`faulty_proxy`]: what stands before a registry and fails now and then
//! - [`git_origin`], [`smart_git`]: a repository and files over HTTP, as plain files and by git's own server
//! - [`tls_origin`], [`mirror`]: a file, or much noise, over TLS with a private authority
//! - [`tarball`], [`image`], [`base`]: tars (hostile ones too), images, and the two base images
//! - [`blobs`]: every blob of a pushed image, unpacked one by one
//! - [`referrers`]: the statements beside an image
//! - [`differential`]: cases that are compared with what Docker's BuildKit made of them
//! - [`example`]: `examples/hello`, built and pushed once, for all tests that look at the result
//!
//! Deliberately absent: any code of touchmark itself. What these tests believe, they found out on their own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a support library for tests reports by panicking"
)]

pub mod account;
pub mod base;
pub mod blobs;
pub mod cache;
pub mod client;
pub mod differential;
pub mod example;
pub mod faulty_proxy;
pub mod git_origin;
pub mod home;
pub mod http;
pub mod image;
pub mod impostor;
pub mod leftovers;
pub mod mirror;
pub mod referrers;
pub mod registry;
pub mod run;
pub mod small_disk;
pub mod smart_git;
pub mod snapshot;
pub mod tarball;
pub mod tls_origin;
pub mod worker_state;

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The repository's root.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_owned()
}

/// `sha256:<hex>` of `bytes`.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
