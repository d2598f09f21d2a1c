//! The room as a whole, against the real docker-registry and against servers that misbehave.

mod auth;
mod push;
mod real_registry;
mod referrers;
mod refusals;
mod rogue;
mod transfer;

use std::{sync::Arc, time::Duration};

use super::{
    client::RegistryClient,
    credentials::Credentials,
    retry::RetryPolicy,
    route::{Access, Route, RouteDenied},
    transport::{Limits, TransportOptions},
};
use crate::{
    content::store::ContentStore,
    oci::{descriptor::Descriptor, digest::Digest, media_type, reference::Reference},
};

/// Short waits, three attempts.
fn options() -> TransportOptions {
    TransportOptions {
        retry: RetryPolicy {
            attempts: 3,
            first_wait: Duration::from_millis(2),
            longest_wait: Duration::from_millis(20),
        },
        limits: Limits {
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(5),
            digestion: Duration::from_secs(10),
        },
        settle: Duration::from_millis(40),
        ..TransportOptions::default()
    }
}

fn plain(reference: &Reference, _: Access) -> Result<Route, RouteDenied> {
    Ok(Route { reference: reference.clone(), plain_http: true, ca: None, idle: None })
}

fn client_as(credentials: Credentials) -> RegistryClient {
    RegistryClient::new(Arc::new(plain), Arc::new(credentials), options())
}

fn client() -> RegistryClient {
    client_as(Credentials::none())
}

fn store() -> (tempfile::TempDir, ContentStore) {
    let home = tempfile::tempdir().unwrap();
    let store = ContentStore::open(home.path().to_owned()).unwrap();
    (home, store)
}

/// A manifest whose configuration is `{}` and which has these layers; `extra` is JSON, ending in a
/// comma.
fn manifest(extra: &str, layers: &[Descriptor]) -> Vec<u8> {
    let config = serde_json::to_string(&Descriptor::of(media_type::EMPTY, b"{}")).unwrap();
    let layers = serde_json::to_string(layers).unwrap();
    let kind = media_type::MANIFEST;
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}",{extra}"config":{config},"layers":{layers}}}"#
    )
    .into_bytes()
}

/// Bytes without pattern, the same for the same seed.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(step).flatten().take(size).collect()
}

fn image(host: &str, rest: &str) -> Reference {
    format!("{host}/{rest}").parse().unwrap()
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::of(bytes)
}
