//! `--ssh`: the agents and keys that steps may use.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use touchmark_builder::ssh::{AgentKey, SshAgent};

use crate::{config, error::CliError};

/// A larger key file is none, in bytes.
const MAX_KEY: u64 = 64 * 1024;
/// The variable that names the user's agent.
const SOCKET: &str = "SSH_AUTH_SOCK";

/// Reads every `ID[=SOCKET|=KEY[,KEY…]]`. Without a path it is the user's own agent.
pub(super) fn read(specs: &[String]) -> Result<BTreeMap<String, Arc<SshAgent>>, CliError> {
    specs.iter().map(|spec| one(spec)).collect()
}

fn one(spec: &str) -> Result<(String, Arc<SshAgent>), CliError> {
    let (id, paths) = spec.split_once('=').unwrap_or((spec, ""));
    let id = if id.is_empty() { "default" } else { id };
    let paths: Vec<PathBuf> = match paths {
        "" => vec![own_agent(id)?],
        paths => paths.split(',').map(PathBuf::from).collect(),
    };
    let sockets = paths.iter().map(|path| is_socket(id, path)).collect::<Result<Vec<_>, _>>()?;
    let pipe = |path: &PathBuf| fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
    // A pipe, as `<(command)` of a shell, gives its bytes once: to the run inside of the worker.
    if !config::entered() && !sockets.contains(&true) && paths.iter().any(pipe) {
        return Ok((id.to_owned(), Arc::new(SshAgent::Keys(Vec::new()))));
    }
    let agent = match (paths.as_slice(), sockets.contains(&true)) {
        ([path], true) => SshAgent::Socket(path.clone()),
        (_, true) => {
            return Err(CliError::usage(format!("--ssh: '{id}' has a socket among other paths"))
                .hint("name one agent's socket, or key files only"));
        }
        (paths, false) => {
            SshAgent::Keys(paths.iter().map(|path| key(id, path)).collect::<Result<_, _>>()?)
        }
    };
    Ok((id.to_owned(), Arc::new(agent)))
}

fn own_agent(id: &str) -> Result<PathBuf, CliError> {
    config::variable(SOCKET).map(PathBuf::from).ok_or_else(|| {
        CliError::usage(format!("--ssh {id}: {SOCKET} is not set, so there is no SSH agent")).hint(
            format!("start one: eval $(ssh-agent) && ssh-add; or name a key: --ssh {id}=FILE"),
        )
    })
}

fn is_socket(id: &str, path: &Path) -> Result<bool, CliError> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(id, path, &error.to_string()))?;
    Ok(metadata.file_type().is_socket())
}

fn key(id: &str, path: &Path) -> Result<AgentKey, CliError> {
    let file = config::read_file(path, MAX_KEY).map_err(|reason| unreadable(id, path, &reason))?;
    AgentKey::read(&file)
        .map_err(|error| unreadable(id, path, &error.to_string()).hint(error.help()))
}

fn unreadable(id: &str, path: &Path, reason: &str) -> CliError {
    CliError::usage(format!("--ssh: '{id}' cannot use {}: {reason}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_socket_or_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, text) = (dir.path().join("agent"), dir.path().join("text"));
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        fs::write(&text, "ssh-ed25519 AAAA me\n").unwrap();
        let spec = format!("id={}", socket.display());
        let (id, agent) = one(&spec).unwrap();
        assert!(id == "id" && matches!(*agent, SshAgent::Socket(_)));

        let fault = one(&format!("=a,{}", socket.display())).unwrap_err().to_string();
        assert!(fault.starts_with("--ssh: 'default' cannot use a: No such file"), "{fault}");
        let fault = one(&format!("{spec},{}", socket.display())).unwrap_err().to_string();
        assert!(fault.starts_with("--ssh: 'id' has a socket among other paths"), "{fault}");
        let fault = one(&format!("id={}", text.display())).unwrap_err().to_string();
        assert_eq!(
            fault,
            format!(
                "--ssh: 'id' cannot use {}: it is not a private key\n\
                 help: name the private key, not the .pub file beside it",
                text.display()
            )
        );
    }
}
