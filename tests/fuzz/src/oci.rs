//! Documents of registries: any bytes are one or an error, and what is one survives a round trip.

use touchmark_builder::oci::{
    config::ImageConfig,
    digest::Digest,
    manifest::{Index, Manifest},
    reference::Reference,
};

fn round_trip<T>(bytes: &[u8])
where
    T: serde::Serialize + for<'de> serde::Deserialize<'de>,
{
    let Ok(document) = serde_json::from_slice::<T>(bytes) else { return };
    let first = serde_json::to_vec(&document).expect("a document can be written");
    let again: T = serde_json::from_slice(&first).expect("what was written can be read");
    assert_eq!(first, serde_json::to_vec(&again).expect("a document can be written"));
}

/// Tries one input.
pub fn run(bytes: &[u8]) {
    round_trip::<Manifest>(bytes);
    round_trip::<Index>(bytes);
    round_trip::<ImageConfig>(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string().parse::<Reference>().as_ref(), Ok(&reference));
    }
}
