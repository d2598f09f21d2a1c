//! A complete mark on one image, made from fixed keys, and the tools to spoil it.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use touchmark_attest::{
    bundle::Bundle,
    digest_set::DigestSet,
    envelope::Envelope,
    image_digest::ImageDigest,
    key::PrivateKey,
    policy::{Evidence, Requirement, Verdict, evaluate},
    predicate::{
        Timestamp, cosign_sign,
        hardening::{self, Action, Finding, HardeningReport, Level},
        slsa::{self, BuildDefinition, Builder, Metadata, Provenance, RunDetails},
        spdx,
    },
    resource_descriptor::ResourceDescriptor,
    sign::Signer,
    statement::{PAYLOAD_TYPE, Statement},
    trust::Trust,
};

/// The image that everything is about.
pub(crate) fn image() -> ImageDigest {
    "ab".repeat(32).parse().unwrap()
}

/// The trusted key.
pub(crate) fn key() -> PrivateKey {
    PrivateKey::from_random(&[7; 32]).unwrap()
}

/// A key that nobody trusts.
pub(crate) fn stranger() -> PrivateKey {
    PrivateKey::from_random(&[8; 32]).unwrap()
}

/// A statement about the image.
pub(crate) fn statement(predicate_type: &str, predicate: &impl serde::Serialize) -> Statement {
    Statement::about_image(&image(), Some("registry.example/app"), predicate_type, predicate)
        .unwrap()
}

/// A provenance as the builder makes it.
pub(crate) fn provenance() -> Provenance {
    let dependency = |name: &str, uri: &str, hex: &str| ResourceDescriptor {
        name: name.into(),
        uri: uri.into(),
        digest: DigestSet::sha256(&hex.repeat(32)).unwrap(),
        ..Default::default()
    };
    Provenance {
        build_definition: BuildDefinition {
            build_type: "https://touchmark.dev/build-type/v1".into(),
            external_parameters: BTreeMap::from([("target".into(), json!("app"))]),
            internal_parameters: BTreeMap::new(),
            resolved_dependencies: vec![
                dependency("base", "docker://registry.example/debian:12", "01"),
                dependency("context", "git+https://git.example/team/app@refs/heads/main", "02"),
            ],
        },
        run_details: RunDetails {
            builder: Builder {
                id: "https://touchmark.dev/builder/v1".into(),
                ..Default::default()
            },
            metadata: Some(Metadata {
                started_on: Some(Timestamp::from_unix(1_700_000_000).unwrap()),
                ..Default::default()
            }),
            byproducts: Vec::new(),
        },
    }
}

/// A small SPDX document.
pub(crate) fn sbom() -> Value {
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "app",
        "documentNamespace": "https://touchmark.dev/spdx/app",
        "packages": [{"SPDXID": "SPDXRef-image", "name": "app", "downloadLocation": "NOASSERTION"}],
        "relationships": [{
            "spdxElementId": "SPDXRef-DOCUMENT",
            "relationshipType": "DESCRIBES",
            "relatedSpdxElement": "SPDXRef-image"
        }]
    })
}

/// A report with one finding.
pub(crate) fn hardening_report() -> HardeningReport {
    let finding = Finding {
        rule: "H01".into(),
        path: Some("/usr/bin/passwd".into()),
        layer: Some(format!("sha256:{}", "03".repeat(32))),
        action: Action::Cleared,
        sha256: Some("04".repeat(32)),
        old_mode: Some("4755".into()),
        detail: "setuid bit cleared".into(),
    };
    HardeningReport::new(Level::Baseline, vec![finding])
}

/// The four statements by the name of their role.
pub(crate) fn statements() -> Vec<(&'static str, Statement)> {
    vec![
        ("signature", statement(cosign_sign::PREDICATE_TYPE, &cosign_sign::CosignSign {})),
        ("provenance", statement(slsa::PREDICATE_TYPE, &provenance())),
        ("sbom", statement(spdx::PREDICATE_TYPE, &sbom())),
        ("hardening", statement(hardening::PREDICATE_TYPE, &hardening_report())),
    ]
}

/// A bundle over a statement by the trusted key.
pub(crate) fn bundle(statement: &Statement) -> Vec<u8> {
    Bundle::sign(statement, &key()).unwrap().to_json().unwrap()
}

/// A bundle over any bytes, signed by any key, as an attacker who holds that key could make it.
pub(crate) fn bundle_of(payload: &[u8], payload_type: &str, signer: &PrivateKey) -> Value {
    let signature = {
        let message =
            touchmark_attest::envelope::pre_authentication_encoding(payload_type, payload);
        signer.sign(&message).unwrap()
    };
    // The public API signs the same; this keeps the two honest.
    Envelope::sign(payload.to_vec(), payload_type, signer as &dyn Signer).unwrap();
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": signer.public().hint().as_str()}},
        "dsseEnvelope": {
            "payload": STANDARD.encode(payload),
            "payloadType": payload_type,
            "signatures": [{"sig": STANDARD.encode(signature)}]
        }
    })
}

/// A bundle by the trusted key over a statement that is given as JSON.
pub(crate) fn signed(statement: &Value) -> Value {
    bundle_of(statement.to_string().as_bytes(), PAYLOAD_TYPE, &key())
}

/// Evidence without a label.
pub(crate) fn evidence(origin: &str, bytes: impl Into<Vec<u8>>) -> Evidence {
    Evidence { origin: origin.into(), bytes: bytes.into(), declared_predicate_type: None }
}

/// All four marks, labelled.
pub(crate) fn complete() -> Vec<Evidence> {
    let labelled = |(name, statement): (&str, Statement)| Evidence {
        origin: name.into(),
        bytes: bundle(&statement),
        declared_predicate_type: Some(statement.predicate_type().into()),
    };
    statements().into_iter().map(labelled).collect()
}

/// Trust in the one key.
pub(crate) fn trust() -> Trust {
    Trust::in_keys([key().public().clone()])
}

/// The verdict on the image with the default requirement.
pub(crate) fn judge(evidence: Vec<Evidence>) -> Verdict {
    evaluate(&image(), evidence, &trust(), &Requirement::default())
}
