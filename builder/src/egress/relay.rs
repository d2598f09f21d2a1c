//! A request that the policy lets through, whatever it came by: sent on, streamed back (RFC 9110).

use std::sync::Arc;

use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri, Version,
    body::{Body, Bytes, Incoming},
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TRANSFER_ENCODING},
};

use crate::{
    downloads::{Breach, DownloadStore, StoredAnswer},
    policy::{
        care::Care,
        mirror::{Scheme, Target},
    },
};

use super::{
    allowance::Allowance,
    body::{CountedBody, Open, RecordedBody},
    conditional::unconditional,
    errand::{Errand, now},
    exchange::Exchange,
    flight::End,
    from_store,
    query::Query,
    record::RefusalKind,
    step::Step,
    through_proxy::PROXY_REMEDY,
    upstream::Unanswered,
};

/// An answer for the step.
pub(super) type Reply = Response<UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>>;

/// A request that the policy lets through.
#[derive(Debug)]
pub(super) struct Asked {
    /// How the step speaks.
    pub(super) scheme: Scheme,
    /// The host that it asks.
    pub(super) host: String,
    /// The port that it asks.
    pub(super) port: u16,
    /// Where that is fetched from.
    pub(super) target: Target,
    /// The rule that allows it.
    pub(super) rule: String,
}

impl Asked {
    /// The address as the step asked for it.
    fn url(&self, uri: &Uri) -> String {
        let (host, port, path) = (self.host.clone(), self.port, uri.path().to_owned());
        Target { scheme: self.scheme, host, port, path, named: false, care: Care::default() }
            .url(uri.query())
    }
}

/// Sends the request on, and the answer back: through the download store where it only reads.
pub(super) async fn relay(request: Request<Incoming>, asked: &Asked, step: &Arc<Step>) -> Reply {
    let (head, body) = request.into_parts();
    let url = asked.url(&head.uri);
    let fetched = asked.target.url(head.uri.query());
    let (method, rule) = (head.method, asked.rule.clone());
    let mut exchange =
        Exchange::begin(step.recorder(), method.as_str(), url.clone(), fetched.clone(), rule);
    let headers = end_to_end(&head.headers);
    let reads = matches!(method, Method::GET | Method::HEAD) && body.is_end_stream();
    let store = step.store().filter(|_| reads);
    if let Some(store) = step.store().filter(|_| Query::begins(&method, head.uri.path(), &headers))
    {
        let Some(query) = Query::read(body, &headers).await else {
            exchange.broken("the step broke off".into());
            return text(StatusCode::BAD_REQUEST, "the request's body did not come");
        };
        exchange.asks(&query);
        if step.terms().offline {
            let what = (&*query.method(), url.as_str(), fetched.as_str());
            return from_store::offline(store, what, &headers, exchange, step).await;
        }
        let wanted = Wanted { url, fetched, headers, query: Some(query) };
        return fetch(wanted, store, asked, exchange, step).await;
    }
    match store {
        Some(store) if step.terms().offline => {
            let what = (method.as_str(), url.as_str(), fetched.as_str());
            from_store::offline(store, what, &headers, exchange, step).await
        }
        Some(store) if method == Method::GET => {
            let wanted = Wanted { url, fetched, headers, query: None };
            fetch(wanted, store, asked, exchange, step).await
        }
        _ if step.terms().offline => {
            let what = format!("{method} {url}");
            from_store::breached(Breach::Missing { what }, exchange, step)
        }
        _ => {
            let (headers, answers) = match method {
                Method::HEAD if store.is_some() => (unconditional(&headers), true),
                _ => (headers, false),
            };
            let kept =
                store.filter(|_| answers).map(|store| Kept { store, url, fetched: &fetched });
            let send = Sent { method, headers, body, fetched: &fetched };
            forward(send, asked, kept, exchange, step).await
        }
    }
}

/// A request whose answer goes into the download store.
struct Wanted {
    url: String,
    fetched: String,
    headers: HeaderMap,
    query: Option<Query>,
}

async fn fetch(
    Wanted { url, fetched, headers, query }: Wanted,
    store: &DownloadStore,
    asked: &Asked,
    exchange: Exchange,
    step: &Arc<Step>,
) -> Reply {
    let errand = Errand {
        upstreams: step.upstreams().clone(),
        target: asked.target.clone(),
        url,
        fetched: fetched.clone(),
        headers: unconditional(&headers),
        query,
        store: store.clone(),
        terms: step.terms().clone(),
    };
    let flight = step.flights().join(errand);
    match from_store::pass_on(flight, &headers, exchange, step).await {
        Ok(reply) => reply,
        Err(End::Private) => private(asked, step),
        Err(End::Broken(reason)) => unanswered(&fetched, &reason, asked, step),
        Err(End::Whole(..)) => unanswered(&fetched, "it has no head", asked, step),
    }
}

/// A request that is sent on as it is.
struct Sent<'a> {
    method: Method,
    headers: HeaderMap,
    body: Incoming,
    fetched: &'a str,
}

/// Where the answer to a HEAD is kept.
struct Kept<'a> {
    store: &'a DownloadStore,
    url: String,
    fetched: &'a str,
}

impl Kept<'_> {
    /// Keeps it, for who asks without a network.
    fn keep(self, status: StatusCode, answer: &HeaderMap, request: &HeaderMap) {
        if !StoredAnswer::may_be_kept(status.as_u16()) {
            return;
        }
        let Ok(digest) = self.store.content().put(b"") else { return };
        self.store.keep(StoredAnswer {
            method: "HEAD".into(),
            url: self.url,
            fetched_url: self.fetched.to_owned(),
            variant: StoredAnswer::variant_of(answer, request),
            status: status.as_u16(),
            headers: StoredAnswer::kept_headers(answer),
            digest,
            size: 0,
            checked: now(),
        });
    }
}

async fn forward(
    Sent { method, headers, body, fetched }: Sent<'_>,
    asked: &Asked,
    kept: Option<Kept<'_>>,
    mut exchange: Exchange,
    step: &Arc<Step>,
) -> Reply {
    let upstreams = step.upstreams();
    let mut outgoing = upstreams.request(&asked.target, method.clone(), fetched);
    outgoing = outgoing.headers(headers.clone());
    if !body.is_end_stream() {
        let counted = CountedBody::new(body, exchange.sent(), step.patience().idle);
        outgoing = outgoing.body(reqwest::Body::wrap(counted));
    }
    let response = match upstreams.send(&asked.target, outgoing).await {
        Ok(response) => response,
        Err(Unanswered::Private) => {
            exchange.forget();
            return private(asked, step);
        }
        Err(Unanswered::Broken(reason)) => {
            let reason = format!("the upstream did not answer: {reason}");
            exchange.broken(reason.clone());
            return unanswered(fetched, &reason, asked, step);
        }
    };
    if let Some(reason) = ambiguous(response.headers()) {
        exchange.broken(reason.into());
        return unanswered(fetched, reason, asked, step);
    }
    exchange.answered(response.status().as_u16());
    let allowance = upstreams.allowance(&asked.target);
    let announced = response.content_length().filter(|_| method != Method::HEAD);
    if let Err(reason) = allowance.expect(announced.unwrap_or(0)) {
        exchange.broken(reason.clone());
        return unanswered(fetched, &reason, asked, step);
    }
    if let Some(kept) = kept {
        kept.keep(response.status(), &end_to_end(response.headers()), &headers);
    }
    pass_back(response, &method, exchange, allowance)
}

/// Where a proxy is at fault, the build's report says so, too: no client of a step can know.
fn unanswered(fetched: &str, reason: &str, asked: &Asked, step: &Step) -> Reply {
    let by_proxy = step.upstreams().proxy(&asked.target);
    let remedy = match by_proxy.filter(|proxy| reason.contains(&proxy.to_string())) {
        Some(_) => Some(PROXY_REMEDY.into()),
        None if reason.contains("(limits.") => Some(format!(
            "where that much is expected, raise the limit in touchmark.toml, under [network.limits] or for this mirror:\n  \
             [[network.mirror]]\n  host = \"{}\"\n  limits = {{ body-bytes = …, total-bytes = … }}",
            asked.host
        )),
        None => None,
    };
    if let Some(remedy) = remedy {
        let kind = RefusalKind::Request(reason.to_owned());
        step.recorder().refuse(&asked.host, asked.port, kind, remedy);
    }
    text(StatusCode::BAD_GATEWAY, &format!("{fetched}: {reason}"))
}

/// The refusal of an upstream whose address is private.
fn private(asked: &Asked, step: &Step) -> Reply {
    let Asked { host, port, scheme, .. } = asked;
    let lines = crate::policy::network::remedy(host);
    let remedy = format!("{lines}\n  upstream = \"{scheme}://{host}\"");
    step.recorder().refuse(host, *port, RefusalKind::PrivateUpstream, remedy.clone());
    refusal(&format!("the address of '{host}' is private\nhelp: {remedy}"))
}

/// The response for the step, its body recorded as it goes.
fn pass_back(
    response: reqwest::Response,
    method: &Method,
    exchange: Exchange,
    allowance: Allowance,
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
    if bodiless || expected == Some(0) {
        Open::new(exchange, Some(0), reason).finish();
        return Response::from_parts(head, empty());
    }
    let open = Open::new(exchange, expected, reason);
    let recorded = RecordedBody::new(body, open, allowance);
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

/// Why two readers could see two bodies in an answer: its length is told twice, and may be an attempt to hide one answer
/// in another (RFC 9112, section 6.3).
pub(super) fn ambiguous(answer: &HeaderMap) -> Option<&'static str> {
    let twice = answer.contains_key(TRANSFER_ENCODING) && answer.contains_key(CONTENT_LENGTH);
    twice.then_some("the upstream's answer has a length and chunks too, so its end is not certain")
}

/// What goes through to the other side: not the headers of this one connection (RFC 9110, section
/// 7.6.1), nor those that the client sets by itself.
pub(super) fn end_to_end(headers: &HeaderMap) -> HeaderMap {
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

pub(super) fn refusal(message: &str) -> Reply {
    text(StatusCode::FORBIDDEN, message)
}

/// A message from touchmark itself. The connection ends with it, so that an unread request body cannot
/// be taken for the next request.
pub(super) fn text(status: StatusCode, message: &str) -> Reply {
    let body = Full::new(Bytes::from(format!("touchmark: {message}\n")));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/plain"));
    headers.insert(CONNECTION, hyper::header::HeaderValue::from_static("close"));
    response
}

pub(super) fn empty() -> UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync()
}
