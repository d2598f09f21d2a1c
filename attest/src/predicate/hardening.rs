//! The hardening report: what touchmark took out of the final stage, cleared, or left in knowingly.
//!
//! ```json
//! {"level":"baseline","findings":[
//!   {"rule":"H01","path":"/usr/bin/passwd","layer":"sha256:…","action":"cleared","oldMode":"4755",
//!    "detail":"setuid bit cleared"},
//!   {"rule":"H03","path":"/usr/bin/dash","layer":"sha256:…","action":"removed","sha256":"…",
//!    "oldMode":"0755","detail":"shell"}]}
//! ```

use serde::{Deserialize, Serialize};

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://touchmark.dev/hardening/v1";

/// The predicate. Findings are sorted, so that the same image always has the same report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HardeningReport {
    level: Level,
    findings: Vec<Finding>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    excluded: Vec<ExcludedPackage>,
}

/// A package whose program was removed and that left the image with all its files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExcludedPackage {
    /// The package URL's type: `deb` or `apk`.
    pub ecosystem: String,
    /// Its name.
    pub name: String,
    /// Its version as the package database had it.
    pub version: String,
    /// The rule that removed its program.
    pub rule: String,
}

/// How much was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing is changed.
    Off,
    /// No setuid and setgid files, file capabilities, shells, network tools.
    #[default]
    Baseline,
    /// Baseline, package managers out, non-root user, no world-writable paths.
    Strict,
}

impl Level {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Off, Self::Baseline, Self::Strict];

    /// Its name in policies and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Baseline => "baseline",
            Self::Strict => "strict",
        }
    }
}

/// One thing that a rule found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The rule's number, `H03` for instance.
    pub rule: String,
    /// The path in the image, absolute; absent when the rule is about the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The diff id (`sha256:…`) of the layer before the rewrite; absent as `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// What was done.
    pub action: Action,
    /// The SHA-256 of the file's content before, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The permission bits before, four octal digits (`4755`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_mode: Option<String>,
    /// In words.
    pub detail: String,
}

/// What was done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The file is in no layer any more.
    Removed,
    /// The bits or capabilities are cleared, the file stays.
    Cleared,
    /// The content or the command is another one: package databases, a shell-form command.
    Rewritten,
    /// An exception of the policy left it as it is.
    Kept,
    /// Nothing was done: the level only warns.
    Warned,
}

impl HardeningReport {
    /// A report with its findings in order: by rule, path, layer, action.
    #[must_use]
    pub fn new(level: Level, mut findings: Vec<Finding>) -> Self {
        findings.sort();
        findings.dedup();
        Self { level, findings, excluded: Vec::new() }
    }

    /// The same with the packages that left the image, sorted.
    #[must_use]
    pub fn excluding(mut self, mut packages: Vec<ExcludedPackage>) -> Self {
        packages.sort();
        packages.dedup();
        self.excluded = packages;
        self
    }

    /// Packages that left the image.
    #[must_use]
    pub fn excluded(&self) -> &[ExcludedPackage] {
        &self.excluded
    }

    /// How much was asked for.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// What was found, sorted.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, path: &str) -> Finding {
        Finding {
            rule: rule.into(),
            path: Some(path.into()),
            layer: None,
            action: Action::Removed,
            sha256: None,
            old_mode: Some("0755".into()),
            detail: "shell".into(),
        }
    }

    #[test]
    fn the_order_of_finding_does_not_matter() {
        let (a, b) = (finding("H03", "/bin/a"), finding("H03", "/bin/b"));
        let report = HardeningReport::new(Level::Baseline, vec![b.clone(), a.clone(), b.clone()]);
        assert_eq!(report, HardeningReport::new(Level::Baseline, vec![a, b]));
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            concat!(
                r#"{"level":"baseline","findings":["#,
                r#"{"rule":"H03","path":"/bin/a","action":"removed","oldMode":"0755","detail":"shell"},"#,
                r#"{"rule":"H03","path":"/bin/b","action":"removed","oldMode":"0755","detail":"shell"}]}"#
            )
        );
    }
}
