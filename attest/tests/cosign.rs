//! What cosign 3.1.1 wrote, read here.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use touchmark_attest::{
    bundle::Bundle,
    key::{Password, PrivateKey, PublicKey},
    policy::{Evidence, Requirement, evaluate},
    trust::Trust,
    verify::{Role, verify},
};

const SIGN: &[u8] = include_bytes!("../golden/cosign/sign.bundle.json");
const ATTEST: &[u8] = include_bytes!("../golden/cosign/attest-spdx.bundle.json");
const IMAGE: &str = "sha256:442c9b41b8662a5466faf72f4a1215938dd939b9ff70b382681ae69a9362f3da";

fn key() -> PublicKey {
    PublicKey::from_pem(include_str!("../golden/cosign/cosign.pub")).unwrap()
}

#[test]
fn its_signature_verifies_as_a_signature() {
    let bundle = Bundle::from_json(SIGN).unwrap();
    let label = Some("https://sigstore.dev/cosign/sign/v1");
    let verified =
        verify(&bundle, &IMAGE.parse().unwrap(), label, &Trust::in_keys([key()])).unwrap();
    assert_eq!(verified.role(), Role::Signature);
    assert_eq!(verified.value().predicate_json(), "{}");
    assert_eq!(bundle.to_json().unwrap(), SIGN, "the same bytes are written again");
}

/// cosign 3.1.1 still attests with Statement v0.1; it is read, and then the document is judged.
#[test]
fn its_attestation_is_read_though_its_statement_is_of_the_version_before() {
    let evidence = Evidence {
        origin: "attest".into(),
        bytes: ATTEST.to_vec(),
        declared_predicate_type: Some("https://spdx.dev/Document".into()),
    };
    let requirement = Requirement { sbom: true, ..Requirement::nothing() };
    let trust = Trust::in_keys([key()]);
    let verdict = evaluate(&IMAGE.parse().unwrap(), vec![evidence], &trust, &requirement);
    assert_eq!(verdict.rejected()[0].detail, "the SBOM has no SPDXID 'SPDXRef-DOCUMENT'");
}

/// ECDSA nonces differ, so cosign's own signature differs from ours; both are the same key's.
#[test]
fn its_private_key_signs_here() {
    let pem = include_str!("../golden/cosign/cosign.key");
    let private = PrivateKey::from_pem(pem, Some(&Password::new("pencil"))).unwrap();
    let statement = Bundle::from_json(SIGN).unwrap().statement_unverified_unsafe().unwrap();
    let ours = Bundle::sign(&statement, &private).unwrap();
    let trust = Trust::in_keys([key()]);
    assert!(verify(&ours, &IMAGE.parse().unwrap(), None, &trust).is_ok());
}
