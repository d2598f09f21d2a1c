//! Which findings count, and whether they fail a build.

use super::{
    finding::Finding,
    rule::{Kind, Rule},
};
use crate::{
    dockerfile::{Dockerfile, directive::Check},
    graph::BuildOptions,
};

/// The build argument that stands for the `check` directive, as BuildKit has it.
pub const ARGUMENT: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// What the `check` directive says, or the build argument that takes its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    check: Check,
    strict: bool,
}

impl Selection {
    /// What the file says, unless the build argument is given, which then counts alone. `strict` adds the
    /// rules that give advice.
    ///
    /// # Errors
    /// What is wrong with the build argument, and what to do.
    pub fn new(
        file: &Dockerfile,
        options: &BuildOptions,
        strict: bool,
    ) -> Result<Self, (String, String)> {
        let check = match options.build_args.get(ARGUMENT) {
            Some(Some(text)) => Check::parse(text)
                .map_err(|(message, help)| (format!("{ARGUMENT}: {message}"), help))?,
            _ => file.directives.check.clone(),
        };
        Ok(Self { check, strict })
    }

    /// Is this rule looked at?
    #[must_use]
    pub fn counts(&self, rule: &Rule) -> bool {
        let names = |list: &[String], all: bool| {
            list.iter().any(|name| name == rule.name || all && name == "all")
        };
        let wanted = match rule.kind {
            Kind::Standard | Kind::Own => true,
            Kind::Experimental => names(&self.check.experimental, true),
            Kind::Advice => self.strict || names(&self.check.experimental, false),
        };
        wanted && !names(&self.check.skip, true)
    }

    /// The names of the rules that fail the build, each once; none where findings are only doubts.
    #[must_use]
    pub fn failing(&self, findings: &[Finding]) -> Vec<&'static str> {
        let mut names = Vec::new();
        for finding in findings.iter().filter(|_| self.check.error) {
            if !names.contains(&finding.rule.name) {
                names.push(finding.rule.name);
            }
        }
        names
    }
}
