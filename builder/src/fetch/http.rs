//! One file over HTTP, into the content store. Redirects are followed where the gate lets them.

use std::{
    io::Write as _,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use reqwest::{
    Response, StatusCode,
    header::{AUTHORIZATION, ETAG, HeaderMap, HeaderValue, LAST_MODIFIED, LOCATION},
    header::{IF_MODIFIED_SINCE, IF_NONE_MATCH},
};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem};
use url::Url;

use super::{FetchError, Fetcher, Gate, credentials::Credentials, gate::Permit};
use crate::{
    egress::{RequestRecord, StepOrigin, causes, is_private_refusal},
    oci::digest::Digest,
    policy::network::remedy,
    purl::of_download,
    remote::without_password,
};

/// Redirects that are followed.
const REDIRECTS: usize = 10;

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

/// A file that was fetched; its bytes are in the content store. Kept, so that it need not be fetched again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpFile {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Last-Modified in seconds since 1970, where the server told.
    pub modified: Option<i64>,
    /// The answer's validators (RFC 9110, section 8.8), as they came.
    pub etag: Option<String>,
    /// As it came.
    pub last_modified: Option<String>,
    /// The request, for provenance.
    pub record: RequestRecord,
}

impl Fetcher {
    /// Fetches a file, or finds out that `known` still is what the address leads to.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn http(
        &self,
        ask: &HttpAsk<'_>,
        known: Option<HttpFile>,
    ) -> Result<HttpFile, FetchError> {
        let mut known = known.filter(|file| self.content.has(&file.digest));
        if let Some(known) = &mut known {
            known.record.line = ask.origin.clone();
        }
        // A promised file that is here needs no request, but the permission.
        ask.gate.permit(ask.url)?;
        if let (Some(known), Some(checksum)) = (&known, ask.checksum)
            && known.digest == checksum
        {
            return Ok(known.clone());
        }
        let began = (Instant::now(), SystemTime::now());
        let mut url = ask.url.clone();
        for _ in 0..=REDIRECTS {
            let permit = ask.gate.permit(&url)?;
            let response = self.send(ask, &url, &permit, known.as_ref()).await?;
            match (response.status(), &known) {
                (StatusCode::NOT_MODIFIED, Some(known)) => return Ok(known.clone()),
                (StatusCode::OK, _) => return self.body(ask, &permit, response, began).await,
                (status, _) if status.is_redirection() => {
                    url = redirected(ask.url, &url, response.headers())?;
                }
                (status, _) => {
                    return Err(FetchError::Status { url: shown(&url), status: status.as_u16() });
                }
            }
        }
        Err(FetchError::Redirect { url: shown(ask.url), reason: "there are too many".into() })
    }

    async fn send(
        &self,
        ask: &HttpAsk<'_>,
        url: &Url,
        permit: &Permit,
        known: Option<&HttpFile>,
    ) -> Result<Response, FetchError> {
        let fetched = permit.target.url(url.query());
        let mut headers = HeaderMap::new();
        let mut put = |name, value: Option<&String>| {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        };
        put(IF_NONE_MATCH, known.and_then(|known| known.etag.as_ref()));
        put(IF_MODIFIED_SINCE, known.and_then(|known| known.last_modified.as_ref()));
        let host = url.host_str().unwrap_or_default();
        // Another host never sees what is meant for the first one.
        if url.origin() == ask.url.origin()
            && let Some(secret) = ask.credentials.http(host, url.port())?
            && let Ok(mut value) = HeaderValue::from_str(secret.expose_secret())
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut request = self.upstreams()?.client(&permit.target).get(&fetched).headers(headers);
        if !url.username().is_empty() && url.origin() == ask.url.origin() {
            request = request.basic_auth(url.username(), url.password());
        }
        request.send().await.map_err(|error| match is_private_refusal(&error) {
            true => FetchError::Refused {
                host: host.to_owned(),
                reason: "its address is private".into(),
                remedy: format!("{}\n  upstream = \"{}://{host}\"", remedy(host), url.scheme()),
            },
            false => FetchError::Broken { url: shown(url), reason: causes(&error) },
        })
    }

    async fn body(
        &self,
        ask: &HttpAsk<'_>,
        permit: &Permit,
        mut response: Response,
        began: (Instant, SystemTime),
    ) -> Result<HttpFile, FetchError> {
        let url = shown(ask.url);
        let header =
            |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let etag = header(ETAG).map(str::to_owned);
        let last_modified = header(LAST_MODIFIED).map(str::to_owned);
        let too_large = || FetchError::TooLarge { url: url.clone(), limit: self.limit };
        if response.content_length().is_some_and(|length| length > self.limit) {
            return Err(too_large());
        }
        let mut writer = self.content.writer()?;
        let broken = |error| FetchError::Broken { url: url.clone(), reason: causes(&error) };
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if writer.count() + chunk.len() as u64 > self.limit {
                return Err(too_large());
            }
            writer.write_all(&chunk).map_err(FetchError::io(self.scratch.clone()))?;
        }
        let (digest, size) = writer.commit(None)?;
        if let Some(expected) = ask.checksum.filter(|expected| *expected != digest) {
            return Err(FetchError::Checksum { url, expected, actual: digest });
        }
        let started = began.1.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let record = RequestRecord {
            line: ask.origin.clone(),
            method: "GET".into(),
            purl: of_download(&url),
            fetched_url: permit.target.url(ask.url.query()),
            url,
            rule: permit.rule.clone(),
            status: Some(200),
            size,
            sent: 0,
            sha256: Some(digest),
            commit: None,
            complete: true,
            incomplete_reason: None,
            started,
            duration: u64::try_from(began.0.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let modified = last_modified.as_deref().and_then(seconds);
        Ok(HttpFile { digest, size, modified, etag, last_modified, record })
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
