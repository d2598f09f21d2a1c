//! Talking to registries (OCI distribution-spec 1.1). In reading order: `route` (where a reference
//! really leads), `credentials` and `credential_helper` (who we are), `challenge` and `authority` (how
//! we prove it), `retry`, `connection`, `answer`, `upload` and `transport` (one request, bounded and
//! repeated where that helps), then what it is all for: `document` and `client` (resolve),
//! `platform_choice`, `pull`, `blob_check`, `push`, `referrers`.
//!
//! Own transport over `reqwest`, because bodies of any size must be streamed, bounded, resumed and
//! passed on byte for byte.

mod answer;
mod authority;
mod blob_check;
pub mod challenge;
pub mod client;
mod connection;
pub mod credential_helper;
pub mod credentials;
pub mod document;
pub mod error;
pub mod platform_choice;
pub mod progress;
pub mod pull;
pub mod push;
pub mod referrers;
pub mod retry;
pub mod route;
pub mod transport;
mod upload;

#[cfg(test)]
mod tests;
