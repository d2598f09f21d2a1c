//! Who we are to a registry: Docker's `config.json`, with its credential helpers.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;

use super::credential_helper::{CredentialHelper, HelperAnswer, HelperError};
use crate::secret::Secret;

/// One way to prove who we are.
#[derive(Debug, Clone)]
pub enum Credential {
    /// User name and password.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// A long-lived token that the token server changes for short-lived ones.
    Identity(Secret),
    /// A token to send as it is.
    Registry(Secret),
}

/// What is known for a registry, and a clause for messages that says where it is from, such as
/// `credentials from /home/u/.docker/config.json were sent`.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// `None`: anonymous.
    pub credential: Option<Credential>,
    /// Where it is from, or why there is none. Never the value.
    pub account: String,
}

/// Why the credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file is there but cannot be read.
    #[error("cannot read the registry credentials in {}: {source}\nhelp: make it readable for you, or remove it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not Docker's. Its content is not shown, it may be secret.
    #[error("{} line {line}: this is not a docker config.json\nhelp: correct it, or remove it and run 'docker login' again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where the fault is, from 1.
        line: usize,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, AuthEntry>,
    #[serde(default)]
    creds_store: String,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
struct AuthEntry {
    #[serde(default)]
    auth: Secret,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: Secret,
    #[serde(default)]
    identitytoken: Secret,
    #[serde(default)]
    registrytoken: Secret,
}

/// The credentials of one Docker configuration.
#[derive(Debug, Default)]
pub struct Credentials {
    path: Option<PathBuf>,
    config: DockerConfig,
    helper: Option<Arc<dyn CredentialHelper>>,
    /// A helper is asked once per registry, it may be slow or ask its user.
    asked: Mutex<HashMap<String, Result<Credential, HelperError>>>,
}

/// A larger configuration is not read, in bytes.
const MAX_CONFIG: u64 = 4 * 1024 * 1024;

impl Credentials {
    /// No credentials at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Docker's configuration at `path`; a file that is not there is an empty one. Without a `helper`
    /// the `credsStore` and `credHelpers` of the file are left unasked.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn from_docker_config(
        path: &Path,
        helper: Option<Arc<dyn CredentialHelper>>,
    ) -> Result<Self, CredentialsError> {
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| file.take(MAX_CONFIG).read_to_end(&mut bytes)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => bytes = b"{}".to_vec(),
            Err(source) => return Err(CredentialsError::Unreadable { path: path.into(), source }),
            Ok(_) => {}
        }
        // serde's own message may quote the value it stumbled over.
        let malformed = |error: serde_json::Error| CredentialsError::Malformed {
            path: path.into(),
            line: error.line(),
        };
        let config: DockerConfig = serde_json::from_slice(&bytes).map_err(malformed)?;
        Ok(Self { path: Some(path.into()), config, helper, asked: Mutex::default() })
    }

    /// What is known for a repository of a registry. May run a helper, so it may block.
    ///
    /// Order: the helper for this registry, the general helper, the file. A helper that fails does not
    /// stop an anonymous pull; what it said comes up when the registry refuses us.
    #[must_use]
    pub fn find(&self, registry: &str, repository: &str) -> Lookup {
        let Some(path) = &self.path else {
            let account = "no credentials were sent (no docker config.json is in use)".into();
            return Lookup { credential: None, account };
        };
        let helper = self.helper_for(registry);
        let asked = helper.and_then(|name| Some((name, self.ask(name, registry)?)));
        let in_file = || self.entry(registry, repository).and_then(AuthEntry::credential);
        let (credential, account) = match asked {
            Some((name, Ok(credential))) => {
                (Some(credential), format!("credentials from docker-credential-{name} were sent"))
            }
            failed => match (in_file(), failed) {
                (Some(credential), _) => {
                    (Some(credential), format!("credentials from {} were sent", path.display()))
                }
                (None, Some((name, Err(error)))) => {
                    (None, format!("no credentials were sent (docker-credential-{name}: {error})"))
                }
                (None, _) => {
                    (None, format!("no credentials were sent ({} has none for it)", path.display()))
                }
            },
        };
        Lookup { credential, account }
    }

    fn helper_for(&self, registry: &str) -> Option<&str> {
        let own = self.config.cred_helpers.iter().find(|(key, _)| place_of(key) == registry);
        let name = own.map_or(self.config.creds_store.as_str(), |(_, name)| name);
        (!name.is_empty()).then_some(name)
    }

    fn ask(&self, name: &str, registry: &str) -> Option<Result<Credential, HelperError>> {
        let helper = self.helper.as_ref()?;
        // Held while the helper runs: parallel transfers must not ask the user twice.
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = asked.get(registry) {
            return Some(answer.clone());
        }
        let server = match registry {
            "docker.io" => "https://index.docker.io/v1/",
            other => other,
        };
        let answer = helper.get(name, server).and_then(from_helper);
        asked.insert(registry.into(), answer.clone());
        Some(answer)
    }

    /// The entry whose key is the longest prefix of `registry/repository`.
    fn entry(&self, registry: &str, repository: &str) -> Option<&AuthEntry> {
        let wanted = format!("{registry}/{repository}/");
        let fits = |key: &str| wanted.starts_with(&format!("{key}/"));
        let entries = self.config.auths.iter().map(|(key, entry)| (place_of(key), entry));
        let fitting = entries.filter(|(key, _)| fits(key));
        fitting.max_by_key(|(key, _)| key.len()).map(|(_, entry)| entry)
    }
}

impl AuthEntry {
    fn credential(&self) -> Option<Credential> {
        if !self.registrytoken.is_empty() {
            return Some(Credential::Registry(self.registrytoken.clone()));
        }
        if !self.identitytoken.is_empty() {
            return Some(Credential::Identity(self.identitytoken.clone()));
        }
        if !self.username.is_empty() {
            let (user, password) = (self.username.clone(), self.password.clone());
            return Some(Credential::Basic { user, password });
        }
        let bytes = BASE64_STANDARD.decode(self.auth.expose_secret().trim()).ok()?;
        let text = Secret::new(String::from_utf8(bytes).ok()?);
        let (user, password) = text.expose_secret().split_once(':')?;
        // Docker pads passwords with NUL in some versions of its configuration.
        let password = Secret::new(password.trim_end_matches('\0'));
        (!user.is_empty()).then(|| Credential::Basic { user: user.into(), password })
    }
}

fn from_helper(answer: HelperAnswer) -> Result<Credential, HelperError> {
    let HelperAnswer { username, secret } = answer;
    match username.as_str() {
        _ if secret.is_empty() => Err(HelperError::Unknown),
        "<token>" => Ok(Credential::Identity(secret)),
        _ => Ok(Credential::Basic { user: username, password: secret }),
    }
}

/// `host[:port][/path]` of a key: keys may be whole addresses, and Docker's hub has several names.
fn place_of(key: &str) -> String {
    let key = key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key.strip_suffix("/v1").or(key.strip_suffix("/v2")).unwrap_or(key);
    match key {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests;
