//! From whole sets of evidence to the verdict.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mark;

use mark::{bundle_of, complete, evidence, image, judge, statements, stranger, trust};
use serde_json::json;
use touchmark_attest::{
    policy::{CheckName, Requirement, Status, Verdict, evaluate},
    predicate::{
        slsa,
        test_result::{self, Rebuild, TestResult},
    },
    resource_descriptor::{INCOMPLETE, ResourceDescriptor},
    statement::PAYLOAD_TYPE,
    trust::Trust,
};

fn answer(verdict: &Verdict, name: CheckName) -> (Status, &str) {
    let check = verdict.checks().iter().find(|check| check.name == name).unwrap();
    (check.status, &check.detail)
}

fn judge_by(requirement: &Requirement) -> Verdict {
    evaluate(&image(), complete(), &trust(), requirement)
}

#[test]
fn a_complete_mark_passes() {
    let verdict = judge(complete());
    assert!(verdict.passed());
    assert_eq!((verdict.accepted().len(), verdict.rejected().len()), (4, 0));
    assert_eq!(verdict.image(), image().to_string());
}

#[test]
fn each_missing_role_fails_by_itself() {
    let names = [CheckName::Signature, CheckName::Provenance, CheckName::Sbom];
    for (place, name) in names.into_iter().enumerate() {
        let mut evidence = complete();
        evidence.remove(place);
        let verdict = judge(evidence);
        assert!(!verdict.passed());
        let failed: Vec<_> =
            verdict.checks().iter().filter(|check| check.status == Status::Failed).collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].name, name);
        assert_eq!(failed[0].detail, format!("no {} among the evidence", name.as_str()));
    }
    let mut evidence = complete();
    evidence.remove(3);
    assert!(judge(evidence).passed(), "the hardening report is not asked for by default");
}

#[test]
fn a_bill_of_materials_is_no_signature() {
    let only_sbom = vec![complete().remove(2)];
    let requirement = Requirement { signature: true, ..Requirement::nothing() };
    let verdict = evaluate(&image(), only_sbom, &trust(), &requirement);
    assert!(!verdict.passed());
    assert_eq!(
        answer(&verdict, CheckName::Signature),
        (Status::Failed, "no signature among the evidence")
    );
}

#[test]
fn bad_evidence_beside_good_spoils_nothing() {
    let mut all = complete();
    let payload = statements()[0].1.to_json().unwrap();
    all.insert(0, evidence("a", bundle_of(&payload, PAYLOAD_TYPE, &stranger()).to_string()));
    all.push(evidence("b", "hello"));
    let verdict = judge(all.clone());
    assert!(verdict.passed());
    let rejected: Vec<_> =
        verdict.rejected().iter().map(|r| (r.origin.as_str(), r.reason)).collect();
    assert_eq!(rejected, [("a", "another-key"), ("b", "not-a-bundle")]);
    all.reverse();
    assert_eq!(judge(all), verdict, "the order of finding does not matter");
}

#[test]
fn nothing_passes_without_evidence_trust_or_requirement() {
    let verdict = judge(Vec::new());
    assert!(!verdict.passed());
    assert_eq!(
        answer(&verdict, CheckName::Signature),
        (Status::Failed, "no signature: no evidence was found at all")
    );
    assert_eq!(answer(&verdict, CheckName::Subject).0, Status::Skipped);

    let verdict = evaluate(&image(), complete(), &Trust::default(), &Requirement::default());
    assert!(!verdict.passed());
    assert!(verdict.rejected().iter().all(|rejected| rejected.reason == "no-trusted-key"));

    let verdict = judge_by(&Requirement::nothing());
    assert!(!verdict.passed());
    assert_eq!(
        answer(&verdict, CheckName::Requirement),
        (Status::Failed, "nothing was asked for, so nothing would be proven")
    );
}

#[test]
fn evidence_about_another_image_fails_the_subject() {
    let other = "cd".repeat(32).parse().unwrap();
    let verdict = evaluate(&other, complete(), &trust(), &Requirement::default());
    assert!(!verdict.passed());
    assert_eq!(
        answer(&verdict, CheckName::Subject),
        (Status::Failed, "the evidence is about another image")
    );
    assert!(verdict.rejected().iter().all(|rejected| rejected.reason == "other-subject"));
}

#[test]
fn expectations_of_the_provenance() {
    let ours = Requirement {
        builders: vec!["https://touchmark.dev/builder/v1".into()],
        build_type: Some("https://touchmark.dev/build-type/v1".into()),
        sources: vec!["git+https://git.example/team/app".into()],
        ..Requirement::nothing()
    };
    let verdict = judge_by(&ours);
    assert!(verdict.passed());
    assert_eq!(answer(&verdict, CheckName::Signature).0, Status::Done, "it is there, unasked");

    let other = "https://other.example/".to_owned();
    let cases = [
        (
            Requirement { builders: vec![other.clone()], ..ours.clone() },
            CheckName::Builder,
            "built by 'https://touchmark.dev/builder/v1', not by 'https://other.example/'",
        ),
        (
            Requirement { build_type: Some(other.clone()), ..ours.clone() },
            CheckName::BuildType,
            "the build type is 'https://touchmark.dev/build-type/v1', not 'https://other.example/'",
        ),
        (
            Requirement { sources: vec![other], ..ours.clone() },
            CheckName::Source,
            "built from 'git+https://git.example/team/app@refs/heads/main', not from 'https://other.example/'",
        ),
        (
            Requirement { hermetic: true, ..ours },
            CheckName::Hermetic,
            "the build was not hermetic: it does not say that it is",
        ),
    ];
    for (requirement, name, detail) in cases {
        let verdict = judge_by(&requirement);
        assert!(!verdict.passed());
        assert_eq!(answer(&verdict, name), (Status::Failed, detail));
        assert_eq!(
            answer(&verdict, CheckName::Provenance),
            (Status::Failed, "no provenance that counts; rejected evidence: 1")
        );
    }
}

#[test]
fn a_hermetic_build_says_so_and_has_no_gap() {
    let requirement = Requirement { hermetic: true, ..Requirement::nothing() };
    let answers = |change: &dyn Fn(&mut slsa::Provenance)| {
        let mut provenance = mark::provenance();
        provenance.build_definition.internal_parameters.insert("hermetic".into(), true.into());
        change(&mut provenance);
        let bundle = mark::bundle(&mark::statement(slsa::PREDICATE_TYPE, &provenance));
        let verdict = evaluate(&image(), vec![evidence("p", bundle)], &trust(), &requirement);
        (verdict.passed(), answer(&verdict, CheckName::Hermetic).1.to_owned())
    };
    assert_eq!(answers(&|_| {}), (true, "it is 'true'".into()));
    let gap = |provenance: &mut slsa::Provenance| {
        provenance.build_definition.resolved_dependencies.push(ResourceDescriptor {
            uri: "https://tunnel.example/".into(),
            annotations: [(INCOMPLETE.to_owned(), "tunnelled".into())].into(),
            ..Default::default()
        });
    };
    assert_eq!(
        answers(&gap).1,
        "the build was not hermetic: it says so, but dependencies without a digest are among its \
         own: 1"
    );
    let open = |provenance: &mut slsa::Provenance| {
        provenance.build_definition.internal_parameters.insert("hermetic".into(), false.into());
    };
    assert_eq!(answers(&open), (false, "the build was not hermetic: it says so itself".into()));
}

#[test]
fn any_of_several_builders_and_sources_will_do_but_no_uncommitted_change() {
    let mut provenance = mark::provenance();
    let requirement = Requirement {
        builders: vec!["https://a.example".into(), "https://touchmark.dev/builder/v1".into()],
        sources: vec!["git+https://git.example/x".into(), "git+https://git.example/team/*".into()],
        ..Requirement::nothing()
    };
    let judged = |provenance: &slsa::Provenance| {
        let bundle = mark::bundle(&mark::statement(slsa::PREDICATE_TYPE, provenance));
        evaluate(&image(), vec![evidence("p", bundle)], &trust(), &requirement)
    };
    assert!(judged(&provenance).passed());
    let context = &mut provenance.build_definition.resolved_dependencies[1];
    context.annotations.insert(slsa::CLEAN.into(), false.into());
    let verdict = judged(&provenance);
    assert_eq!(
        answer(&verdict, CheckName::Source),
        (
            Status::Failed,
            "built from 'git+https://git.example/team/app@refs/heads/main with changes that are in \
             no commit', not from 'git+https://git.example/x' or 'git+https://git.example/team/*'"
        )
    );
}

#[test]
fn an_admitted_gap_is_counted_and_said() {
    let mut provenance = mark::provenance();
    provenance.build_definition.resolved_dependencies.push(ResourceDescriptor {
        uri: "https://tunnel.example/".into(),
        annotations: [(INCOMPLETE.to_owned(), "tunnelled".into())].into(),
        ..Default::default()
    });
    let bundle = mark::bundle(&mark::statement(slsa::PREDICATE_TYPE, &provenance));
    let requirement = Requirement { provenance: true, ..Requirement::nothing() };
    let verdict = evaluate(&image(), vec![evidence("p", bundle)], &trust(), &requirement);
    assert!(verdict.passed());
    assert_eq!(
        answer(&verdict, CheckName::Provenance).1,
        "built by 'https://touchmark.dev/builder/v1', dependencies: 3, marked as without a digest: 1"
    );
}

#[test]
fn log_entries_and_time_stamps_are_said_to_be_unchecked() {
    let mut bundle: serde_json::Value =
        serde_json::from_slice(&mark::bundle(&statements()[0].1)).unwrap();
    bundle["verificationMaterial"]["tlogEntries"] = json!([{"logIndex": "1"}]);
    bundle["verificationMaterial"]["timestampVerificationData"] =
        json!({"rfc3161Timestamps": [{"signedTimestamp": "AA=="}]});
    let requirement = Requirement { signature: true, ..Requirement::nothing() };
    let verdict =
        evaluate(&image(), vec![evidence("s", bundle.to_string())], &trust(), &requirement);
    assert!(verdict.passed());
    assert_eq!(
        answer(&verdict, CheckName::TransparencyLog),
        (Status::Skipped, "log entries that are there but were not looked at: 1")
    );
    assert_eq!(
        answer(&verdict, CheckName::Timestamp),
        (Status::Skipped, "signed time stamps that are there but were not looked at: 1")
    );
}

#[test]
fn only_a_rebuild_that_gave_the_same_fills_its_role() {
    let rebuild = |rebuilt: &str| Rebuild {
        recorded: image().to_string(),
        rebuilt: rebuilt.into(),
        images: Vec::new(),
        first_difference: None,
        words: Some("layer 1, data: byte 2: 0x65 became 0x45".into()),
        not_recorded: Vec::new(),
        finished_on: None,
    };
    let result = |rebuilt: &str| TestResult::of_rebuild(Vec::new(), rebuild(rebuilt));
    let evidence_of = |origin: &str, result: &TestResult| {
        let statement = mark::statement(test_result::PREDICATE_TYPE, result);
        evidence(origin, mark::bundle(&statement))
    };
    let requirement = Requirement { rebuild: true, ..Requirement::nothing() };
    let judged = |results: Vec<(&str, TestResult)>| {
        let all = results.iter().map(|(origin, one)| evidence_of(origin, one)).collect();
        evaluate(&image(), all, &trust(), &requirement)
    };
    let same = result(&image().to_string());
    let other = result("sha256:02");
    let verdict = judged(vec![("yes", same.clone()), ("no", other.clone())]);
    assert!(verdict.passed(), "one that failed hides none that passed");
    assert_eq!(answer(&verdict, CheckName::Rebuild), (Status::Done, "built again bit for bit"));
    assert_eq!(verdict.rejected()[0].reason, "not-rebuilt");
    assert!(verdict.rejected()[0].detail.ends_with("0x65 became 0x45"));

    // Whoever writes PASSED over a difference, or passed another test, has not rebuilt it.
    let lie = TestResult { touchmark_rebuild: other.touchmark_rebuild.clone(), ..same.clone() };
    let unit = TestResult { passed_tests: vec!["unit".into()], ..same };
    for (result, reason) in [(other, "not-rebuilt"), (lie, "not-rebuilt"), (unit, "other-test")] {
        let verdict = judged(vec![("x", result)]);
        assert!(!verdict.passed());
        assert_eq!(verdict.rejected()[0].reason, reason);
    }
}
