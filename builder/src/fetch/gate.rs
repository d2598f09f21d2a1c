//! Who says what may be fetched: the policy for what a Dockerfile names, the user for what the command
//! line names.

use std::sync::Arc;

use url::Url;

use super::FetchError;
use crate::policy::{
    NetworkPolicy,
    care::Care,
    mirror::{Scheme, Target},
    network::Decision,
};

/// The rule in the record of what the command line named.
pub const COMMAND_LINE: &str = "command line";

/// Who decides.
#[derive(Debug, Clone)]
pub enum Gate {
    /// The user named the address in so many words: there is nothing to decide.
    CommandLine,
    /// The network policy decides, request by request.
    Policy(Arc<NetworkPolicy>),
}

/// What may be fetched, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permit {
    pub(crate) target: Target,
    pub(crate) rule: String,
}

impl Gate {
    /// Decides about one URL of HTTP.
    pub(crate) fn permit(&self, url: &Url) -> Result<Permit, FetchError> {
        let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port().unwrap_or(scheme.port());
        let policy = match self {
            Self::CommandLine => {
                let path = url.path().to_owned();
                let target = Target {
                    scheme,
                    host: host.into(),
                    port,
                    path,
                    named: true,
                    care: Care::default(),
                };
                return Ok(Permit { target, rule: COMMAND_LINE.into() });
            }
            Self::Policy(policy) => policy,
        };
        match policy.decide(scheme, host, port, "GET", url.path()) {
            Decision::Allow { upstream, rule, .. } => Ok(Permit { target: upstream, rule }),
            Decision::Deny { reason, remedy } => {
                let host = match port == scheme.port() {
                    true => host.to_owned(),
                    false => format!("{host}:{port}"),
                };
                Err(FetchError::Refused { host, reason, remedy })
            }
        }
    }

    /// May it be reached otherwise than by HTTP?
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::CommandLine)
    }
}
