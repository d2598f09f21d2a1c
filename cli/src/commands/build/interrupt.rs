//! What ends a build before its time: Ctrl-C, SIGTERM, and Docker when it runs this as a plugin.

use std::{
    io,
    os::{linux::net::SocketAddrExt, unix::net},
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::AsyncReadExt,
    net::UnixStream,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::config;

/// Names the socket that Docker closes when it was interrupted.
const PLUGIN_SOCKET: &str = "DOCKER_CLI_PLUGIN_SOCKET";

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Was the build interrupted?
pub(in crate::commands) fn was_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// From now on an interruption ends the build in order: running steps are killed, nothing is published.
pub(super) fn watch(cancel: &CancellationToken) {
    let cancel = cancel.clone();
    tokio::spawn(async move {
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
            () = dockers_end() => {}
        }
        INTERRUPTED.store(true, Ordering::Relaxed);
        cancel.cancel();
    });
}

/// Ends when Docker lets go of its plugins; never where Docker did not start this.
async fn dockers_end() {
    if let Ok(Some(name)) = config::text_variable(PLUGIN_SOCKET)
        && let Ok(mut socket) = connect(&name)
    {
        let mut byte = [0];
        while matches!(socket.read(&mut byte).await, Ok(1)) {}
        return;
    }
    std::future::pending().await
}

/// A path, or with `@` in front a name in the abstract namespace.
fn connect(name: &str) -> io::Result<UnixStream> {
    let socket = match name.strip_prefix('@') {
        Some(name) => net::UnixStream::connect_addr(&net::SocketAddr::from_abstract_name(name)?)?,
        None => net::UnixStream::connect(name)?,
    };
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}
