//! What one fetch has to do: ask the upstream whether what is kept is still good, or bring it.

use std::{
    fs::File,
    io::{self, Write as _},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Method, Response, StatusCode, Version,
    body::{Bytes, Frame},
    header::{
        AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
        IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, TRANSFER_ENCODING,
    },
};
use tokio::{sync::watch, time::timeout};

use crate::{
    content::{blob_writer::BlobWriter, error::ContentError},
    downloads::{DownloadStore, GIT_PROTOCOL, StoredAnswer, Terms},
    policy::mirror::Target,
};

use super::{
    flight::{End, Head, Progress, cannot_keep},
    query::Query,
    relay::{ambiguous, end_to_end},
    upstream::{Unanswered, Upstreams},
};

/// Bytes that are told of at once.
const MUCH: u64 = 128 << 10;
/// They are told of when nothing more came for so long.
const MOMENT: Duration = Duration::from_millis(1);
/// An answer that was confirmed again is written down when it was not for so long, in seconds.
const CONFIRMED: u64 = 3600;

/// A GET, or a POST that only asks, for whoever asks it this way.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) upstreams: Upstreams,
    pub(super) target: Target,
    /// The address as it was asked for.
    pub(super) url: String,
    /// The address to fetch from.
    pub(super) fetched: String,
    /// The request's headers, without conditions.
    pub(super) headers: HeaderMap,
    /// What a POST asks.
    pub(super) query: Option<Query>,
    pub(super) store: DownloadStore,
    pub(super) terms: Terms,
}

impl Errand {
    /// Two with the same key get the same answer.
    pub(super) fn key(&self) -> String {
        let selecting = [
            "accept",
            "accept-encoding",
            "accept-language",
            "authorization",
            "cookie",
            GIT_PROTOCOL,
        ];
        let header = |name: &&str| {
            let values = self.headers.get_all(*name).iter();
            values.map(|value| format!("{name}: {value:?}\n")).collect::<String>()
        };
        let headers: String = selecting.iter().map(header).collect();
        format!("{}\n{}\n{}\n{headers}", self.kept_method(), self.url, self.fetched)
    }

    fn kept_method(&self) -> String {
        self.query.as_ref().map_or_else(|| "GET".into(), Query::method)
    }

    /// Does it.
    pub(super) async fn run(self, progress: &watch::Sender<Progress>) -> End {
        let prior = self.prior().await;
        let prior = match prior {
            Some(prior) if self.need_not_ask(&prior) => {
                return self.land(&prior, prior.header_map(), progress);
            }
            prior => prior,
        };
        let mut headers = self.headers.clone();
        if let Some(prior) = &prior {
            let mut put = |name: HeaderName, validator: HeaderName| {
                if let Some(value) = prior.header(&validator)
                    && let Ok(value) = HeaderValue::from_str(value)
                {
                    headers.insert(name, value);
                }
            };
            put(IF_NONE_MATCH, ETAG);
            put(IF_MODIFIED_SINCE, LAST_MODIFIED);
        }
        let method = if self.query.is_some() { Method::POST } else { Method::GET };
        let mut request = self.upstreams.request(&self.target, method, &self.fetched);
        if let Some(query) = &self.query {
            request = request.body(query.body());
        }
        match (self.upstreams.send(&self.target, request.headers(headers)).await, prior) {
            (Err(Unanswered::Private), _) => End::Private,
            (Err(Unanswered::Broken(reason)), _) => {
                End::Broken(format!("the upstream did not answer: {reason}"))
            }
            (Ok(response), Some(prior)) if response.status() == StatusCode::NOT_MODIFIED => {
                self.confirmed(prior, response.headers(), progress)
            }
            (Ok(response), _) => match ambiguous(response.headers()) {
                Some(reason) => End::Broken(reason.into()),
                None => self.bring(response, progress).await,
            },
        }
    }

    /// What is kept of an earlier answer and still has its bytes. Under a lock, the one that is pinned goes first.
    async fn prior(&self) -> Option<StoredAnswer> {
        // What an answer to a question was is no promise for the next one.
        if self.query.is_some() {
            return None;
        }
        let mut all = self.store.answers("GET", &self.url);
        all.retain(|answer| answer.fetched_url == self.fetched && answer.suits(&self.headers));
        if let Some(lock) = &self.terms.lock {
            all.sort_by_key(|answer| !lock.digests(&self.url).any(|pin| pin == answer.digest));
        }
        let prior =
            all.into_iter().find(|answer| answer.has_validator() || answer.is_settled(now()))?;
        verified(&self.store, &prior).await.ok().map(|()| prior)
    }

    /// Who logs in is always passed on to whoever decides about that.
    fn need_not_ask(&self, prior: &StoredAnswer) -> bool {
        let insists = self.headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
        let insists = insists.is_some_and(|value| value.contains("no-cache"));
        !insists && !self.headers.contains_key(AUTHORIZATION) && prior.is_settled(now())
    }

    /// The upstream says that it is still good (RFC 9111, section 4.3.4).
    fn confirmed(
        &self,
        prior: StoredAnswer,
        news: &HeaderMap,
        progress: &watch::Sender<Progress>,
    ) -> End {
        let mut headers = prior.header_map();
        for (name, value) in &end_to_end(news) {
            let of_body = *name == CONTENT_LENGTH
                || *name == CONTENT_TYPE
                || name.as_str().starts_with("content-");
            if !of_body {
                headers.insert(name.clone(), value.clone());
            }
        }
        if now().saturating_sub(prior.checked) > CONFIRMED {
            let kept = StoredAnswer::kept_headers(&headers);
            self.store.keep(StoredAnswer { headers: kept, checked: now(), ..prior.clone() });
        }
        self.land(&prior, headers, progress)
    }

    /// Gives what is kept.
    fn land(
        &self,
        prior: &StoredAnswer,
        headers: HeaderMap,
        progress: &watch::Sender<Progress>,
    ) -> End {
        let file = match File::open(self.store.content().path(&prior.digest)) {
            Ok(file) => file,
            Err(error) => return cannot_keep(&error),
        };
        let status = StatusCode::from_u16(prior.status).unwrap_or(StatusCode::OK);
        let announced = Some(prior.size);
        let head = Head { status, headers, file, announced, reason: None };
        progress.send_modify(|now| {
            now.head = Some(Arc::new(head));
            now.length = prior.size;
        });
        End::Whole(prior.digest, prior.size)
    }

    async fn bring(&self, response: reqwest::Response, progress: &watch::Sender<Progress>) -> End {
        let (head, mut body) = Response::<reqwest::Body>::from(response).into_parts();
        let chunked = head.headers.contains_key(TRANSFER_ENCODING);
        let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let announced = length.and_then(|length| length.parse().ok());
        let announced = if bodiless { Some(0) } else { announced };
        let mut allowance = self.upstreams.allowance(&self.target);
        if let Err(reason) = allowance.expect(announced.unwrap_or(0)) {
            return End::Broken(reason);
        }
        let framed = announced.is_some() || chunked || head.version == Version::HTTP_2;
        let reason = incomplete(head.status, framed);
        let headers = end_to_end(&head.headers);
        let content = |error: ContentError| End::Broken(format!("it cannot be kept: {error}"));
        let mut writer = match self.store.writer() {
            Ok(writer) => writer,
            Err(error) => return content(error),
        };
        let file = match writer.view() {
            Ok(file) => file,
            Err(error) => return cannot_keep(&error),
        };
        // A question that is always asked anew may be refused: without a network it is refused again.
        let refused = self.query.is_some() && head.status.is_client_error();
        let may_keep =
            reason.is_none() && (refused || StoredAnswer::may_be_kept(head.status.as_u16()));
        let kept_headers = StoredAnswer::kept_headers(&headers);
        let variant = StoredAnswer::variant_of(&headers, &self.headers);
        let head = Head { status: head.status, headers, file, announced, reason };
        let status = head.status.as_u16();
        progress.send_modify(|now| now.head = Some(Arc::new(head)));
        let mut told = 0;
        while let Some(frame) = next(&mut body, &writer, &mut told, progress).await {
            let data = match frame {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                Err(error) => {
                    return End::Broken(self.upstreams.broke(&self.target, &error));
                }
            };
            if let Err(reason) = allowance.take(data.len() as u64) {
                return End::Broken(reason);
            }
            if let Err(error) = writer.write_all(&data) {
                return cannot_keep(&error);
            }
        }
        progress.send_modify(|now| now.length = writer.count());
        if !may_keep {
            let (digest, size) = writer.discard();
            return End::Whole(digest, size);
        }
        let (digest, size) = match writer.commit(None) {
            Ok(done) => done,
            Err(error) => return content(error),
        };
        self.store.keep(StoredAnswer {
            method: self.kept_method(),
            url: self.url.clone(),
            fetched_url: self.fetched.clone(),
            variant,
            status,
            headers: kept_headers,
            digest,
            size,
            checked: now(),
        });
        End::Whole(digest, size)
    }
}

/// The next frame. Whoever reads the body is told of what was written when that is much, or when nothing more comes at
/// once: each time costs all of them a turn.
async fn next(
    body: &mut reqwest::Body,
    writer: &BlobWriter,
    told: &mut u64,
    progress: &watch::Sender<Progress>,
) -> Option<Result<Frame<Bytes>, reqwest::Error>> {
    if writer.count() > *told {
        if writer.count() - *told < MUCH
            && let Ok(frame) = timeout(MOMENT, body.frame()).await
        {
            return frame;
        }
        *told = writer.count();
        progress.send_modify(|now| now.length = *told);
    }
    body.frame().await
}

/// Does the store have the very bytes? Where it does not, they are gone afterwards.
pub(super) async fn verified(
    store: &DownloadStore,
    answer: &StoredAnswer,
) -> Result<(), ContentError> {
    let (store, digest, size) = (store.clone(), answer.digest, answer.size);
    let read = tokio::task::spawn_blocking(move || -> Result<(), ContentError> {
        let mut body = store.body(digest, size)?;
        let missing = || ContentError::Missing { digest, root: "the download store".into() };
        io::copy(&mut body, &mut io::sink()).map(drop).map_err(|_| missing())
    });
    read.await.unwrap_or_else(|_| {
        Err(ContentError::Missing { digest, root: "the download store".into() })
    })
}

/// Why an answer stays incomplete even when its body came whole.
fn incomplete(status: StatusCode, framed: bool) -> Option<String> {
    if status == StatusCode::PARTIAL_CONTENT {
        return Some("only a part was fetched".into());
    }
    // RFC 9112, section 8: without a length, a closed connection may mean a broken one.
    (!framed).then(|| "the upstream announced no length".into())
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
