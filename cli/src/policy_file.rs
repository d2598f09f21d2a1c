//! The policy file on disk.

use std::path::{Path, PathBuf};

use touchmark_builder::policy::Policy;

use crate::{config, error::CliError};

/// The name that is looked for where none is given.
pub(crate) const NAME: &str = "touchmark.toml";

/// A larger policy is none, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A policy, its text, and the directory that its file names are relative to.
#[derive(Debug, Clone, Default)]
pub(crate) struct PolicyFile {
    /// What it says.
    pub(crate) policy: Policy,
    /// Its text; none for the built-in defaults.
    pub(crate) text: Option<String>,
    /// Where it lies.
    pub(crate) dir: PathBuf,
}

/// Reads the policy at `path`; without a path, the built-in defaults.
pub(crate) fn read(path: Option<&Path>) -> Result<PolicyFile, CliError> {
    let Some(path) = path else { return Ok(PolicyFile::default()) };
    let name = path.display().to_string();
    let fault = |reason: String| {
        CliError::usage(format!("the policy '{name}' cannot be read: {reason}"))
            .hint("another policy is given by --policy")
    };
    let bytes = config::read_file(path, MAX_BYTES).map_err(fault)?;
    let text = String::from_utf8(bytes).map_err(|_| fault("it is not UTF-8 text".into()))?;
    let parsed = Policy::parse(&name, &text);
    let mut policy = parsed.map_err(|error| CliError::usage(error.to_string()))?;
    let dir = path.parent().map(Path::to_owned).unwrap_or_default();
    trust(&mut policy, &dir)?;
    Ok(PolicyFile { policy, text: Some(text), dir })
}

/// Reads the authorities that the policy names for its upstreams.
fn trust(policy: &mut Policy, dir: &Path) -> Result<(), CliError> {
    let Some(ca) = policy.network.ca().map(|ca| dir.join(ca)) else { return Ok(()) };
    let fault = |reason: String| {
        CliError::usage(format!("the certificates '{}' cannot be read: {reason}", ca.display()))
            .hint("network.ca of the policy names a file with certificates in PEM, relative to it")
    };
    let pem = config::read_file(&ca, MAX_BYTES).map_err(fault)?;
    match policy.network.trust(&pem) {
        0 => Err(fault("it holds no certificate".into())),
        _ => Ok(()),
    }
}
