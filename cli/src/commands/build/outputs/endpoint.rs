//! Where a Docker or a containerd listens that an image can be loaded into: what the output says, else
//! the environment, else Docker's own contexts, else the usual places.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use touchmark_builder::{
    export::outputs::{DockerEndpoint, ImageTarget},
    oci::digest::Digest,
};

use crate::{
    config::{self, Config, read_file},
    error::CliError,
};

/// Docker's usual socket.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// containerd's.
const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";
/// The namespace in which nerdctl and ctr look first.
const NAMESPACE: &str = "default";
/// A larger context is none, in bytes.
const MAX_CONTEXT: u64 = 1024 * 1024;

/// The places where a Docker may listen, the first that answers counts.
pub(super) fn docker(
    context: Option<&str>,
    config: &Config,
) -> Result<Vec<DockerEndpoint>, CliError> {
    let directory = config.docker_config.parent().unwrap_or(Path::new("."));
    let named = |name: &str| match name {
        "" | "default" => Ok(None),
        name => Ok(Some(vec![endpoint(&host_of(name, directory)?)?])),
    };
    if let Some(name) = context {
        return Ok(named(name)?.unwrap_or_else(|| usual(config)));
    }
    if let Some(host) = config::text_variable("DOCKER_HOST")? {
        return Ok(vec![endpoint(&host)?]);
    }
    let current = match config::text_variable("DOCKER_CONTEXT")? {
        Some(name) => Some(name),
        None => current(&config.docker_config),
    };
    match current {
        Some(name) => Ok(named(&name)?.unwrap_or_else(|| usual(config))),
        None => Ok(usual(config)),
    }
}

/// The containerd of these keys, else of the environment that nerdctl and ctr read.
pub(super) fn containerd(
    address: Option<&str>,
    namespace: Option<&str>,
) -> Result<ImageTarget, CliError> {
    let given = |value: Option<&str>, variable: &str, usual: &str| match value {
        Some(value) => Ok(value.to_owned()),
        None => Ok(config::text_variable(variable)?.unwrap_or_else(|| usual.into())),
    };
    let address = given(address, "CONTAINERD_ADDRESS", CONTAINERD_SOCKET)?;
    let socket = PathBuf::from(address.strip_prefix("unix://").unwrap_or(&address));
    let namespace = given(namespace, "CONTAINERD_NAMESPACE", NAMESPACE)?;
    Ok(ImageTarget::Containerd { socket, namespace })
}

/// Of a Docker of the whole machine, of a rootless one, of Docker Desktop.
fn usual(config: &Config) -> Vec<DockerEndpoint> {
    let rootless = config.xdg_runtime_dir.as_ref().map(|dir| dir.join("docker.sock"));
    let desktop = config.docker_config.parent().map(|dir| dir.join("run/docker.sock"));
    let all = [Some(PathBuf::from(DOCKER_SOCKET)), rootless, desktop];
    all.into_iter().flatten().map(DockerEndpoint::Unix).collect()
}

fn endpoint(host: &str) -> Result<DockerEndpoint, CliError> {
    if let Some(path) = host.strip_prefix("unix://") {
        return Ok(DockerEndpoint::Unix(path.into()));
    }
    let tls = config::variable("DOCKER_TLS_VERIFY").is_some();
    match host.strip_prefix("tcp://").or_else(|| host.strip_prefix("http://")) {
        Some(address) if !tls => Ok(DockerEndpoint::Tcp(address.trim_end_matches('/').into())),
        _ => Err(CliError::usage(format!(
            "touchmark cannot speak to the Docker at '{}'",
            crate::ui::text::harmless(host)
        ))
        .hint("it speaks to unix:// sockets and, without TLS, to tcp:// addresses")
        .hint("or pipe the image there: touchmark build -o type=docker,dest=- … | docker load")),
    }
}

/// `currentContext` of Docker's configuration, where there is one.
fn current(file: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct DockerConfig {
        #[serde(rename = "currentContext")]
        current_context: Option<String>,
    }
    let bytes = read_file(file, MAX_CONTEXT).ok()?;
    serde_json::from_slice::<DockerConfig>(&bytes).ok()?.current_context
}

/// The host of a context; Docker keeps it in a directory named by the digest of the context's name.
fn host_of(name: &str, directory: &Path) -> Result<String, CliError> {
    let hex = Digest::of(name.as_bytes()).hex();
    let path = directory.join("contexts/meta").join(hex).join("meta.json");
    let fault = |reason: &str| {
        let shown = crate::ui::text::harmless(name);
        CliError::usage(format!("the Docker context '{shown}' cannot be read: {reason}"))
            .hint("'docker context ls' lists those that there are")
    };
    let bytes = read_file(&path, MAX_CONTEXT).map_err(|error| fault(&error))?;
    let meta: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| fault(&error.to_string()))?;
    let host = meta["Endpoints"]["docker"]["Host"].as_str();
    host.map(ToOwned::to_owned).ok_or_else(|| fault("it names no host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_found_under_the_digest_of_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let meta = dir.path().join("contexts/meta").join(Digest::of(b"far").hex());
        std::fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"far","Endpoints":{"docker":{"Host":"tcp://192.0.2.1:2375"}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        let host = host_of("far", dir.path()).unwrap();
        assert_eq!(endpoint(&host).unwrap(), DockerEndpoint::Tcp("192.0.2.1:2375".into()));
        assert!(
            host_of("near", dir.path())
                .unwrap_err()
                .to_string()
                .starts_with("the Docker context 'near' cannot be read: No such file or directory")
        );
    }

    #[test]
    fn hosts_that_need_another_protocol_are_refused_with_the_way_round() {
        assert_eq!(
            endpoint("unix:///run/docker.sock").unwrap(),
            DockerEndpoint::Unix("/run/docker.sock".into())
        );
        assert_eq!(
            endpoint("ssh://me@host.example").unwrap_err().to_string(),
            "touchmark cannot speak to the Docker at 'ssh://me@host.example'\n\
             help: it speaks to unix:// sockets and, without TLS, to tcp:// addresses\n\
             help: or pipe the image there: touchmark build -o type=docker,dest=- … | docker load"
        );
    }
}
