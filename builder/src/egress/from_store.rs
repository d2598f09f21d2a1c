//! A GET or HEAD that is answered out of the download store: with what was just fetched into it, or, without a network,
//! with what is there.

use std::{io, ops::Range, os::unix::fs::FileExt, sync::Arc};

use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::{Bytes, Frame},
    header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderValue},
};

use crate::{
    downloads::{Breach, DownloadStore, StoredAnswer},
    oci::digest::Digest,
};

use super::{
    claim::Claim,
    conditional::{Portion, portion},
    errand::verified,
    exchange::Exchange,
    flight::{End, Flight, Head},
    relay::{Reply, empty, text},
    step::Step,
};

/// Bytes that are read from a file at a time.
const PIECE: usize = 128 << 10;
/// A body of at most so many bytes is there before a client notices that it waits.
const SMALL: u64 = 256 << 10;
/// Under a lock, a body of at most so many bytes is seen by the step only after all of it was found to be right; a client
/// would not wait for the beginning of a larger one, which lacks its end until then.
const SPOOLED: u64 = 32 << 20;

/// A body on its way to the step.
struct Reading {
    claim: Claim,
    head: Arc<Head>,
    offset: u64,
}

/// Answers with what `flight` brings. `request` are the step's own headers.
pub(super) async fn pass_on(
    flight: Arc<Flight>,
    request: &HeaderMap,
    exchange: Exchange,
    step: &Arc<Step>,
) -> Result<Reply, End> {
    let locked = step.terms().lock.is_some();
    let asks_less = super::conditional::unconditional(request).len() != request.len();
    let mut claim = Claim::new(flight, exchange, step.clone());
    let now = claim.flight().until(|now| now.head.is_some()).await;
    let head = match (now.head, now.end) {
        (Some(head), _) => head,
        (None, Some(End::Private)) => {
            claim.forget();
            return Err(End::Private);
        }
        (None, end) => {
            let end = end.unwrap_or_else(|| End::Broken("it was broken off".into()));
            if let End::Broken(reason) = &end {
                claim.broken(reason);
            }
            return Err(end);
        }
    };
    if let Some(exchange) = claim.exchange() {
        exchange.answered(head.status.as_u16());
    }
    // A client that wants no page of an error, or no more of a small file, breaks off without being asked; it got an
    // answer all the same.
    let small = head.announced.is_some_and(|size| size <= SMALL) || head.status != StatusCode::OK;
    let bounded = head.announced.is_none_or(|size| size <= SPOOLED);
    let spooled = asks_less || small || (locked && bounded);
    let flight = claim.flight();
    let end = if spooled { flight.until(|_| false).await.end } else { flight.end() };
    match end {
        Some(End::Whole(digest, size)) => Ok(match claim.whole(&head, digest, size) {
            Ok(()) => whole(&head, request, size),
            Err(breach) => text(StatusCode::BAD_GATEWAY, &breach.to_string()),
        }),
        Some(End::Broken(reason)) if spooled => {
            claim.broken(&reason);
            Err(End::Broken(reason))
        }
        _ => Ok(streamed(claim, head)),
    }
}

/// The refusal of something that is not what it has to be.
pub(super) fn breached(breach: Breach, exchange: Exchange, step: &Step) -> Reply {
    let told = breach.to_string();
    exchange.broken("it was refused".into());
    step.recorder().breach(breach);
    text(StatusCode::BAD_GATEWAY, &told)
}

/// The answer to a client's request, of a body that is there.
fn whole(head: &Arc<Head>, request: &HeaderMap, size: u64) -> Reply {
    let portion = portion(request, head.status, &head.headers, size);
    let (status, range) = match &portion {
        Portion::Whole => (head.status, 0..size),
        Portion::Part(range) => (StatusCode::PARTIAL_CONTENT, range.clone()),
        Portion::NotModified => (StatusCode::NOT_MODIFIED, 0..0),
        Portion::Failed => (StatusCode::PRECONDITION_FAILED, 0..0),
        Portion::Beyond => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    };
    let length = range.end - range.start;
    let mut reply = Response::new(match length {
        0 => empty(),
        _ => file_body(head.clone(), range.clone()),
    });
    *reply.status_mut() = status;
    *reply.headers_mut() = head.headers.clone();
    let headers = reply.headers_mut();
    let content_range = match portion {
        Portion::Part(range) => Some(format!("bytes {}-{}/{size}", range.start, range.end - 1)),
        Portion::Beyond => Some(format!("bytes */{size}")),
        _ => None,
    };
    if let Some(value) = content_range.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(CONTENT_RANGE, value);
    }
    match status {
        StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT => drop(headers.remove(CONTENT_LENGTH)),
        _ => drop(headers.insert(CONTENT_LENGTH, length.into())),
    }
    reply
}

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn file_body(head: Arc<Head>, range: Range<u64>) -> Body {
    let pieces = stream::unfold((head, range), |(head, mut range)| async move {
        if range.is_empty() {
            return None;
        }
        let piece = piece(&head, range.clone());
        range.start += piece.as_ref().map_or(u64::MAX, |piece| piece.len() as u64).min(range.end);
        Some((piece.map(Frame::data).map_err(BoxError::from), (head, range)))
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// The first bytes of a range. They were just written or just read, so that no disk is waited for.
fn piece(head: &Head, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX).min(PIECE);
    let mut bytes = vec![0; length];
    let count = head.file.read_at(&mut bytes, range.start)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(count);
    Ok(bytes.into())
}

/// The answer while its body still comes.
fn streamed(claim: Claim, head: Arc<Head>) -> Reply {
    let (status, headers) = (head.status, head.headers.clone());
    let reading = Reading { claim, head, offset: 0 };
    let pieces = stream::try_unfold(reading, |mut reading| async move {
        let piece = reading.next().await?;
        Ok::<_, BoxError>(piece.map(|piece| (Frame::data(piece), reading)))
    });
    let mut reply = Response::new(StreamBody::new(pieces).boxed_unsync());
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    reply
}

impl Reading {
    /// The next bytes; none at the end. The last ones are held back until all of it was found to be right: a server does
    /// not ask a body of known length for its end.
    async fn next(&mut self) -> Result<Option<Bytes>, BoxError> {
        let offset = self.offset;
        let announced = self.head.announced;
        let ready = |length: u64| length > offset && announced.is_none_or(|all| length < all);
        let now = self.claim.flight().until(|now| ready(now.length)).await;
        match now.end {
            None => {}
            Some(End::Whole(digest, size)) => {
                let whole = self.claim.whole(&self.head, digest, size);
                whole.map_err(|breach| breach.to_string())?;
            }
            Some(End::Broken(reason)) => {
                self.claim.broken(&reason);
                return Err(reason.into());
            }
            Some(End::Private) => return Err("the address is private".into()),
        }
        if now.length <= offset {
            return Ok(None);
        }
        let piece = piece(&self.head, offset..now.length)?;
        self.offset += piece.len() as u64;
        if let Some(exchange) = self.claim.exchange() {
            exchange.received(self.offset);
        }
        Ok(Some(piece))
    }
}

/// Answers without a network.
pub(super) async fn offline(
    store: &DownloadStore,
    (method, url, fetched): (&str, &str, &str),
    request: &HeaderMap,
    mut exchange: Exchange,
    step: &Arc<Step>,
) -> Reply {
    let answer = match choose(store, (method, url, fetched), request, step) {
        Ok(answer) => answer,
        Err(breach) => return breached(breach, exchange, step),
    };
    let (digest, size) = (answer.digest, answer.size);
    let what = url.to_owned();
    let file = match verified(store, &answer).await {
        Ok(()) => std::fs::File::open(store.content().path(&digest)),
        Err(_) => return breached(Breach::Damaged { what, digest }, exchange, step),
    };
    let Ok(file) = file else { return breached(Breach::Missing { what }, exchange, step) };
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    exchange.answered(answer.status);
    let headers = answer.header_map();
    let head = Arc::new(Head { status, headers, file, announced: Some(size), reason: None });
    if method == "HEAD" {
        exchange.whole(0, Some(Digest::of(b"")), None);
        let mut reply = Response::new(empty());
        *reply.status_mut() = status;
        *reply.headers_mut() = head.headers.clone();
        if answer.method == "GET" {
            reply.headers_mut().insert(CONTENT_LENGTH, size.into());
        }
        return reply;
    }
    let reply = whole(&head, request, size);
    exchange.whole(size, Some(digest), None);
    reply
}

/// What the store has for this request: as it is pinned, where there is a lock, from wherever it came; else only what
/// came from where the policy of today would fetch it.
fn choose(
    store: &DownloadStore,
    (method, url, fetched): (&str, &str, &str),
    request: &HeaderMap,
    step: &Step,
) -> Result<StoredAnswer, Breach> {
    let mut all = store.answers(method, url);
    if method == "HEAD" {
        all.extend(store.answers("GET", url));
    }
    let terms = step.terms();
    match terms.lock.is_some() {
        true => all.retain(|answer| {
            answer.method != "GET" || terms.check_file(url, answer.status, answer.digest).is_ok()
        }),
        false => all.retain(|answer| answer.fetched_url == fetched),
    }
    // To a question several answers may be right, of which the pinned one leads where the build went.
    let pins: Vec<Digest> = terms.lock.iter().flat_map(|lock| lock.digests(url)).collect();
    all.sort_by_key(|answer| {
        (!answer.suits(request), !pins.contains(&answer.digest), answer.fetched_url != fetched)
    });
    let found = all.into_iter().next().filter(|answer| answer.suits(request) || is_plain(answer));
    found.ok_or_else(|| Breach::Missing { what: url.to_owned() })
}

/// Can every client read it, whatever it asked for?
fn is_plain(answer: &StoredAnswer) -> bool {
    answer.header(&hyper::header::CONTENT_ENCODING).is_none()
}
