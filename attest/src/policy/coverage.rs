//! An index and the platforms in it: is what was asked for there for each of them?
//!
//! The index names its manifests by digest, so whoever signs it stands for all of them, and what is said
//! about it is said about all of them. The other way round holds only for what describes content: when
//! every platform has a bill of materials (or a hardening report) of its own, the index needs none. A
//! signature and a provenance it needs itself, because no platform's says which others belong to it.

use serde::Serialize;

use super::{Accepted, Check, CheckName, Rejected, Requirement, Status, Verdict};
use crate::verify::Role;

/// What there is for one platform of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Covered {
    /// The platform as the index names it, `os/architecture[/variant]`.
    pub platform: String,
    /// The digest of its manifest, `sha256:…`.
    pub image: String,
    /// Does a trusted key stand for it?
    pub signature: Cover,
    /// Is it known how it was built?
    pub provenance: Cover,
    /// Is it known what is in it?
    pub sbom: Cover,
    /// Is it known what was taken out of it?
    pub hardening: Cover,
    /// Is it known that it can be rebuilt?
    pub rebuild: Cover,
    /// The evidence about this manifest that counts.
    pub accepted: Vec<Accepted>,
    /// The evidence about this manifest that does not count.
    pub rejected: Vec<Rejected>,
}

/// Where a platform's evidence of one role is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cover {
    /// There is a statement about this manifest.
    Own,
    /// There is a statement about the index that names it.
    Index,
    /// There is none, and one was asked for.
    Missing,
    /// There is none, and nobody asked.
    NotRequired,
}

impl Cover {
    /// The word as in the JSON form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Index => "index",
            Self::Missing => "missing",
            Self::NotRequired => "not-required",
        }
    }
}

/// Platforms that a message names.
const NAMED: usize = 5;

impl Verdict {
    /// The verdict on an index, given the one on the index alone and those on its platforms, each with
    /// the platform's name. All of them must have been made by `requirement`.
    #[must_use]
    pub fn with_platforms(
        mut self,
        platforms: Vec<(String, Verdict)>,
        requirement: &Requirement,
    ) -> Self {
        for (role, name) in [(Role::Sbom, CheckName::Sbom), (Role::Hardening, CheckName::Hardening)]
        {
            let evidence: Vec<String> = platforms
                .iter()
                .filter_map(|(_, verdict)| verdict.in_role(role).next())
                .map(|accepted| accepted.origin.clone())
                .collect();
            let all = !platforms.is_empty() && evidence.len() == platforms.len();
            let check = self.checks.iter_mut().find(|check| check.name == name);
            if let Some(check) = check.filter(|check| all && check.status == Status::Failed) {
                check.status = Status::Done;
                check.detail = format!("of the index none, but each platform has its own {role}");
                check.evidence = evidence;
            }
        }
        self.platforms =
            platforms.into_iter().map(|platform| self.cover(platform, requirement)).collect();
        let coverage = self.coverage();
        self.checks.push(coverage);
        self.passed = self.checks.iter().all(|check| check.status != Status::Failed);
        self
    }

    fn in_role(&self, role: Role) -> impl Iterator<Item = &Accepted> {
        self.accepted.iter().filter(move |accepted| accepted.role == role)
    }

    fn cover(&self, (platform, verdict): (String, Verdict), requirement: &Requirement) -> Covered {
        let cover = |role: Role, required: bool| {
            let has = |verdict: &Verdict| verdict.in_role(role).next().is_some();
            match required {
                _ if has(&verdict) => Cover::Own,
                _ if has(self) => Cover::Index,
                true => Cover::Missing,
                false => Cover::NotRequired,
            }
        };
        Covered {
            platform,
            signature: cover(Role::Signature, requirement.signature),
            provenance: cover(Role::Provenance, requirement.needs_provenance()),
            sbom: cover(Role::Sbom, requirement.sbom),
            hardening: cover(Role::Hardening, requirement.hardening),
            rebuild: cover(Role::Rebuild, requirement.rebuild),
            image: verdict.image,
            accepted: verdict.accepted,
            rejected: verdict.rejected,
        }
    }

    fn coverage(&self) -> Check {
        let mut missing = Vec::new();
        for covered in &self.platforms {
            for (cover, role) in covered.roles() {
                if cover == Cover::Missing {
                    missing.push(format!("{} has no {role}", covered.platform));
                }
            }
        }
        let (status, detail) = match (self.platforms.len(), missing.len()) {
            (0, _) => (Status::Failed, "the index names no platform".to_owned()),
            (1, 0) => (Status::Done, "the only platform has what was asked for".to_owned()),
            (count, 0) => {
                (Status::Done, format!("each of the {count} platforms has what was asked for"))
            }
            (_, count) => {
                let more = match count.saturating_sub(NAMED) {
                    0 => String::new(),
                    more => format!(", and {more} more"),
                };
                missing.truncate(NAMED);
                (Status::Failed, format!("{}{more}", missing.join(", ")))
            }
        };
        Check { name: CheckName::Coverage, status, detail, evidence: Vec::new() }
    }
}

impl Covered {
    /// The five answers, each with its role.
    #[must_use]
    pub fn roles(&self) -> [(Cover, Role); 5] {
        [
            (self.signature, Role::Signature),
            (self.provenance, Role::Provenance),
            (self.sbom, Role::Sbom),
            (self.hardening, Role::Hardening),
            (self.rebuild, Role::Rebuild),
        ]
    }
}
