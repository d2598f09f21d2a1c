//! The way to registries: the policy's routes, the user's credentials.

use std::sync::Arc;

use touchmark_builder::{
    policy::RegistriesPolicy,
    registry::{
        client::RegistryClient, credential_helper::HelperProcess, credentials::Credentials,
        transport::TransportOptions,
    },
};

use crate::{config::Config, error::CliError};

/// A client that goes where the policy lets it, as the user that Docker's configuration names.
pub(crate) fn client(
    policy: &RegistriesPolicy,
    config: &Config,
) -> Result<RegistryClient, CliError> {
    let helper = Arc::new(HelperProcess::default());
    let credentials = Credentials::from_docker_config(&config.docker_config, Some(helper))
        .map_err(|error| CliError::usage(error.to_string()))?;
    Ok(RegistryClient::new(
        Arc::new(policy.clone()),
        Arc::new(credentials),
        TransportOptions { proxies: config.proxies.clone(), ..TransportOptions::default() },
    ))
}
