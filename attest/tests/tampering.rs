//! Every way to spoil evidence that we could think of, with the whole reason that the verdict gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod mark;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mark::{bundle_of, evidence, judge, key, signed, statements, stranger};
use serde_json::{Value, json};
use touchmark_attest::{
    policy::Evidence,
    statement::{PAYLOAD_TYPE, STATEMENT_TYPE},
};

const TRUSTED: &str = "zpfsINQ2YaGbIVyy43ammNC0qiqltMeFTpFr0FCC/O4=";
const STRANGER: &str = "QPXM7ENQ/Td/LVKsksrIzRdaPO8niJDDOAOBIwS1o+E=";

/// The verdict must not pass, and must give exactly this reason for the one candidate.
#[track_caller]
fn refused(candidate: Evidence, code: &str, detail: &str) {
    let verdict = judge(vec![candidate]);
    let reasons: Vec<_> =
        verdict.rejected().iter().map(|r| (r.reason, r.detail.as_str())).collect();
    assert_eq!(reasons, [(code, detail)]);
    assert!(!verdict.passed() && verdict.accepted().is_empty());
}

/// A good signature bundle after `edit`.
fn spoiled(edit: impl Fn(&mut Value)) -> Evidence {
    let mut bundle: Value = serde_json::from_slice(&mark::bundle(&statements()[0].1)).unwrap();
    edit(&mut bundle);
    evidence("e", bundle.to_string())
}

/// A bundle by the trusted key over a statement that was `edit`ed before it was signed.
fn misstated(role: usize, edit: impl Fn(&mut Value)) -> Evidence {
    let mut statement: Value =
        serde_json::from_slice(&statements()[role].1.to_json().unwrap()).unwrap();
    edit(&mut statement);
    evidence("e", signed(&statement).to_string())
}

const SIGNATURE: usize = 0;
const PROVENANCE: usize = 1;
const SBOM: usize = 2;
const HARDENING: usize = 3;

fn envelope(bundle: &mut Value) -> &mut Value {
    &mut bundle["dsseEnvelope"]
}

#[test]
fn the_untampered_bundle_counts() {
    assert_eq!(judge(vec![spoiled(|_| ())]).accepted().len(), 1);
    assert_eq!(key().public().hint().as_str(), TRUSTED);
    assert_eq!(stranger().public().hint().as_str(), STRANGER);
}

#[test]
fn signed_bytes_and_signature() {
    let altered = format!(
        "the signature does not fit the trusted key {TRUSTED}: payload, payload type or signature was altered"
    );
    let payload = |bundle: &mut Value, edit: &dyn Fn(String) -> String| {
        let old = STANDARD.decode(envelope(bundle)["payload"].as_str().unwrap()).unwrap();
        let new = edit(String::from_utf8(old).unwrap());
        envelope(bundle)["payload"] = STANDARD.encode(new).into();
    };
    let other = signed(&json!({"other": 1}));
    for candidate in [
        spoiled(|b| payload(b, &|text| text.replace("abab", "cdcd"))),
        spoiled(|b| payload(b, &|text| text + " ")),
        spoiled(|b| envelope(b)["payloadType"] = "application/json".into()),
        spoiled(|b| envelope(b)["signatures"] = other["dsseEnvelope"]["signatures"].clone()),
        spoiled(|b| envelope(b)["signatures"][0]["sig"] = STANDARD.encode([0; 70]).into()),
        spoiled(|b| {
            let sig = envelope(b)["signatures"][0]["sig"].as_str().unwrap().to_owned();
            let longer = [STANDARD.decode(sig).unwrap(), vec![0]].concat();
            envelope(b)["signatures"][0]["sig"] = STANDARD.encode(longer).into();
        }),
    ] {
        refused(candidate, "altered", &altered);
    }
}

#[test]
fn keys_and_hints() {
    let payload = statements()[SIGNATURE].1.to_json().unwrap();
    let by_stranger = bundle_of(&payload, PAYLOAD_TYPE, &stranger());
    refused(
        evidence("e", by_stranger.to_string()),
        "another-key",
        &format!("signed by another key ({STRANGER}), which is not trusted"),
    );
    let mut posing = by_stranger.clone();
    posing["verificationMaterial"]["publicKey"]["hint"] = TRUSTED.into();
    refused(
        evidence("e", posing.to_string()),
        "altered",
        &format!(
            "the signature does not fit the trusted key {TRUSTED}: payload, payload type or signature was altered"
        ),
    );
    let mut nameless = by_stranger;
    nameless["verificationMaterial"]["publicKey"] = json!({});
    refused(
        evidence("e", nameless.to_string()),
        "unknown-signer",
        "no trusted key made its signature, and it does not name the key that did",
    );
    refused(
        spoiled(|b| b["verificationMaterial"]["publicKey"]["hint"] = STRANGER.into()),
        "hint-mismatch",
        &format!(
            "the bundle names the key {STRANGER}, but the signature was made by {TRUSTED}: the bundle was altered"
        ),
    );
    refused(
        spoiled(|b| envelope(b)["signatures"][0]["keyid"] = "k1\u{1b}[0m".into()),
        "not-a-bundle",
        "the envelope's signature names a key id ('k1\\u{1b}[0m'), which a bundle must not",
    );
}

#[test]
fn the_form_of_the_bundle() {
    let sig = json!({"sig": "AA=="});
    let cases: Vec<(Evidence, &str)> = vec![
        (
            spoiled(|b| envelope(b)["signatures"] = json!([sig, sig])),
            "the envelope has 2 signatures, where exactly one is wanted",
        ),
        (
            spoiled(|b| envelope(b)["signatures"] = json!([])),
            "the envelope has 0 signatures, where exactly one is wanted",
        ),
        (
            spoiled(|b| b["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.4+json".into()),
            "the bundle's mediaType is 'application/vnd.dev.sigstore.bundle.v0.4+json', not 'application/vnd.dev.sigstore.bundle.v0.3+json'",
        ),
        (spoiled(|b| b["mediaType"] = Value::Null), "the bundle has no mediaType"),
        (
            spoiled(|b| b["extra"] = 1.into()),
            "not a Sigstore bundle: unknown field `extra`, expected one of `mediaType`, `verificationMaterial`, `dsseEnvelope`, `messageSignature` at line 1 column 682",
        ),
        (
            spoiled(|b| b["verificationMaterial"] = Value::Null),
            "the bundle has no verificationMaterial",
        ),
        (spoiled(|b| b["verificationMaterial"] = json!({})), "the bundle has no publicKey"),
        (
            spoiled(|b| b["verificationMaterial"] = json!({"certificate": {"rawBytes": "AA=="}})),
            "the bundle carries a certificate; here only signatures by a public key are verified",
        ),
        (
            spoiled(|b| b["verificationMaterial"]["x509CertificateChain"] = json!({})),
            "the bundle carries a certificate; here only signatures by a public key are verified",
        ),
        (spoiled(|b| b["dsseEnvelope"] = Value::Null), "the bundle has no dsseEnvelope"),
        (
            spoiled(|b| b["messageSignature"] = json!({"signature": "AA=="})),
            "the bundle holds a message signature instead of a signed statement",
        ),
        (spoiled(|b| envelope(b)["payload"] = "".into()), "the envelope has no payload"),
        (
            spoiled(|b| envelope(b)["payload"] = "e30".into()),
            "the envelope's payload is not base64",
        ),
        (
            spoiled(|b| envelope(b)["signatures"][0]["sig"] = "-_".into()),
            "the envelope's signature is not base64",
        ),
        (evidence("e", "hello"), "not a Sigstore bundle: expected value at line 1 column 1"),
        (
            evidence("e", &br#"{"mediaType":"a","mediaType":"b"}"#[..]),
            "not a Sigstore bundle: the key 'mediaType' is there twice at line 1 column 33",
        ),
        (
            evidence("e", "[".repeat(1_000_000)),
            "not a Sigstore bundle: recursion limit exceeded at line 1 column 128",
        ),
        (
            evidence("e", vec![b' '; touchmark_attest::bundle::MAX_BYTES + 1]),
            "the bundle has 67108865 bytes; at most 67108864 are read",
        ),
    ];
    for (candidate, detail) in cases {
        refused(candidate, "not-a-bundle", detail);
    }
    let whole = mark::bundle(&statements()[0].1);
    let cut = whole[..whole.len() - 1].to_vec();
    let detail = format!(
        "not a Sigstore bundle: EOF while parsing an object at line 1 column {}",
        cut.len()
    );
    refused(evidence("e", cut), "not-a-bundle", &detail);
}

#[test]
fn what_was_signed_is_not_a_statement() {
    let other_type = bundle_of(&statements()[0].1.to_json().unwrap(), "text/plain", &key());
    refused(
        evidence("e", other_type.to_string()),
        "payload-type",
        "the payload type is 'text/plain', not 'application/vnd.in-toto+json'",
    );
    for wrong in
        ["foo", "", "https://in-toto.io/Statement/v0.2", "https://in-toto.io/Statement/v1 "]
    {
        refused(
            misstated(SIGNATURE, |s| s["_type"] = wrong.into()),
            "not-a-statement",
            &format!("the statement's _type is '{wrong}', not '{STATEMENT_TYPE}'"),
        );
    }
    refused(
        misstated(SIGNATURE, |s| s["subject"] = json!([])),
        "not-a-statement",
        "the statement has no subject",
    );
    refused(
        misstated(SIGNATURE, |s| s["predicate"] = "{}".into()),
        "not-a-statement",
        "the statement's predicate is not a JSON object",
    );
    let twice = String::from_utf8(statements()[0].1.to_json().unwrap()).unwrap();
    let twice = twice.replace(r#","predicate":"#, r#","predicateType":"x","predicate":"#);
    refused(
        evidence("e", bundle_of(twice.as_bytes(), PAYLOAD_TYPE, &key()).to_string()),
        "not-a-statement",
        "the payload is not an in-toto statement: the key 'predicateType' is there twice at line 1 column 247",
    );
}

#[test]
fn the_statement_is_about_something_else() {
    let (ours, theirs) = ("ab".repeat(32), "cd".repeat(32));
    let about = |found: &str| {
        format!("the statement is about {found}, not about this image (sha256:{ours})")
    };
    let cases = [
        (json!([{"digest": {"sha256": theirs}}]), about(&format!("sha256:{theirs}"))),
        // The right digest in the wrong place: name, annotation, another algorithm.
        (
            json!([{"name": format!("sha256:{ours}"), "digest": {"sha256": theirs}}]),
            about(&format!("sha256:{theirs}")),
        ),
        (json!([{"digest": {}, "annotations": {"sha256": ours}}]), about("nothing with a digest")),
        (json!([{"digest": {"md5": ours}}]), about(&format!("md5:{ours}"))),
        (
            json!([{"digest": {"sha512": format!("{ours}{ours}")}}]),
            about(&format!("sha512:{ours}{ours}")),
        ),
        (
            json!([{"digest": {"a": "1"}}, {"digest": {"b": "2"}}, {"digest": {"c": "3"}}]),
            about("a:1, b:2 and 1 more"),
        ),
    ];
    for (subject, detail) in cases {
        refused(misstated(SIGNATURE, |s| s["subject"] = subject.clone()), "other-subject", &detail);
    }
    let upper = ours.to_uppercase();
    refused(
        misstated(SIGNATURE, |s| s["subject"][0]["digest"]["sha256"] = upper.clone().into()),
        "not-a-statement",
        &format!(
            "the payload is not an in-toto statement: '{upper}' is not a sha256 digest in lower-case hex at line 1 column 172"
        ),
    );
}

#[test]
fn roles_and_labels() {
    for unknown in ["https://example.org/v1", "https://spdx.dev/Document/", ""] {
        refused(
            misstated(SIGNATURE, |s| s["predicateType"] = unknown.into()),
            "unknown-predicate-type",
            &format!("the predicate type '{unknown}' has no role here, so it proves nothing"),
        );
    }
    let mut sbom_as_signature = misstated(SBOM, |_| ());
    sbom_as_signature.declared_predicate_type = Some("https://sigstore.dev/cosign/sign/v1".into());
    refused(
        sbom_as_signature,
        "mislabelled",
        "it is labelled 'https://sigstore.dev/cosign/sign/v1', but the signed statement's predicate type is 'https://spdx.dev/Document'",
    );
}

#[test]
fn predicates_that_do_not_say_what_they_must() {
    let cases: Vec<(Evidence, &str, &str)> = vec![
        (
            misstated(PROVENANCE, |s| s["predicate"] = json!({})),
            "predicate-form",
            "its provenance cannot be read: missing field `buildDefinition` at line 1 column 2",
        ),
        (
            misstated(PROVENANCE, |s| s["predicate"]["runDetails"]["builder"]["id"] = " ".into()),
            "provenance-incomplete",
            "the provenance has no builder id",
        ),
        (
            misstated(PROVENANCE, |s| s["predicate"]["buildDefinition"]["buildType"] = "".into()),
            "provenance-incomplete",
            "the provenance has no build type",
        ),
        (
            misstated(PROVENANCE, |s| {
                let dependencies = &mut s["predicate"]["buildDefinition"]["resolvedDependencies"];
                dependencies[0]["digest"] = json!({"md5": "1"});
            }),
            "provenance-incomplete",
            "the provenance's dependency 'docker://registry.example/debian:12' has no digest and is not marked 'https://touchmark.dev/annotation/incomplete'",
        ),
        (
            misstated(SBOM, |s| s["predicate"]["spdxVersion"] = "SPDX-2.2".into()),
            "sbom-incomplete",
            "the SBOM's spdxVersion is 'SPDX-2.2', not 'SPDX-2.3'",
        ),
        (
            misstated(SBOM, |s| s["predicate"]["relationships"] = json!([])),
            "sbom-incomplete",
            "the SBOM does not say which of its packages it describes",
        ),
        (
            misstated(SBOM, |s| s["predicate"]["packages"][0]["name"] = "".into()),
            "sbom-incomplete",
            "the SBOM has no name for one of its packages",
        ),
        (
            misstated(SBOM, |s| s["predicate"]["name"] = "".into()),
            "sbom-incomplete",
            "the SBOM has no name",
        ),
        (
            misstated(SBOM, |s| s["predicate"]["documentNamespace"] = "".into()),
            "sbom-incomplete",
            "the SBOM has no documentNamespace",
        ),
        (
            misstated(SBOM, |s| s["predicate"]["packages"] = 1.into()),
            "predicate-form",
            "its SBOM cannot be read: invalid type: integer `1`, expected a sequence at line 1 column 156",
        ),
        (
            misstated(HARDENING, |s| s["predicate"]["level"] = "some".into()),
            "predicate-form",
            "its hardening report cannot be read: unknown variant `some`, expected one of `off`, `baseline`, `strict` at line 1 column 15",
        ),
    ];
    for (candidate, code, detail) in cases {
        refused(candidate, code, detail);
    }
}
