//! [`Collector`]: where a trace is sent to when the build has ended, in one request.

use std::time::Duration;

use reqwest::{
    Client,
    header::{CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};
use thiserror::Error;
use url::Url;

use super::{
    otlp::{self, Identity},
    span::Trace,
};
use crate::{authorities::client_config, secret::Secret};

/// A collector of OpenTelemetry.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Where traces go.
    pub url: Url,
    /// Names and values of headers; the values are often tokens.
    pub headers: Vec<(String, Secret)>,
    /// In which form.
    pub protocol: Protocol,
    /// How long the whole request may take.
    pub timeout: Duration,
}

/// Forms of OTLP over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `http/protobuf`
    Protobuf,
    /// `http/json`
    Json,
}

/// Why a trace was not taken. No message holds a header, nor what of the address may be a secret.
#[derive(Debug, Error)]
pub enum CollectorError {
    /// The client could not be made.
    #[error("no connection to {host} can be made: {reason}")]
    Setup {
        /// The collector's host.
        host: String,
        /// Why.
        reason: String,
    },
    /// It could not be reached, or did not answer in time.
    #[error("{host} did not take the trace: {reason}")]
    Unreachable {
        /// The collector's host.
        host: String,
        /// Why.
        reason: String,
    },
    /// It answered, but not with success.
    #[error("{host} did not take the trace: it answered with status {status}")]
    Refused {
        /// The collector's host.
        host: String,
        /// The answer's status code.
        status: u16,
    },
}

impl Collector {
    /// Sends `trace`.
    ///
    /// # Errors
    /// When it does not arrive; the build is none the worse.
    pub async fn send(&self, trace: &Trace, identity: &Identity) -> Result<(), CollectorError> {
        let host = self.host();
        let setup = |reason: String| CollectorError::Setup { host: host.clone(), reason };
        let tls =
            client_config(Vec::new(), &[b"http/1.1"]).map_err(|error| setup(error.to_string()))?;
        let client = Client::builder()
            .user_agent(concat!("touchmark/", env!("CARGO_PKG_VERSION")))
            .timeout(self.timeout)
            .http1_only()
            // A header meant for one host is not shown to another.
            .redirect(Policy::none())
            // The environment is the command line's to read.
            .no_proxy()
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(|error| setup(error.without_url().to_string()))?;
        let (kind, body) = match self.protocol {
            Protocol::Protobuf => ("application/x-protobuf", otlp::protobuf(trace, identity)),
            Protocol::Json => {
                ("application/json", otlp::json(trace, identity).to_string().into_bytes())
            }
        };
        let mut request = client.post(self.url.clone()).header(CONTENT_TYPE, kind).body(body);
        for (name, value) in &self.headers {
            let mut value = HeaderValue::from_str(value.expose_secret())
                .map_err(|_| setup(format!("the value of the header '{name}' is none")))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| CollectorError::Unreachable {
            host: host.clone(),
            reason: causes(&error.without_url()),
        })?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(CollectorError::Refused { host, status: status.as_u16() }),
        }
    }

    fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

/// An error with what is behind it.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}
