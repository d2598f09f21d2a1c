//! One request to a registry: with proof of who we are, bounded in time, and made again where another
//! attempt makes sense.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{AUTHORIZATION, HeaderMap},
};
use url::Url;

use super::{
    answer::{self, BodyFault},
    authority::{Authority, Proof, denied},
    connection::{self, busy, stalled},
    credentials::Credentials,
    error::{RegistryError, Said, What},
    referrers::SETTLE,
    retry::{Attempts, Failure, RetryPolicy},
    route::Endpoint,
    upload::Payload,
};
use crate::proxy::Proxies;

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// For the next bytes, in either direction.
    pub silence: Duration,
    /// For the answer after the last byte of an upload; some registries hash or copy it first.
    pub digestion: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (connect, silence) = (Duration::from_secs(15), Duration::from_secs(60));
        Self { connect, silence, digestion: Duration::from_secs(300) }
    }
}

/// How a client behaves; the default suits production.
#[derive(Debug, Clone)]
pub struct TransportOptions {
    /// Attempts and waits.
    pub retry: RetryPolicy,
    /// Time limits.
    pub limits: Limits,
    /// Proxies.
    pub proxies: Proxies,
    /// After writing a list of referrers: wait so long, twice, for others to overwrite it.
    pub settle: Duration,
}

impl Default for TransportOptions {
    fn default() -> Self {
        let (retry, limits) = (RetryPolicy::default(), Limits::default());
        Self { retry, limits, proxies: Proxies::default(), settle: SETTLE }
    }
}

/// One request. It can be sent any number of times.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    /// Another repository that this request reads from.
    pub(super) mount: Option<String>,
}

impl Call {
    pub(super) fn new(method: Method, url: Url) -> Self {
        let (headers, payload) = (HeaderMap::new(), Payload::Nothing);
        Self { method, url, headers, payload, mount: None }
    }
}

/// An answer that was read to its end. The body of a refusal is in `said` instead of `bytes`.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) url: Url,
    pub(super) bytes: Vec<u8>,
    pub(super) said: Said,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Sends requests.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) options: TransportOptions,
    authority: Authority,
    /// By file of additional certificate authorities, and whether TLS may be left out.
    clients: Mutex<HashMap<(Option<PathBuf>, bool), Client>>,
}

impl Transport {
    pub(super) fn new(options: TransportOptions, credentials: Arc<Credentials>) -> Self {
        Self { options, authority: Authority::new(credentials), clients: Mutex::default() }
    }

    /// Sends it, again where that helps, and reads the answer: at most `max` bytes.
    pub(super) async fn ask(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        (what, max): (What, u64),
    ) -> Result<Answer, RegistryError> {
        let mut attempts = Attempts::new(self.options.retry);
        loop {
            match self.ask_once(endpoint, call, (what, max)).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => attempts.again(failure).await?,
            }
        }
    }

    /// As [`ask`](Self::ask), once.
    pub(super) async fn ask_once(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        (what, max): (What, u64),
    ) -> Result<Answer, Failure> {
        let response = self.send_once(endpoint, call, &mut |_| {}).await?;
        self.read(endpoint, response, (what, max)).await
    }

    /// Reads an answer.
    pub(super) async fn read(
        &self,
        endpoint: &Endpoint,
        response: Response,
        (what, max): (What, u64),
    ) -> Result<Answer, Failure> {
        let silence = endpoint.limits(&self.options.limits).silence;
        let (status, url) = (response.status(), response.url().clone());
        let headers = response.headers().clone();
        if !status.is_success() {
            let said = answer::said(response, silence).await;
            // Go's servers say in words that they got plain HTTP on a TLS port.
            if endpoint.plain_http && said.0.contains("HTTP request to an HTTPS server") {
                let at = endpoint.place();
                return Err(RegistryError::WantsHttps { at }.into());
            }
            return Ok(Answer { status, headers, url, bytes: Vec::new(), said });
        }
        match answer::body(response, max, silence).await {
            Ok(bytes) => Ok(Answer { status, headers, url, bytes, said: Said::default() }),
            Err(fault) => Err(self.body_failure(endpoint, fault, (what, max))),
        }
    }

    /// What a body that could not be read means.
    pub(super) fn body_failure(
        &self,
        endpoint: &Endpoint,
        fault: BodyFault,
        (what, max): (What, u64),
    ) -> Failure {
        match fault {
            BodyFault::TooLarge => {
                let at = endpoint.place();
                RegistryError::TooLarge { at, what, max }.into()
            }
            BodyFault::Stalled => stalled(endpoint, endpoint.limits(&self.options.limits).silence),
            BodyFault::Broken(error) => connection::failure(endpoint, &error),
        }
    }

    /// Sends it once (twice when the registry first asks who we are). Answers that another attempt may
    /// better are failures, as are 401 and 403; every other answer is the caller's to judge.
    pub(super) async fn send_once(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        moved: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Response, Failure> {
        let client = self.client(endpoint)?;
        let limits = &endpoint.limits(&self.options.limits);
        let mount = call.mount.as_deref();
        // What proves who we are is for the registry, not for the storage host an upload may lead to.
        let home = endpoint.is_home(&call.url);
        let mut proof = if home { self.authority.proof(endpoint, mount).await } else { None };
        for last in [false, true] {
            let request = request(&client, call, &proof);
            let response = call.payload.send(request, endpoint, limits, moved).await?;
            let status = response.status();
            let own = endpoint.is_home(response.url());
            if status == StatusCode::UNAUTHORIZED && home && own && !last {
                let challenge = (response.headers(), &proof);
                let authority = &self.authority;
                let better = authority.answer(&client, limits, endpoint, mount, challenge).await?;
                if better.is_some() {
                    proof = better;
                    continue;
                }
            }
            return self.judge(endpoint, response, own).await;
        }
        Err(stalled(endpoint, limits.silence))
    }

    async fn judge(
        &self,
        endpoint: &Endpoint,
        response: Response,
        own: bool,
    ) -> Result<Response, Failure> {
        let limits = &endpoint.limits(&self.options.limits);
        match response.status() {
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) if own => {
                let account = self.authority.lookup(endpoint).await.account;
                let said = answer::said(response, limits.silence).await;
                Err(denied(endpoint, status, said, account).into())
            }
            // A signed address of a storage host that ran out; a new redirect brings a new one.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(busy(endpoint, limits, response).await)
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Err(busy(endpoint, limits, response).await)
            }
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
                Err(busy(endpoint, limits, response).await)
            }
            _ => Ok(response),
        }
    }

    fn client(&self, endpoint: &Endpoint) -> Result<Client, RegistryError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (endpoint.ca.clone(), endpoint.plain_http);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = connection::client(endpoint, &self.options)?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn request(client: &Client, call: &Call, proof: &Proof) -> RequestBuilder {
    let request = client.request(call.method.clone(), call.url.clone());
    let request = request.headers(call.headers.clone());
    match proof {
        Some(proof) => request.header(AUTHORIZATION, proof.clone()),
        None => request,
    }
}
