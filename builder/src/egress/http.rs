//! Plain HTTP from a step: checked against the policy, sent on, streamed back (RFC 9110, RFC 9112).

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Version,
    body::{Body, Bytes, Incoming},
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TRANSFER_ENCODING},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::policy::{
    mirror::{Scheme, Target},
    network::Decision,
};

use super::{
    body::{CountedBody, Open, RecordedBody},
    exchange::Exchange,
    record::RefusalKind,
    step::Step,
    upstream::{causes, is_private_refusal},
};

type Reply = Response<UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>>;

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
            forward(request, &name, &upstream, rule, step).await
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

async fn forward(
    request: Request<Incoming>,
    name: &str,
    target: &Target,
    rule: String,
    step: &Arc<Step>,
) -> Reply {
    let (head, body) = request.into_parts();
    let query = head.uri.query();
    let asked = Target { scheme: Scheme::Http, host: name.into(), port: 80, ..target.clone() };
    let asked = Target { path: head.uri.path().into(), ..asked }.url(query);
    let fetched = target.url(query);
    let method = head.method;
    let mut exchange =
        Exchange::begin(step.recorder(), method.as_str(), asked.clone(), fetched.clone(), rule);
    let mut outgoing = step
        .upstreams()
        .client(target)
        .request(method.clone(), &fetched)
        .headers(end_to_end(&head.headers));
    if !body.is_end_stream() {
        let counted = CountedBody::new(body, exchange.sent());
        outgoing = outgoing.body(reqwest::Body::wrap(counted));
    }
    let response = match outgoing.send().await {
        Ok(response) => response,
        Err(error) if is_private_refusal(&error) => {
            let lines = crate::policy::network::remedy(name);
            let remedy = format!("{lines}\n  upstream = \"http://{name}\"");
            step.recorder().refuse(name, 80, RefusalKind::PrivateUpstream, remedy.clone());
            exchange.forget();
            return refusal(&format!("the address of '{name}' is private\nhelp: {remedy}"));
        }
        Err(error) => {
            let reason = format!("the upstream did not answer: {}", causes(&error));
            exchange.broken(reason.clone());
            return text(StatusCode::BAD_GATEWAY, &format!("{fetched}: {reason}"));
        }
    };
    exchange.answered(response.status().as_u16());
    pass_back(response, &method, &asked, exchange, step)
}

/// The response for the step, its body recorded as it goes.
fn pass_back(
    response: reqwest::Response,
    method: &Method,
    asked: &str,
    exchange: Exchange,
    step: &Step,
) -> Reply {
    let (mut head, body) = hyper::http::Response::<reqwest::Body>::from(response).into_parts();
    let chunked = head.headers.contains_key(TRANSFER_ENCODING);
    let announced = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let expected: Option<u64> = announced.and_then(|length| length.parse().ok());
    let framed = expected.is_some() || chunked || head.version == Version::HTTP_2;
    let bodiless = method == Method::HEAD
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let reason = incomplete(method, head.status, framed || bodiless);
    head.headers = end_to_end(&head.headers);
    head.version = Version::HTTP_11;
    let keep = reason.is_none() && head.status == StatusCode::OK && method == Method::GET;
    let download = if keep { step.download(asked) } else { None };
    if bodiless || expected == Some(0) {
        Open::new(exchange, Some(0), reason, download).finish();
        return Response::from_parts(head, empty());
    }
    let open = Open::new(exchange, expected, reason, download);
    let recorded = RecordedBody::new(body, open, step.policy().limits().body);
    Response::from_parts(head, recorded.boxed_unsync())
}

/// Why an exchange stays incomplete even when its body came whole.
fn incomplete(method: &Method, status: StatusCode, framed: bool) -> Option<String> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Some(format!("the method is {method}"));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        return Some("only a part was fetched".into());
    }
    // RFC 9112, section 8: without a length, a closed connection may mean a broken one.
    (!framed).then(|| "the upstream announced no length".into())
}

/// What goes through to the other side: not the headers of this one connection (RFC 9110, section
/// 7.6.1), nor those that the client sets by itself.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    const HOP_BY_HOP: [&str; 9] = [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let listed = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let listed: Vec<String> = listed
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    // A client that lists Content-Length here would have the length forgotten and the body
    // misread; it is end-to-end by definition.
    let hop = |name: &str| {
        HOP_BY_HOP.contains(&name)
            || (name != CONTENT_LENGTH.as_str() && listed.iter().any(|listed| listed == name))
    };
    let kept =
        headers.iter().filter(|(name, _)| !hop(name.as_str()) && *name != HOST && *name != EXPECT);
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn refusal(message: &str) -> Reply {
    text(StatusCode::FORBIDDEN, message)
}

/// A message from touchmark itself. The connection ends with it, so that an unread request body cannot
/// be taken for the next request.
fn text(status: StatusCode, message: &str) -> Reply {
    let body = Full::new(Bytes::from(format!("touchmark: {message}\n")));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/plain"));
    headers.insert(CONNECTION, hyper::header::HeaderValue::from_static("close"));
    response
}

fn empty() -> UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync()
}
