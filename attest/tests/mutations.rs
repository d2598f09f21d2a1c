//! Any bit of a bundle: with it turned, the bundle is refused or still says what was signed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mark;

use mark::{image, key, statements};
use touchmark_attest::{bundle::Bundle, trust::Trust, verify::verify};

#[test]
fn a_turned_bit_never_changes_what_is_believed() {
    let trust = Trust::in_keys([key().public().clone()]);
    let believed = |bytes: &[u8]| {
        let bundle = Bundle::from_json(bytes).ok()?;
        let verified = verify(&bundle, &image(), None, &trust).ok()?;
        Some(verified.value().to_json().unwrap())
    };
    for (_, statement) in statements() {
        let bytes = Bundle::sign(&statement, &key()).unwrap().to_json().unwrap();
        let signed = believed(&bytes).unwrap();
        for at in 0..bytes.len() {
            for bit in [0, 5, 7] {
                let mut turned = bytes.clone();
                turned[at] ^= 1 << bit;
                let found = believed(&turned);
                assert!(found.is_none_or(|found| found == signed), "bit {bit} of byte {at}");
            }
        }
    }
}
