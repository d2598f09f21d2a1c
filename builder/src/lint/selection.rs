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

/// Why the rules end a build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// `error=true` and at least one finding.
    #[error("the check of the Dockerfile failed: {}", .0.join(", "))]
    Broken(Vec<&'static str>),
    /// The build argument cannot be read.
    #[error("{message}")]
    Options {
        /// What is wrong.
        message: String,
        /// What to do.
        help: String,
    },
}

impl CheckError {
    /// What to do.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Broken(_) => {
                "mend what the warnings say, name the rules in # check=skip=…, or leave out error=true"
                    .into()
            }
            Self::Options { help, .. } => help.clone(),
        }
    }
}

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
    /// What is wrong with the build argument.
    pub fn new(
        file: &Dockerfile,
        options: &BuildOptions,
        strict: bool,
    ) -> Result<Self, CheckError> {
        let check = match options.build_args.get(ARGUMENT) {
            Some(Some(text)) => Check::parse(text).map_err(|(message, help)| {
                CheckError::Options { message: format!("{ARGUMENT}: {message}"), help }
            })?,
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

    /// Do the findings let the file be built?
    ///
    /// # Errors
    /// The rules that were broken, where the file wants an error for that.
    pub fn judge(&self, findings: &[Finding]) -> Result<(), CheckError> {
        let mut names = Vec::new();
        for finding in findings.iter().filter(|_| self.check.error) {
            if !names.contains(&finding.rule.name) {
                names.push(finding.rule.name);
            }
        }
        if names.is_empty() { Ok(()) } else { Err(CheckError::Broken(names)) }
    }
}
