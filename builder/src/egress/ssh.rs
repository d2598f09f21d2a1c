//! SSH from a step: passed through to the host behind the address, where a rule names its port 22. What
//! travels inside is not seen, and nothing in it names the host: the address alone does.

use std::sync::Arc;

use tokio::net::TcpStream;

use crate::policy::{mirror::Scheme, network::Decision};

use super::{record::RefusalKind, step::Step, tunnel::Tunnel};

/// Serves one connection until either side closes it.
pub(super) async fn serve(stream: TcpStream, step: Arc<Step>) {
    let _ = stream.set_nodelay(true);
    let Ok(destination) = stream.local_addr() else { return };
    let port = Scheme::Ssh.port();
    let Some(name) = step.names().name(destination.ip()) else {
        let address = destination.ip().to_string();
        let remedy = step.direct_remedy(None);
        step.recorder().refuse(&address, port, RefusalKind::DirectAddress, remedy);
        return;
    };
    match step.policy().decide_ssh(&name) {
        Decision::Allow { upstream, rule, .. } => {
            let (scheme, fetched) = (Scheme::Ssh, upstream.clone());
            let tunnel = Tunnel { scheme, name: &name, target: &upstream, fetched, rule };
            // Closing the connection is all that SSH has to say no.
            let _ = tunnel.pass(stream, &[], &step).await;
        }
        Decision::Deny { reason, remedy } => {
            step.recorder().refuse(&name, port, RefusalKind::Request(reason), remedy);
        }
    }
}
