//! From evidence to verdict. Every candidate is looked at, so that the verdict can say of each whether
//! and why it does not count; one bad candidate among good ones spoils nothing, because anybody who can
//! push can add one.

use sha2::{Digest as _, Sha256};

use super::{
    Accepted, Check, CheckName, Evidence, Rejected, Requirement, Status, Unfit, Verdict,
    expectation, rebuild_result, sbom_shape, verdict::Reason,
};
use crate::{
    bundle::Bundle,
    image_digest::ImageDigest,
    predicate::hardening::HardeningReport,
    statement::Statement,
    trust::Trust,
    verify::{self, Refusal, Role, Verified},
};

/// Judges an image: passed when every role that the requirement asks for is filled by at least one
/// verified statement that says what it must.
#[must_use]
pub fn evaluate(
    image: &ImageDigest,
    evidence: Vec<Evidence>,
    trust: &Trust,
    requirement: &Requirement,
) -> Verdict {
    let mut findings = Findings::default();
    for candidate in evidence {
        match examine(&candidate, image, trust, requirement) {
            Ok(counted) => findings.counted.push(counted),
            Err(rejected) => findings.rejected.push(rejected),
        }
    }
    findings.counted.sort_by(|a, b| a.accepted.origin.cmp(&b.accepted.origin));
    let checks = findings.checks(requirement);
    let accepted = findings.counted.into_iter().map(|counted| counted.accepted).collect();
    Verdict::new(image.to_string(), checks, accepted, findings.rejected)
}

/// Evidence that counts, with what it says.
struct Counted {
    accepted: Accepted,
    says: String,
    log_entries: usize,
    timestamps: usize,
}

#[derive(Default)]
struct Findings {
    counted: Vec<Counted>,
    rejected: Vec<Rejected>,
}

fn examine(
    candidate: &Evidence,
    image: &ImageDigest,
    trust: &Trust,
    requirement: &Requirement,
) -> Result<Counted, Rejected> {
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(&candidate.bytes)));
    let reject = |reason: &dyn Reason| Rejected {
        origin: candidate.origin.clone(),
        bundle: digest.clone(),
        reason: reason.code(),
        detail: reason.to_string(),
    };
    let bundle =
        Bundle::from_json(&candidate.bytes).map_err(|error| reject(&Refusal::from(error)))?;
    let declared = candidate.declared_predicate_type.as_deref();
    let statement =
        verify::verify(&bundle, image, declared, trust).map_err(|error| reject(&error))?;
    let says = read(&statement, requirement).map_err(|error| reject(&error))?;
    let (log_entries, timestamps) = bundle.unchecked_evidence();
    let accepted = Accepted {
        origin: candidate.origin.clone(),
        bundle: digest.clone(),
        role: statement.role(),
        predicate_type: statement.value().predicate_type().to_owned(),
        key: statement.key().to_string(),
    };
    Ok(Counted { accepted, says, log_entries, timestamps })
}

/// What a verified statement says, when it says what its role needs.
fn read(statement: &Verified<Statement>, requirement: &Requirement) -> Result<String, Unfit> {
    match statement.role() {
        Role::Signature => Ok(format!("signed by the key {}", statement.key())),
        Role::Provenance => expectation::check(statement, requirement),
        Role::Sbom => sbom_shape::check(statement),
        Role::Hardening => {
            let report: HardeningReport = statement
                .value()
                .predicate_as()
                .map_err(|fault| Unfit::Form { kind: "hardening report", fault })?;
            Ok(format!("findings: {}", report.findings().len()))
        }
        Role::Rebuild => rebuild_result::check(statement),
        Role::Cache => Ok("a build cache".to_owned()),
    }
}

impl Findings {
    fn checks(&self, requirement: &Requirement) -> Vec<Check> {
        vec![
            requirement_check(requirement),
            self.role(Role::Signature, CheckName::Signature, requirement.signature),
            self.subject(),
            self.role(Role::Provenance, CheckName::Provenance, requirement.needs_provenance()),
            self.expectation(
                CheckName::Builder,
                "unexpected-builder",
                alternatives(&requirement.builders).as_deref(),
            ),
            self.expectation(
                CheckName::BuildType,
                "unexpected-build-type",
                requirement.build_type.as_deref(),
            ),
            self.expectation(
                CheckName::Source,
                "unexpected-source",
                alternatives(&requirement.sources).as_deref(),
            ),
            self.expectation(
                CheckName::Hermetic,
                "not-hermetic",
                requirement.hermetic.then_some("true"),
            ),
            self.role(Role::Sbom, CheckName::Sbom, requirement.sbom),
            self.role(Role::Hardening, CheckName::Hardening, requirement.hardening),
            self.role(Role::Rebuild, CheckName::Rebuild, requirement.rebuild),
            self.unchecked(CheckName::TransparencyLog, "log entries", |c| c.log_entries),
            self.unchecked(CheckName::Timestamp, "signed time stamps", |c| c.timestamps),
        ]
    }

    fn in_role(&self, role: Role) -> impl Iterator<Item = &Counted> {
        self.counted.iter().filter(move |counted| counted.accepted.role == role)
    }

    fn role(&self, role: Role, name: CheckName, required: bool) -> Check {
        let evidence: Vec<_> =
            self.in_role(role).map(|counted| counted.accepted.origin.clone()).collect();
        let (status, detail) = match (self.in_role(role).next(), required) {
            (Some(counted), _) => (Status::Done, counted.says.clone()),
            (None, true) => (Status::Failed, self.missing(role)),
            (None, false) => (Status::NotRequired, format!("no {role} was asked for")),
        };
        Check { name, status, detail, evidence }
    }

    fn missing(&self, role: Role) -> String {
        match (self.counted.len() + self.rejected.len(), self.rejected.len()) {
            (0, _) => format!("no {role}: no evidence was found at all"),
            (_, 0) => format!("no {role} among the evidence"),
            (_, count) => format!("no {role} that counts; rejected evidence: {count}"),
        }
    }

    /// Evidence about another image is rejected one by one; this line says what is left.
    fn subject(&self) -> Check {
        let other = self.rejected.iter().any(|rejected| rejected.reason == "other-subject");
        let (status, detail) = if !self.counted.is_empty() {
            let count = self.counted.len();
            (
                Status::Done,
                format!("statements that name this image's digest as their subject: {count}"),
            )
        } else if other {
            (Status::Failed, "the evidence is about another image".to_owned())
        } else {
            (Status::Skipped, "no statement got far enough to be asked what it is about".to_owned())
        };
        let evidence = self.counted.iter().map(|c| c.accepted.origin.clone()).collect();
        Check { name: CheckName::Subject, status, detail, evidence }
    }

    /// A provenance that counts has met every expectation, so one that counts settles each of them.
    fn expectation(&self, name: CheckName, code: &str, expected: Option<&str>) -> Check {
        let mut evidence = Vec::new();
        let against = self.rejected.iter().find(|rejected| rejected.reason == code);
        let (status, detail) = match (expected, self.in_role(Role::Provenance).next(), against) {
            (None, ..) => {
                let what =
                    if name == CheckName::Hermetic { "hermetic build" } else { name.as_str() };
                (Status::NotRequired, format!("no {what} was asked for"))
            }
            (Some(expected), Some(_), _) => {
                let all = self.in_role(Role::Provenance);
                evidence.extend(all.map(|counted| counted.accepted.origin.clone()));
                (Status::Done, format!("it is '{expected}'"))
            }
            (Some(_), None, Some(against)) => {
                evidence.push(against.origin.clone());
                (Status::Failed, against.detail.clone())
            }
            (Some(_), None, None) => {
                (Status::Skipped, "there is no provenance that could tell".to_owned())
            }
        };
        Check { name, status, detail, evidence }
    }

    fn unchecked(&self, name: CheckName, what: &str, count: fn(&Counted) -> usize) -> Check {
        let with: Vec<_> = self.counted.iter().filter(|counted| count(counted) > 0).collect();
        let evidence = with.iter().map(|counted| counted.accepted.origin.clone()).collect();
        let (status, detail) = match with.iter().map(|counted| count(counted)).sum::<usize>() {
            0 => (Status::NotRequired, "signatures by a trusted key do without".to_owned()),
            all => {
                (Status::Skipped, format!("{what} that are there but were not looked at: {all}"))
            }
        };
        Check { name, status, detail, evidence }
    }
}

fn alternatives(texts: &[String]) -> Option<String> {
    (!texts.is_empty()).then(|| expectation::listed(texts))
}

fn requirement_check(requirement: &Requirement) -> Check {
    let (status, detail) = if requirement.is_empty() {
        (Status::Failed, "nothing was asked for, so nothing would be proven".to_owned())
    } else {
        let roles = [
            (requirement.signature, "signature"),
            (requirement.needs_provenance(), "provenance"),
            (requirement.sbom, "sbom"),
            (requirement.hardening, "hardening"),
            (requirement.rebuild, "rebuild"),
        ];
        let asked: Vec<_> = roles.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        (Status::Done, format!("asked for: {}", asked.join(", ")))
    };
    Check { name: CheckName::Requirement, status, detail, evidence: Vec::new() }
}
