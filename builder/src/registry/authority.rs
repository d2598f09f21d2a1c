//! Proving who we are: Basic, or tokens from the token server a registry names, kept per scope
//! (distribution project, "Token Authentication Specification").

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{
    Client, Response, StatusCode,
    header::{HeaderMap, HeaderValue},
};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::{Url, form_urlencoded};

use super::{
    answer::{self, BodyFault},
    challenge::{Bearer, Challenge},
    connection::{self, busy, stalled},
    credentials::{Credential, Credentials, Lookup},
    error::{RegistryError, Said, What},
    retry::Failure,
    route::{Access, Endpoint},
    transport::Limits,
};
use crate::secret::Secret;

/// Answers challenges and remembers what the answers were.
#[derive(Debug)]
pub(super) struct Authority {
    credentials: Arc<Credentials>,
    /// One lock over everything: parallel transfers that need a token wait for the first one's.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// How each registry (by origin) wants to be asked.
    ways: HashMap<String, Challenge>,
    /// Tokens by registry and scopes.
    tokens: HashMap<(String, String), Token>,
}

#[derive(Debug, Clone)]
struct Token {
    text: Secret,
    ends: Instant,
}

/// The header that was sent with a request, so that a refusal can be told from an older one's.
pub(super) type Proof = Option<HeaderValue>;

impl Authority {
    pub(super) fn new(credentials: Arc<Credentials>) -> Self {
        Self { credentials, known: Mutex::default() }
    }

    /// What is known about us for this registry. Runs helpers off the async threads.
    pub(super) async fn lookup(&self, endpoint: &Endpoint) -> Lookup {
        let credentials = Arc::clone(&self.credentials);
        let registry = endpoint.host().to_owned();
        let repository = endpoint.reference.repository().to_owned();
        let find = move || credentials.find(&registry, &repository);
        tokio::task::spawn_blocking(find).await.unwrap_or_else(|_| Lookup {
            credential: None,
            account: "no credentials were sent (looking them up failed)".into(),
        })
    }

    /// The header for a request, as far as it is known without asking anyone.
    pub(super) async fn proof(&self, endpoint: &Endpoint, mount: Option<&str>) -> Proof {
        let known = self.known.lock().await;
        match known.ways.get(&endpoint.origin())? {
            Challenge::Basic => match self.lookup(endpoint).await.credential? {
                Credential::Basic { user, password } => Some(basic(&user, &password)),
                _ => None,
            },
            Challenge::Bearer(_) => {
                let token = known.tokens.get(&(endpoint.origin(), scopes(endpoint, mount)))?;
                (token.ends > Instant::now()).then(|| bearer(&token.text))
            }
        }
    }

    /// Meets the challenge of a 401 that came although `sent` was sent. `None`: there is nothing
    /// (more) we could say.
    pub(super) async fn answer(
        &self,
        client: &Client,
        limits: &Limits,
        endpoint: &Endpoint,
        mount: Option<&str>,
        (headers, sent): (&HeaderMap, &Proof),
    ) -> Result<Proof, Failure> {
        let Some(challenge) = Challenge::of(headers) else { return Ok(None) };
        let mut known = self.known.lock().await;
        let lookup = self.lookup(endpoint).await;
        let proof = match (&challenge, lookup.credential.as_ref()) {
            (Challenge::Basic, Some(Credential::Basic { user, password })) => {
                Some(basic(user, password))
            }
            (Challenge::Basic, _) => None,
            (Challenge::Bearer(_), Some(Credential::Registry(token))) => Some(bearer(token)),
            (Challenge::Bearer(asked), _) => {
                let key = (endpoint.origin(), scopes(endpoint, mount));
                let newer = known.tokens.get(&key).map(|token| bearer(&token.text));
                if newer.is_some() && newer != *sent {
                    newer
                } else {
                    let wanted = merged(&key.1, asked.scope.as_deref().unwrap_or_default());
                    let request = TokenRequest { client, limits, endpoint, asked, wanted, lookup };
                    let token = request.fetch().await?;
                    let proof = bearer(&token.text);
                    known.tokens.insert(key, token);
                    Some(proof)
                }
            }
        };
        known.ways.insert(endpoint.origin(), challenge);
        Ok(proof.filter(|proof| Some(proof) != sent.as_ref()))
    }
}

/// What our requests need, in the words of the token specification.
fn scopes(endpoint: &Endpoint, mount: Option<&str>) -> String {
    let actions = match endpoint.access {
        Access::Pull => "pull",
        Access::Push => "pull,push",
    };
    let own = format!("repository:{}:{actions}", endpoint.reference.repository());
    mount.map_or_else(|| own.clone(), |from| format!("{own} repository:{from}:pull"))
}

/// Our scopes and those of the challenge, each once. A challenge mostly asks for a part of what we
/// will need next, such as `pull` before a push.
fn merged(ours: &str, asked: &str) -> String {
    let covered = |scope: &str| {
        let Some((place, actions)) = scope.rsplit_once(':') else { return false };
        let same = ours.split(' ').filter_map(|one| one.rsplit_once(':'));
        let mut have = same.filter(|(one, _)| *one == place).flat_map(|(_, a)| a.split(','));
        let have: Vec<&str> = have.by_ref().collect();
        actions.split(',').all(|action| have.contains(&action))
    };
    let more = asked.split_whitespace().filter(|scope| !covered(scope));
    more.fold(ours.to_owned(), |all, scope| format!("{all} {scope}"))
}

fn basic(user: &str, password: &Secret) -> HeaderValue {
    let pair = Secret::new(format!("{user}:{}", password.expose_secret()));
    header("Basic", &Secret::new(BASE64_STANDARD.encode(pair.expose_secret())))
}

fn bearer(token: &Secret) -> HeaderValue {
    header("Bearer", token)
}

/// A header that its own `Debug` does not show. Tokens that are no header text become an empty one,
/// which the registry refuses.
fn header(scheme: &str, value: &Secret) -> HeaderValue {
    let text = Secret::new(format!("{scheme} {}", value.expose_secret()));
    let value = HeaderValue::from_str(text.expose_secret());
    let mut value = value.unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: Secret,
    #[serde(default)]
    access_token: Secret,
    expires_in: Option<u64>,
}

/// A larger token answer is refused, in bytes.
const MAX_TOKEN: u64 = 256 * 1024;

struct TokenRequest<'a> {
    client: &'a Client,
    limits: &'a Limits,
    endpoint: &'a Endpoint,
    asked: &'a Bearer,
    wanted: String,
    lookup: Lookup,
}

impl TokenRequest<'_> {
    async fn fetch(self) -> Result<Token, Failure> {
        let begun = Instant::now();
        let response = self.send(self.realm()?).await?;
        let status = response.status();
        let at = self.endpoint.place();
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            return Err(busy(self.endpoint, self.limits, response).await);
        }
        if !status.is_success() {
            let said = answer::said(response, self.limits.silence).await;
            let TokenRequest { endpoint, lookup, .. } = self;
            return Err(denied(endpoint, status, said, lookup.account).into());
        }
        let bytes = match answer::body(response, MAX_TOKEN, self.limits.silence).await {
            Ok(bytes) => bytes,
            Err(BodyFault::TooLarge) => {
                let what = What::Token;
                return Err(RegistryError::TooLarge { at, what, max: MAX_TOKEN }.into());
            }
            Err(BodyFault::Stalled) => return Err(stalled(self.endpoint, self.limits.silence)),
            Err(BodyFault::Broken(error)) => {
                return Err(connection::failure(self.endpoint, &error));
            }
        };
        let refused = || RegistryError::Refused {
            at,
            what: What::Token,
            status,
            said: Said("its answer holds no token".into()),
            help: "report it to whoever runs the registry's token server",
        };
        let Ok(answer) = serde_json::from_slice::<TokenAnswer>(&bytes) else {
            return Err(refused().into());
        };
        let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
        if token.is_empty() {
            return Err(refused().into());
        }
        // "If omitted, this defaults to 60 seconds." A little less, so that it does not end underway.
        let lifetime = Duration::from_secs(answer.expires_in.unwrap_or(60).clamp(1, 86_400));
        Ok(Token { text: token, ends: begun + lifetime.mul_f64(0.9) })
    }

    /// Credentials go to HTTPS only, unless the registry itself is spoken to without.
    fn realm(&self) -> Result<Url, Failure> {
        let allowed = |realm: &Url| {
            realm.scheme() == "https" || (realm.scheme() == "http" && self.endpoint.plain_http)
        };
        let realm = self.asked.realm.parse().ok().filter(allowed);
        realm.ok_or_else(|| {
            let realm = answer::printable(&self.asked.realm);
            RegistryError::Realm { host: self.endpoint.host().into(), realm }.into()
        })
    }

    async fn send(&self, mut realm: Url) -> Result<Response, Failure> {
        let service = self.asked.service.iter().map(|service| ("service", service.as_str()));
        let request = if let Some(Credential::Identity(token)) = &self.lookup.credential {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token").extend_pairs(service);
            form.append_pair("client_id", "touchmark").append_pair("scope", &self.wanted);
            form.append_pair("refresh_token", token.expose_secret());
            let kind = "application/x-www-form-urlencoded";
            self.client.post(realm).header("content-type", kind).body(form.finish())
        } else {
            realm.query_pairs_mut().extend_pairs(service);
            // One parameter per scope, as Docker sends them; some servers do not split one parameter.
            let scopes = self.wanted.split(' ').map(|scope| ("scope", scope));
            realm.query_pairs_mut().extend_pairs(scopes);
            let request = self.client.get(realm);
            match &self.lookup.credential {
                Some(Credential::Basic { user, password }) => {
                    request.header("authorization", basic(user, password))
                }
                _ => request,
            }
        };
        let silence = self.limits.silence;
        match tokio::time::timeout(silence, request.send()).await {
            Ok(answer) => answer.map_err(|error| connection::failure(self.endpoint, &error)),
            Err(_) => Err(stalled(self.endpoint, silence)),
        }
    }
}

/// The refusal of a registry or of its token server.
pub(super) fn denied(
    endpoint: &Endpoint,
    status: StatusCode,
    said: Said,
    account: String,
) -> RegistryError {
    let action = match endpoint.access {
        Access::Pull => "let us pull",
        Access::Push => "let us push to",
    };
    let at = endpoint.place();
    RegistryError::Unauthorized { at, action, status, said, account }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_asked_for_once() {
        let ours = "repository:a/b:pull,push";
        assert_eq!(merged(ours, ""), ours);
        assert_eq!(merged(ours, "repository:a/b:pull"), ours);
        assert_eq!(merged(ours, "repository:a/b:push,pull"), ours);
        assert_eq!(
            merged(ours, "repository:a/b:delete registry:catalog:*"),
            "repository:a/b:pull,push repository:a/b:delete registry:catalog:*"
        );
    }

    #[test]
    fn headers_do_not_show_themselves() {
        let value = basic("alice", &Secret::new("hunter2"));
        assert_eq!(value.to_str().unwrap(), "Basic YWxpY2U6aHVudGVyMg==");
        assert_eq!(format!("{value:?}"), "Sensitive");
        assert_eq!(bearer(&Secret::new("line\nbreak")), "");
    }
}
