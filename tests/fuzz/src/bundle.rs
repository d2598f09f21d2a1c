//! Evidence: any bytes are a bundle or an error; any payload, rightly signed, is a statement or an
//! error. The first byte says which of the two the rest is.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use touchmark_attest::{
    bundle::{Bundle, MEDIA_TYPE},
    envelope::pre_authentication_encoding,
    image_digest::ImageDigest,
    key::PrivateKey,
    policy::{Evidence, Requirement, evaluate},
    statement::PAYLOAD_TYPE,
    trust::Trust,
    verify::verify,
};

fn signed(payload: &[u8], key: &PrivateKey) -> Vec<u8> {
    let message = pre_authentication_encoding(PAYLOAD_TYPE, payload);
    let signature = key.sign(&message).expect("a key in memory signs");
    json!({
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": key.public().hint().as_str()}},
        "dsseEnvelope": {
            "payload": STANDARD.encode(payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": STANDARD.encode(signature)}]
        }
    })
    .to_string()
    .into_bytes()
}

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let Some((way, rest)) = bytes.split_first() else { return };
    let key = PrivateKey::from_random(&[7; 32]).expect("a key");
    let image: ImageDigest = "ab".repeat(32).parse().expect("a digest");
    let trust = Trust::in_keys([key.public().clone()]);
    let bytes = if *way == b'S' { signed(rest, &key) } else { rest.to_vec() };
    match Bundle::from_json(&bytes) {
        Ok(bundle) => {
            let first = bundle.to_json().expect("a bundle can be written");
            let again = Bundle::from_json(&first).expect("what was written can be read");
            assert_eq!(first, again.to_json().expect("a bundle can be written"));
            if let Err(refusal) = verify(&bundle, &image, None, &trust) {
                drop(refusal.to_string());
            }
            if let Ok(statement) = bundle.statement_unverified_unsafe() {
                statement.to_json().expect("a statement can be written");
            }
        }
        Err(error) => drop(error.to_string()),
    }
    let evidence = Evidence { origin: "x".into(), bytes, declared_predicate_type: None };
    let requirement = Requirement {
        hardening: true,
        sources: vec!["https://git.example/app".into(), "git+https://git.example/*".into()],
        hermetic: true,
        ..Requirement::default()
    };
    let verdict = evaluate(&image, vec![evidence], &trust, &requirement);
    assert!(!verdict.passed(), "one statement fills all roles");
}
