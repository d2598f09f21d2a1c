//! One file over HTTP, into the content store. Redirects are followed where the gate lets them.

use std::{
    io::Write as _,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use reqwest::{
    Method, Response, StatusCode,
    header::{
        AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
        IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, VARY,
    },
};
use time::{OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem};
use url::Url;

use super::{FetchError, Fetcher, Gate, credentials::Credentials, gate::Permit};
use crate::{
    downloads::StoredAnswer,
    egress::{RequestRecord, StepOrigin, Unanswered, causes},
    oci::digest::Digest,
    policy::network::remedy,
    purl::of_download,
    remote::without_password,
};

/// What is asked for.
#[derive(Debug)]
pub struct HttpAsk<'a> {
    /// The address.
    pub url: &'a Url,
    /// What the file must be.
    pub checksum: Option<Digest>,
    /// Who decides.
    pub gate: &'a Gate,
    /// Who may log in.
    pub credentials: &'a Credentials,
    /// The instruction, for the record.
    pub origin: StepOrigin,
}

/// A file that was fetched; its bytes are in the content store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpFile {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Last-Modified in seconds since 1970, where the server told.
    pub modified: Option<i64>,
    /// The request, for provenance.
    pub record: RequestRecord,
}

/// When a request began.
type Began = (Instant, SystemTime);

impl Fetcher {
    /// Fetches a file, or finds out that what is kept still is what the address leads to. Without a network, what is
    /// kept has to do.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn http(&self, ask: &HttpAsk<'_>) -> Result<HttpFile, FetchError> {
        let began = (Instant::now(), SystemTime::now());
        let mut url = ask.url.clone();
        let mut left = None;
        loop {
            let permit = ask.gate.permit(&url)?;
            // The bound is that of the first rule.
            let left = left.get_or_insert(permit.target.care.redirects.unwrap_or(self.redirects));
            let known = self.known(&url, &permit);
            // A promised file that is here needs no request, but the permission.
            let promised = known.as_ref().filter(|known| Some(known.digest) == ask.checksum);
            if let Some(known) = promised.filter(|known| known.status == 200) {
                return self.file(ask, known, &permit, began);
            }
            let answer = match (self.terms.offline, known) {
                (true, known) => known.ok_or_else(|| FetchError::Offline { url: shown(&url) })?,
                (false, known) => self.ask(ask, &url, &permit, known).await?,
            };
            match StatusCode::from_u16(answer.status).unwrap_or_default() {
                StatusCode::OK => return self.file(ask, &answer, &permit, began),
                status if status.is_redirection() => {
                    *left = left.checked_sub(1).ok_or_else(|| FetchError::Redirect {
                        url: shown(ask.url),
                        reason: "there are too many".into(),
                    })?;
                    url = redirected(ask.url, &url, &answer.header_map())?;
                }
                status => {
                    return Err(FetchError::Status { url: shown(&url), status: status.as_u16() });
                }
            }
        }
    }

    /// What is kept of this address: from where it would be fetched now or, under a lock, as it is pinned.
    fn known(&self, url: &Url, permit: &Permit) -> Option<StoredAnswer> {
        let name = shown(url);
        let fetched = permit.target.url(url.query());
        let mut all = self.downloads.as_ref()?.answers("GET", &name);
        all.retain(|answer| answer.suits(&HeaderMap::new()));
        let pinned = |answer: &StoredAnswer| {
            let terms = &self.terms;
            terms.lock.is_some() && terms.check_file(&name, answer.status, answer.digest).is_ok()
        };
        all.retain(|answer| {
            answer.fetched_url == fetched || (self.terms.offline && pinned(answer))
        });
        all.sort_by_key(|answer| !pinned(answer));
        all.into_iter().next()
    }

    /// Asks the server.
    async fn ask(
        &self,
        ask: &HttpAsk<'_>,
        url: &Url,
        permit: &Permit,
        known: Option<StoredAnswer>,
    ) -> Result<StoredAnswer, FetchError> {
        let known = known.filter(|known| known.status == 200);
        let response = self.send(ask, url, permit, known.as_ref()).await?;
        match (response.status(), known) {
            (StatusCode::NOT_MODIFIED, Some(known)) => Ok(known),
            (StatusCode::OK, _) => self.body(url, permit, response).await,
            (status, _) if status.is_redirection() => {
                let digest = self.content.put(b"")?;
                Ok(self.kept(answer(url, permit, &response, digest, 0)))
            }
            (status, _) => Err(FetchError::Status { url: shown(url), status: status.as_u16() }),
        }
    }

    async fn send(
        &self,
        ask: &HttpAsk<'_>,
        url: &Url,
        permit: &Permit,
        known: Option<&StoredAnswer>,
    ) -> Result<Response, FetchError> {
        let fetched = permit.target.url(url.query());
        let mut headers = HeaderMap::new();
        let mut put = |name, validator| {
            let value = known.and_then(|known| known.header(&validator));
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        };
        put(IF_NONE_MATCH, ETAG);
        put(IF_MODIFIED_SINCE, LAST_MODIFIED);
        let host = url.host_str().unwrap_or_default();
        // Another host never sees what is meant for the first one.
        if url.origin() == ask.url.origin()
            && let Some(secret) = ask.credentials.http(host, url.port())?
            && let Ok(mut value) = HeaderValue::from_str(secret.expose_secret())
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let (upstreams, target) = (self.upstreams()?, &permit.target);
        let mut request = upstreams.request(target, Method::GET, &fetched).headers(headers);
        if !url.username().is_empty() && url.origin() == ask.url.origin() {
            request = request.basic_auth(url.username(), url.password());
        }
        upstreams.send(target, request).await.map_err(|error| match error {
            Unanswered::Private => FetchError::Refused {
                host: host.to_owned(),
                reason: "its address is private".into(),
                remedy: format!("{}\n  upstream = \"{}://{host}\"", remedy(host), url.scheme()),
            },
            Unanswered::Broken(reason) => FetchError::Broken { url: shown(url), reason },
        })
    }

    async fn body(
        &self,
        url: &Url,
        permit: &Permit,
        mut response: Response,
    ) -> Result<StoredAnswer, FetchError> {
        let name = shown(url);
        let mut allowance = self.upstreams()?.allowance(&permit.target);
        let limit = allowance.body();
        let too_large = || FetchError::TooLarge { url: name.clone(), limit };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut writer = self.content.writer()?;
        let broken = |error| FetchError::Broken { url: name.clone(), reason: causes(&error) };
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if writer.count() + chunk.len() as u64 > limit {
                return Err(too_large());
            }
            let many = |reason| FetchError::Broken { url: name.clone(), reason };
            allowance.take(chunk.len() as u64).map_err(many)?;
            writer.write_all(&chunk).map_err(FetchError::io(self.scratch.clone()))?;
        }
        let (digest, size) = writer.commit(None)?;
        Ok(self.kept(answer(url, permit, &response, digest, size)))
    }

    fn kept(&self, answer: StoredAnswer) -> StoredAnswer {
        if let Some(downloads) = &self.downloads {
            downloads.keep(answer.clone());
        }
        answer
    }

    /// What was asked for, once it is here.
    fn file(
        &self,
        ask: &HttpAsk<'_>,
        answer: &StoredAnswer,
        permit: &Permit,
        began: Began,
    ) -> Result<HttpFile, FetchError> {
        let url = shown(ask.url);
        let (digest, size) = (answer.digest, answer.size);
        if let Some(expected) = ask.checksum.filter(|expected| *expected != digest) {
            return Err(FetchError::Checksum { url, expected, actual: digest });
        }
        let started = began.1.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let record = RequestRecord {
            line: ask.origin.clone(),
            method: "GET".into(),
            purl: of_download(&url),
            verified_by: None,
            fetched_url: permit.target.url(ask.url.query()),
            url,
            rule: permit.rule.clone(),
            status: Some(200),
            size,
            sent: 0,
            sha256: Some(digest),
            commit: None,
            query: None,
            complete: true,
            incomplete_reason: None,
            started,
            duration: u64::try_from(began.0.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let modified = answer.header(&LAST_MODIFIED).and_then(seconds);
        Ok(HttpFile { digest, size, modified, record })
    }
}

/// An answer as it is kept.
fn answer(
    url: &Url,
    permit: &Permit,
    response: &Response,
    digest: Digest,
    size: u64,
) -> StoredAnswer {
    let kept: HeaderMap = [ETAG, LAST_MODIFIED, LOCATION, CONTENT_TYPE, CONTENT_ENCODING, VARY]
        .into_iter()
        .filter_map(|name| Some((name.clone(), response.headers().get(name)?.clone())))
        .collect();
    StoredAnswer {
        method: "GET".into(),
        url: shown(url),
        fetched_url: permit.target.url(url.query()),
        variant: StoredAnswer::variant_of(&kept, &HeaderMap::new()),
        status: response.status().as_u16(),
        headers: StoredAnswer::kept_headers(&kept),
        digest,
        size,
        checked: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
    }
}

/// The name of the file that an address leads to, as BuildKit gives it.
#[must_use]
pub fn file_name(url: &Url) -> String {
    let path = url.path().trim_end_matches('/');
    let decoded = crate::purl::decode(path);
    match decoded.trim_end_matches('/').rsplit('/').next().unwrap_or_default() {
        "" | "." | ".." => "__unnamed__".into(),
        name => name.replace('\0', ""),
    }
}

fn redirected(first: &Url, from: &Url, headers: &HeaderMap) -> Result<Url, FetchError> {
    let fault = |reason: &str| FetchError::Redirect { url: shown(first), reason: reason.into() };
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| fault("it says no address"))?;
    let to = from.join(location).map_err(|_| fault("its address is malformed"))?;
    match (from.scheme(), to.scheme()) {
        ("https", "http") => Err(fault("it leads from HTTPS to plain HTTP")),
        (_, "http" | "https") => Ok(to),
        _ => Err(fault("it does not lead to HTTP")),
    }
}

/// The address without a password.
pub(super) fn shown(url: &Url) -> String {
    without_password(url.as_str())
}

/// RFC 9110, section 5.6.7: the one form that servers send today.
const IMF_FIXDATE: &[BorrowedFormatItem<'static>] = time::macros::format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

fn seconds(text: &str) -> Option<i64> {
    let time = PrimitiveDateTime::parse(text, IMF_FIXDATE).ok()?;
    let time: OffsetDateTime = time.assume_utc();
    Some(time.unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_last_part_of_the_path() {
        for (url, name) in [
            ("http://h.example/a/b.txt?x=/y", "b.txt"),
            ("http://h.example/dir/", "dir"),
            ("http://h.example/", "__unnamed__"),
            ("http://h.example", "__unnamed__"),
            ("http://h.example/a%20b", "a b"),
            ("http://h.example/x%2F..", "__unnamed__"),
            ("http://h.example/x%2Fy", "y"),
        ] {
            assert_eq!(file_name(&Url::parse(url).unwrap()), name, "{url}");
        }
    }

    #[test]
    fn dates_of_http() {
        assert_eq!(seconds("Fri, 13 Feb 2009 23:31:30 GMT"), Some(1_234_567_890));
        assert_eq!(seconds("yesterday"), None);
    }
}
