//! A step's socket. It lives as long as the step.

use std::{io, os::unix::net::UnixListener, path::Path, sync::Arc};

use tokio::{net::UnixListener as Listener, task::JoinSet};

use super::SshAgent;

/// Connections that one socket serves at a time; more wait in the kernel.
const CONNECTIONS: usize = 64;

/// A socket that is being served; dropped, it is not any more. The file stays for its directory's owner to
/// remove.
#[derive(Debug)]
pub struct AgentServer {
    #[allow(dead_code, reason = "held for the tasks, which end with it")]
    tasks: JoinSet<()>,
}

impl AgentServer {
    /// Makes the socket at `path`, which must be free, and serves `agent` on it. To be called on the runtime
    /// that will serve.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn open(path: &Path, agent: Arc<SshAgent>) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        let listener = Listener::from_std(listener)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, agent));
        Ok(Self { tasks })
    }
}

async fn serve(listener: Listener, agent: Arc<SshAgent>) {
    let mut connections = JoinSet::new();
    loop {
        let room = connections.len() < CONNECTIONS;
        tokio::select! {
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, _)) => {
                    let agent = agent.clone();
                    connections.spawn(async move { agent.serve(stream).await });
                }
                // Out of descriptors, mostly: the next attempt may find one.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            },
        }
    }
}

#[cfg(test)]
mod tests;
