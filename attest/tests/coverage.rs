//! Which platform of an index has what.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mark;

use mark::{bundle, evidence, provenance, sbom, stranger, trust};
use touchmark_attest::{
    bundle::Bundle,
    image_digest::ImageDigest,
    policy::{CheckName, Cover, Evidence, Requirement, Status, Verdict, evaluate},
    predicate::{cosign_sign, slsa, spdx},
    statement::Statement,
};

const INDEX: u8 = 0x10;
const AMD64: u8 = 0x20;
const ARM64: u8 = 0x30;

fn image(number: u8) -> ImageDigest {
    format!("{number:02x}").repeat(32).parse().unwrap()
}

fn statement(number: u8, role: &str) -> Statement {
    let about =
        |kind: &str, predicate: &dyn erased::Predicate| predicate.about(&image(number), kind);
    match role {
        "signature" => about(cosign_sign::PREDICATE_TYPE, &cosign_sign::CosignSign {}),
        "provenance" => about(slsa::PREDICATE_TYPE, &provenance()),
        _ => about(spdx::PREDICATE_TYPE, &sbom()),
    }
}

mod erased {
    use touchmark_attest::{image_digest::ImageDigest, statement::Statement};

    pub(crate) trait Predicate {
        fn about(&self, image: &ImageDigest, kind: &str) -> Statement;
    }

    impl<T: serde::Serialize> Predicate for T {
        fn about(&self, image: &ImageDigest, kind: &str) -> Statement {
            Statement::about_image(image, None, kind, self).unwrap()
        }
    }
}

fn said(number: u8, roles: &[&str]) -> Vec<Evidence> {
    let one =
        |role: &&str| evidence(&format!("{number:x}-{role}"), bundle(&statement(number, role)));
    roles.iter().map(one).collect()
}

fn verdict(number: u8, evidence: Vec<Evidence>) -> Verdict {
    evaluate(&image(number), evidence, &trust(), &Requirement::default())
}

fn judge(index: &[&str], amd64: &[&str], arm64: &[&str]) -> Verdict {
    let platform =
        |name: &str, number: u8, roles| (name.to_owned(), verdict(number, said(number, roles)));
    let platforms =
        vec![platform("linux/amd64", AMD64, amd64), platform("linux/arm64", ARM64, arm64)];
    verdict(INDEX, said(INDEX, index)).with_platforms(platforms, &Requirement::default())
}

fn answer(verdict: &Verdict, name: CheckName) -> (Status, &str) {
    let check = verdict.checks().iter().find(|check| check.name == name).unwrap();
    (check.status, &check.detail)
}

const ALL: [&str; 3] = ["signature", "provenance", "sbom"];

#[test]
fn an_index_with_statements_about_each_platform_passes() {
    let verdict = judge(&["signature", "provenance"], &ALL, &ALL);
    assert!(verdict.passed(), "{verdict:?}");
    assert_eq!(
        answer(&verdict, CheckName::Sbom),
        (Status::Done, "of the index none, but each platform has its own sbom")
    );
    assert_eq!(
        answer(&verdict, CheckName::Coverage),
        (Status::Done, "each of the 2 platforms has what was asked for")
    );
    let arm64 = &verdict.platforms()[1];
    assert_eq!((arm64.platform.as_str(), &arm64.image), ("linux/arm64", &image(ARM64).to_string()));
    assert_eq!((arm64.signature, arm64.sbom), (Cover::Own, Cover::Own));
    assert_eq!(arm64.hardening, Cover::NotRequired);
    assert_eq!((arm64.accepted.len(), arm64.rejected.len()), (3, 0));
}

#[test]
fn what_is_said_about_the_index_holds_for_its_platforms() {
    let verdict = judge(&ALL, &[], &["provenance"]);
    assert!(verdict.passed(), "{verdict:?}");
    let amd64 = &verdict.platforms()[0];
    assert_eq!(
        (amd64.signature, amd64.provenance, amd64.sbom),
        (Cover::Index, Cover::Index, Cover::Index)
    );
    assert_eq!(verdict.platforms()[1].provenance, Cover::Own);
}

#[test]
fn a_platform_without_a_bill_of_materials_is_named() {
    let verdict = judge(&["signature", "provenance"], &ALL, &["signature", "provenance"]);
    assert!(!verdict.passed());
    assert_eq!(answer(&verdict, CheckName::Sbom).0, Status::Failed);
    assert_eq!(answer(&verdict, CheckName::Coverage), (Status::Failed, "linux/arm64 has no sbom"));
    assert_eq!(verdict.platforms()[1].sbom, Cover::Missing);
}

#[test]
fn signed_platforms_make_no_signed_index() {
    let verdict = judge(&[], &ALL, &ALL);
    assert!(!verdict.passed());
    assert_eq!(answer(&verdict, CheckName::Signature).0, Status::Failed);
    assert_eq!(answer(&verdict, CheckName::Provenance).0, Status::Failed);
    assert_eq!(answer(&verdict, CheckName::Coverage).0, Status::Done);
}

#[test]
fn a_strangers_statement_covers_nothing_and_is_listed_with_its_platform() {
    let forged = Bundle::sign(&statement(ARM64, "sbom"), &stranger()).unwrap().to_json().unwrap();
    let index = verdict(INDEX, said(INDEX, &["signature", "provenance"]));
    let platforms = vec![
        ("linux/amd64".to_owned(), verdict(AMD64, said(AMD64, &["sbom"]))),
        ("linux/arm64".to_owned(), verdict(ARM64, vec![evidence("forged", forged)])),
    ];
    let verdict = index.with_platforms(platforms, &Requirement::default());
    assert!(!verdict.passed());
    assert_eq!(answer(&verdict, CheckName::Coverage), (Status::Failed, "linux/arm64 has no sbom"));
    assert_eq!(verdict.platforms()[1].rejected[0].reason, "another-key");
}

#[test]
fn a_statement_about_another_platform_covers_nothing() {
    let index = verdict(INDEX, said(INDEX, &["signature", "provenance"]));
    let platforms = vec![("linux/arm64".to_owned(), verdict(ARM64, said(AMD64, &["sbom"])))];
    let verdict = index.with_platforms(platforms, &Requirement::default());
    assert!(!verdict.passed());
    assert_eq!(verdict.platforms()[0].rejected[0].reason, "other-subject");
}

#[test]
fn an_index_of_nothing_does_not_pass() {
    let verdict =
        verdict(INDEX, said(INDEX, &ALL)).with_platforms(Vec::new(), &Requirement::default());
    assert!(!verdict.passed());
    assert_eq!(
        answer(&verdict, CheckName::Coverage),
        (Status::Failed, "the index names no platform")
    );
}

#[test]
fn the_json_form_lists_the_platforms() {
    let verdict = judge(&["signature", "provenance"], &ALL, &["sbom"]);
    let json = serde_json::to_value(&verdict).unwrap();
    let mut platform = json["platforms"][1].clone();
    platform["accepted"] = serde_json::Value::Null;
    let expected = format!(
        concat!(
            r#"{{"platform":"linux/arm64","image":"{}","signature":"index","provenance":"index","#,
            r#""sbom":"own","hardening":"not-required","rebuild":"not-required","accepted":null,"rejected":[]}}"#
        ),
        image(ARM64)
    );
    assert_eq!(platform.to_string(), expected);
    assert!(
        serde_json::to_value(mark::judge(mark::complete())).unwrap().get("platforms").is_none()
    );
}
