//! Plain HTTP from a step: checked against the policy, sent on, streamed back (RFC 9110, RFC 9112).

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use hyper::{
    Request, StatusCode, Version, body::Incoming, header::HOST, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::policy::{mirror::Scheme, network::Decision};

use super::{
    record::RefusalKind,
    relay::{Asked, Reply, refusal, relay, text},
    step::Step,
};

/// A client has this long for the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// Bound on the head of a request.
const HEAD_BYTES: usize = 64 << 10;

/// Serves one connection until either side closes it.
pub(super) async fn serve(stream: TcpStream, step: Arc<Step>) {
    let Ok(destination) = stream.local_addr() else { return };
    // Heads and bodies are written apart; waiting to join them costs a round trip.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let step = step.clone();
        async move { Ok::<Reply, Infallible>(handle(request, destination.ip(), &step).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // The client went away or sent no HTTP; what there was to record is recorded.
    if let Err(error) = served {
        tracing::debug!(%error, "a step's connection ended");
    }
}

async fn handle(request: Request<Incoming>, destination: IpAddr, step: &Arc<Step>) -> Reply {
    let name = match destination_name(&request, destination, step) {
        Ok(name) => name,
        Err(reply) => return *reply,
    };
    let path = request.uri().path();
    let decision = step.policy().decide(Scheme::Http, &name, 80, request.method().as_str(), path);
    match decision {
        Decision::Deny { reason, remedy } => {
            step.recorder().refuse(&name, 80, RefusalKind::Request(reason.clone()), remedy.clone());
            refusal(&format!("{reason}\nhelp: {remedy}"))
        }
        Decision::Allow { upstream, rule, .. } => {
            let (scheme, host, port) = (Scheme::Http, name, 80);
            let asked = Asked { scheme, host, port, target: upstream, rule };
            relay(request, &asked, step).await
        }
    }
}

/// The name behind the address that the step connected to, which has to be the one that the request
/// names: else a request for one host could travel on the permission of another.
fn destination_name(
    request: &Request<Incoming>,
    destination: IpAddr,
    step: &Step,
) -> Result<String, Box<Reply>> {
    let asked = match request_host(request) {
        Ok(asked) => asked,
        Err(fault) => return Err(Box::new(text(StatusCode::BAD_REQUEST, fault))),
    };
    let Some(name) = step.names().name(destination) else {
        let remedy = step.direct_remedy(asked.as_deref());
        let message = format!("no name is known behind {destination}\nhelp: {remedy}");
        let address = destination.to_string();
        step.recorder().refuse(&address, 80, RefusalKind::DirectAddress, remedy);
        return Err(Box::new(refusal(&message)));
    };
    match asked {
        Some(asked) if asked != name => {
            let remedy = "send each request to the host that it names".to_owned();
            let message = format!("this connection is for '{name}', not for '{asked}'");
            step.recorder().refuse(&name, 80, RefusalKind::OtherHost(asked), remedy);
            Err(Box::new(refusal(&message)))
        }
        _ => Ok(name),
    }
}

/// The host of the request line and of the Host header, lower case and without port 80. None where an
/// HTTP/1.0 request names none.
fn request_host(request: &Request<Incoming>) -> Result<Option<String>, &'static str> {
    let header = match request.headers().get_all(HOST).iter().collect::<Vec<_>>().as_slice() {
        [] => None,
        [host] => Some(host.to_str().map_err(|_| "the Host header is not text")?),
        _ => return Err("there is more than one Host header"),
    };
    let line = request.uri().authority().map(|authority| authority.as_str());
    let plain = |host: &str| {
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(":80").unwrap_or(&host);
        host.trim_end_matches('.').chars().filter(|c| !c.is_control()).take(300).collect::<String>()
    };
    match (header.map(plain), line.map(plain)) {
        (None, None) if request.version() == Version::HTTP_10 => Ok(None),
        (None, None) => Err("there is no Host header"),
        (Some(header), Some(line)) if header != line => {
            Err("the Host header differs from the request line")
        }
        (Some(host), _) | (None, Some(host)) => Ok(Some(host)),
    }
}
