//! Cases that are built by touchmark and were built by Docker's BuildKit, whose results are kept. In reading order:
//!
//! - [`case`]: a folder with a Dockerfile, what it is built with, and what came out of it at the peer
//! - [`context`]: the compact description of a build context: modes, times, links, fifos, archives
//! - [`bases`]: the images that cases begin with
//! - [`tree`]: layers applied one on another, as a container sees them
//! - [`record`]: what is compared of an image, as JSON
//! - [`comparison`]: the differences between two records
//! - [`peer`]: builds a case with Docker and keeps the record
//! - [`agreement`]: the table of docs/compatibility.md

pub mod agreement;
pub mod bases;
pub mod case;
pub mod comparison;
pub mod context;
pub mod peer;
pub mod record;
mod tarball;
pub mod tree;

/// `SOURCE_DATE_EPOCH` of every build: what a tool dates itself becomes this.
pub const EPOCH: i64 = 1_700_000_000;
