//! Making connections, and what their failures mean.

use std::{
    error::Error,
    fs::File,
    io::{self, Read},
    path::Path,
    time::Duration,
};

use reqwest::{
    Client, ClientBuilder, Proxy, Response, StatusCode, Url,
    redirect::Attempt,
    redirect::{Action, Policy},
};
use rustls::{
    CertificateError, InvalidMessage, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{
    answer::{printable, said},
    error::{RegistryError, What},
    retry::{Failure, retry_after},
    route::Endpoint,
    transport::{Limits, TransportOptions},
};
use crate::{authorities::client_config, content::error::ContentError};

/// A client for this endpoint's kind of connection.
pub(super) fn client(
    endpoint: &Endpoint,
    options: &TransportOptions,
) -> Result<Client, RegistryError> {
    let host = endpoint.host().to_owned();
    let setup = |reason: String| RegistryError::Setup { host: host.clone(), reason };
    let more = match &endpoint.ca {
        Some(path) => authorities(path).map_err(|reason| RegistryError::Authorities {
            host: host.clone(),
            path: path.clone(),
            reason,
        })?,
        None => Vec::new(),
    };
    // One protocol is offered: parallel layers do not share one congestion window.
    let tls = client_config(more, &[b"http/1.1"]).map_err(|error| setup(error.to_string()))?;
    let builder = plain(options).map_err(|error| setup(reason(&error)))?;
    builder.tls_backend_preconfigured(tls).build().map_err(|error| setup(reason(&error)))
}

fn plain(options: &TransportOptions) -> Result<ClientBuilder, reqwest::Error> {
    let mut builder = Client::builder()
        .user_agent(concat!("touchmark/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.limits.connect)
        // One connection per transfer: parallel layers do not share one congestion window.
        .http1_only()
        .referer(false)
        .redirect(Policy::custom(follow))
        // The environment is the command line's to read.
        .no_proxy();
    let proxies = options.proxies.clone();
    if proxies.all().next().is_some() {
        // Asked for each address: a blob may lie on another host than its registry.
        let through = move |url: &Url| Url::parse(proxies.of_url(url)?.url().expose_secret()).ok();
        builder = builder.proxy(Proxy::custom(through));
    }
    Ok(builder)
}

/// Blobs mostly lie on a storage host. reqwest drops the authorization on the way to another host.
fn follow(attempt: Attempt<'_>) -> Action {
    let secure = attempt.previous().iter().any(|from| from.scheme() == "https");
    if secure && attempt.url().scheme() != "https" {
        return attempt.error("it redirects from HTTPS to plain HTTP, which was not followed");
    }
    if attempt.previous().len() > 10 {
        return attempt.error("it redirects more than ten times");
    }
    attempt.follow()
}

/// A larger file of certificate authorities is not read, in bytes.
const MAX_AUTHORITIES: u64 = 4 * 1024 * 1024;

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut pem = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_AUTHORITIES).read_to_end(&mut pem));
    read.map_err(|error| error.to_string())?;
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| printable(&error.to_string()))?;
    let mut store = RootCertStore::empty();
    for certificate in &found {
        store.add(certificate.clone()).map_err(|error| tls_reason(&error))?;
    }
    if found.is_empty() { Err("there are none in it".into()) } else { Ok(found) }
}

/// An answer that says "not now": 429, 5xx and their like.
pub(super) async fn busy(endpoint: &Endpoint, limits: &Limits, response: Response) -> Failure {
    let again = retry_after(response.headers());
    let status = response.status();
    let said = said(response, limits.silence).await;
    let at = endpoint.place();
    let error = match status {
        StatusCode::TOO_MANY_REQUESTS => RegistryError::TooManyRequests { at, said, attempts: 1 },
        _ => RegistryError::Server { at, status, said, attempts: 1 },
    };
    Failure::new(error, again)
}

/// Nothing came for too long.
pub(super) fn stalled(endpoint: &Endpoint, silence: Duration) -> Failure {
    let at = endpoint.place();
    Failure::soon(RegistryError::Stalled { at, silence, attempts: 1 })
}

/// What a failed request means, and whether another one may fare better.
pub(super) fn failure(endpoint: &Endpoint, error: &reqwest::Error) -> Failure {
    let at = endpoint.place();
    let unreachable = |reason: String| {
        let reason = match &endpoint.through {
            Some(through) => format!("{reason}, through {}", through.proxy),
            None => reason,
        };
        RegistryError::Unreachable { at: at.clone(), reason }
    };
    for cause in causes(error) {
        if let Some(tls) = cause.downcast_ref() {
            return match tls {
                rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)
                    if error.is_connect() =>
                {
                    RegistryError::PlainHttp { at }.into()
                }
                tls => RegistryError::Tls { at, reason: tls_reason(tls) }.into(),
            };
        }
        if let Some(damage) = cause.downcast_ref::<ContentError>() {
            // Its first line; the second is its own help, which is ours too.
            let reason = damage.to_string().lines().next().unwrap_or_default().to_owned();
            let what = What::Request;
            let help = "run the command again: the blob will be fetched or made anew";
            return RegistryError::NotSent { at, what, reason, help }.into();
        }
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && matches!(
                io.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
            )
        {
            return unreachable(io_reason(io)).into();
        }
    }
    let text = reason(error);
    if let Some(through) = endpoint.through.as_ref().filter(|_| text.contains("proxy auth")) {
        let reason = through.wants_login.clone();
        return RegistryError::Unreachable { at, reason }.into();
    }
    if error.is_connect() && error.is_timeout() {
        return unreachable("no connection in the time allowed".into()).into();
    }
    if error.is_connect() && text.contains("failed to lookup address") {
        return unreachable("its name does not resolve".into()).into();
    }
    if error.is_redirect() || (error.is_connect() && text.contains("tunnel")) {
        return unreachable(text).into();
    }
    Failure::soon(RegistryError::Interrupted { at, reason: text, attempts: 1 })
}

/// Did the body end before the length that was announced?
pub(super) fn is_short(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        let cut = cause.downcast_ref().is_some_and(hyper::Error::is_incomplete_message);
        let io = cause.downcast_ref().map(io::Error::kind);
        cut || io == Some(io::ErrorKind::UnexpectedEof)
    })
}

/// The error and all its causes. An `io::Error` hides what it wraps from `source`.
fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let first: &'a (dyn Error + 'static) = error;
    std::iter::successors(Some(first), |cause| {
        let cause: &'a (dyn Error + 'static) = *cause;
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => cause.source(),
        }
    })
}

/// The innermost cause in words. The outer ones name the whole address, with its query.
fn reason(error: &reqwest::Error) -> String {
    let last = causes(error).skip(1).last();
    printable(&last.map_or_else(|| "the request failed".into(), ToString::to_string))
}

fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::HostUnreachable => "there is no way to this host".into(),
        _ => "there is no way to its network".into(),
    }
}

fn tls_reason(error: &rustls::Error) -> String {
    let certificate = match error {
        rustls::Error::InvalidCertificate(certificate) => certificate,
        other => return printable(&other.to_string()),
    };
    match certificate {
        CertificateError::UnknownIssuer => {
            "its certificate is from an authority that this system does not trust".into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name".into()
        }
        other => printable(&format!("its certificate is not valid: {other}")),
    }
}
