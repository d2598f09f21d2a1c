//! HTTP from a step, in the clear or out of TLS: checked against the policy, sent on, streamed back (RFC 9110,
//! RFC 9112, RFC 9113).

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use hyper::{
    Method, Request, StatusCode, Version,
    body::Incoming,
    header::{HOST, UPGRADE},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::policy::{mirror::Scheme, network::Decision};

use super::{
    patience::{Served, Turn},
    record::RefusalKind,
    relay::{Asked, Reply, refusal, relay, text},
    step::Step,
};

/// Bound on the head of a request.
const HEAD_BYTES: usize = 64 << 10;
/// The same for HTTP/2, which counts it unpacked.
const HEAD_LIST: u32 = 64 << 10;
/// Requests of one HTTP/2 connection at a time; more wait.
const STREAMS: u32 = 100;
/// Bytes of a request that HTTP/2 takes before they are asked for, and of an answer before they are sent.
const STREAM_BYTES: u32 = 256 << 10;

/// What is known of a connection before its first request.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// How the bytes travel between the step and this process.
    pub(super) scheme: Scheme,
    /// The address that the step connected to, behind which a name stands.
    pub(super) destination: IpAddr,
}

/// The version of HTTP that both sides speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// HTTP/1.1 and older (RFC 9112).
    One,
    /// HTTP/2 (RFC 9113).
    Two,
}

/// Serves one connection in the clear until either side closes it.
pub(super) async fn serve(stream: TcpStream, step: Arc<Step>) {
    let Ok(destination) = stream.local_addr() else { return };
    // Heads and bodies are written apart; waiting to join them costs a round trip.
    let _ = stream.set_nodelay(true);
    let line = Line { scheme: Scheme::Http, destination: destination.ip() };
    converse(stream, line, Dialect::One, step).await;
}

/// Serves the requests that come over `stream` until either side closes it.
pub(super) async fn converse<S>(stream: S, line: Line, dialect: Dialect, step: Arc<Step>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let turn = Turn::default();
    let (watched, patience) = (turn.clone(), step.clone());
    let service = service_fn(move |request| {
        let (step, line, turn) = (step.clone(), line.clone(), turn.clone());
        async move {
            let ours = turn.take();
            let place = step.patience().request().await;
            let reply = handle(request, &line, &step).await;
            drop(ours);
            Ok::<_, Infallible>(reply.map(|body| Served::new(body, turn, place)))
        }
    });
    let (stream, patience) = (TokioIo::new(stream), patience.patience());
    let serving = async {
        match dialect {
            Dialect::One => {
                let mut server = http1::Builder::new();
                server.timer(TokioTimer::new()).header_read_timeout(patience.head);
                server.max_buf_size(HEAD_BYTES).serve_connection(stream, service).await
            }
            Dialect::Two => {
                let mut server = http2::Builder::new(TokioExecutor::new());
                server.timer(TokioTimer::new()).max_header_list_size(HEAD_LIST);
                server.initial_stream_window_size(STREAM_BYTES);
                server.initial_connection_window_size(STREAM_BYTES);
                server.max_send_buf_size(STREAM_BYTES as usize);
                // A client that is gone without a word is noticed by its silence.
                server.keep_alive_interval(patience.head).keep_alive_timeout(patience.head);
                server.max_concurrent_streams(STREAMS);
                server.serve_connection(stream, service).await
            }
        }
    };
    let served = tokio::select! {
        served = serving => served.err().map(|error| error.to_string()),
        () = watched.until_idle(patience.idle) => Some("its client did nothing".to_owned()),
    };
    // The client went away or sent no HTTP; what there was to record is recorded.
    if let Some(reason) = served {
        tracing::debug!(reason, "a step's connection ended");
    }
}

async fn handle(request: Request<Incoming>, line: &Line, step: &Arc<Step>) -> Reply {
    let name = match destination_name(&request, line, step) {
        Ok(name) => name,
        Err(reply) => return *reply,
    };
    let (scheme, port) = (line.scheme, line.scheme.port());
    if let Some(protocol) = other_protocol(&request) {
        let reason =
            format!("it asks for another protocol ({protocol}), which hides what is fetched");
        let remedy = "use plain requests, which can be recorded".to_owned();
        let message = format!("{reason}\nhelp: {remedy}");
        step.recorder().refuse(&name, port, RefusalKind::Request(reason), remedy);
        return refusal(&message);
    }
    let path = request.uri().path();
    let decision = step.policy().decide(scheme, &name, port, request.method().as_str(), path);
    match decision {
        Decision::Deny { reason, remedy } => {
            let kind = RefusalKind::Request(reason.clone());
            step.recorder().refuse(&name, port, kind, remedy.clone());
            refusal(&format!("{reason}\nhelp: {remedy}"))
        }
        Decision::Allow { upstream, rule, .. } => {
            let asked = Asked { scheme, host: name, port, target: upstream, rule };
            relay(request, &asked, step).await
        }
    }
}

/// The protocol that the connection is to be given to, in print: a tunnel, or what an Upgrade header names (RFC 9110,
/// sections 7.8 and 9.3.6). The offer to go on in HTTP/2 may be passed over, so it is.
fn other_protocol(request: &Request<Incoming>) -> Option<String> {
    if request.method() == Method::CONNECT {
        return Some("CONNECT".into());
    }
    let asked = request.headers().get_all(UPGRADE).iter();
    let asked = asked.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let asked = asked.map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase());
    let other = asked.into_iter().find(|name| !name.is_empty() && name != "h2c")?;
    Some(other.chars().filter(|c| !c.is_control()).take(40).collect())
}

/// The name behind the address that the step connected to, which has to be the one that the request
/// names: else a request for one host could travel on the permission of another.
fn destination_name(
    request: &Request<Incoming>,
    line: &Line,
    step: &Step,
) -> Result<String, Box<Reply>> {
    let (destination, port) = (line.destination, line.scheme.port());
    let asked = match request_host(request, port) {
        Ok(asked) => asked,
        Err(fault) => return Err(Box::new(text(StatusCode::BAD_REQUEST, fault))),
    };
    let Some(name) = step.names().name(destination) else {
        let remedy = step.direct_remedy(asked.as_deref());
        let message = format!("no name is known behind {destination}\nhelp: {remedy}");
        let address = destination.to_string();
        step.recorder().refuse(&address, port, RefusalKind::DirectAddress, remedy);
        return Err(Box::new(refusal(&message)));
    };
    match asked {
        Some(asked) if asked != name => {
            let remedy = "send each request to the host that it names".to_owned();
            let message = format!("this connection is for '{name}', not for '{asked}'");
            step.recorder().refuse(&name, port, RefusalKind::OtherHost(asked), remedy);
            Err(Box::new(text(StatusCode::MISDIRECTED_REQUEST, &message)))
        }
        _ => Ok(name),
    }
}

/// The host of the request line and of the Host header, lower case and without `usual`, the port that goes
/// without saying. None where an HTTP/1.0 request names none.
fn request_host(request: &Request<Incoming>, usual: u16) -> Result<Option<String>, &'static str> {
    let header = match request.headers().get_all(HOST).iter().collect::<Vec<_>>().as_slice() {
        [] => None,
        [host] => Some(host.to_str().map_err(|_| "the Host header is not text")?),
        _ => return Err("there is more than one Host header"),
    };
    let line = request.uri().authority().map(|authority| authority.as_str());
    let usual = format!(":{usual}");
    let plain = |host: &str| {
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(&usual).unwrap_or(&host);
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
