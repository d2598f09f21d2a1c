//! What a build wants of the solver beside the graph.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    named::NamedFiles,
    settings::{Entitlements, FreshStages, StepSettings},
};
use crate::{downloads::Terms, policy::NetworkPolicy, secret::SecretBytes, ssh::SshAgent};

/// Settings of one build that the graph does not hold.
#[derive(Debug, Clone)]
pub struct SolveOptions {
    /// SOURCE_DATE_EPOCH in seconds: no time stamp in a layer is later.
    pub epoch: i64,
    /// An image is made of the result, so its layers are compressed as soon as they are there.
    pub compress: bool,
    /// Do not read the cache.
    pub no_cache: bool,
    /// What cached requests are checked against.
    pub network: Arc<NetworkPolicy>,
    /// What may be taken from elsewhere.
    pub terms: Terms,
    /// What `RUN --mount=type=secret` can have, by id.
    pub secrets: Arc<BTreeMap<String, SecretBytes>>,
    /// What `RUN --mount=type=ssh` can have, by id.
    pub agents: Arc<BTreeMap<String, Arc<SshAgent>>>,
    /// What holds for every RUN step.
    pub settings: StepSettings,
    /// What some steps may have beyond that.
    pub allow: Entitlements,
    /// Stages for which the cache is not read.
    pub fresh: FreshStages,
    /// The files of named contexts, by the name the user wrote.
    pub contexts: Arc<BTreeMap<String, NamedFiles>>,
    /// What tells this Dockerfile from others: where it and its context are.
    pub project: String,
}
