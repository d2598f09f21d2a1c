//! What is said of an image, or of a build cache: one file per predicate type, each with its URI and its typed form. All of
//! them are written deterministically (fixed order of fields, sorted maps).

pub mod cache;
pub mod cosign_sign;
pub mod hardening;
pub mod slsa;
pub mod spdx;
pub mod test_result;
mod timestamp;

pub use timestamp::{Timestamp, TimestampError};
