//! SSH from a step, and whatever it speaks at the ports of the policy's tunnels: passed through to the host behind the
//! address, where a rule names the port. What travels inside is not seen, and nothing in it names the host: the address
//! alone does.

use std::sync::Arc;

use tokio::net::TcpStream;

use crate::policy::{mirror::Scheme, network::Decision};

use super::{record::RefusalKind, step::Step, tunnel::Tunnel};

/// Serves one connection until either side closes it.
pub(super) async fn serve(stream: TcpStream, step: Arc<Step>) {
    let _ = stream.set_nodelay(true);
    let Ok(destination) = stream.local_addr() else { return };
    let port = destination.port();
    let Some(name) = step.names().name(destination.ip()) else {
        let address = destination.ip().to_string();
        let remedy = step.direct_remedy(None);
        step.recorder().refuse(&address, port, RefusalKind::DirectAddress, remedy);
        return;
    };
    let (scheme, decision) = match port == Scheme::Ssh.port() {
        true => (Scheme::Ssh, step.policy().decide_ssh(&name)),
        false => (Scheme::Tcp, step.policy().decide_tcp(&name, port)),
    };
    match decision {
        Decision::Allow { upstream, rule, .. } => {
            let fetched = upstream.clone();
            let tunnel = Tunnel { scheme, name: &name, port, target: &upstream, fetched, rule };
            // Closing the connection is all that there is to say no.
            let _ = tunnel.pass(stream, &[], &step).await;
        }
        Decision::Deny { reason, remedy } => {
            step.recorder().refuse(&name, port, RefusalKind::Request(reason), remedy);
        }
    }
}
