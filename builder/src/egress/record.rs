//! What a step asked for: requests that went out, and refusals.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{
    downloads::{Breach, Terms},
    oci::digest::Digest,
};

/// The instruction that a request belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepOrigin {
    /// Line in the Dockerfile, counted from 1.
    pub line: u32,
    /// The instruction as written, for messages.
    pub text: String,
    /// Name or number of the stage.
    pub stage: String,
}

/// One request that the policy let through, whatever came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Who asked.
    pub line: StepOrigin,
    /// HTTP method; `CONNECT` for a TLS tunnel.
    pub method: String,
    /// URL as the step asked for it.
    pub url: String,
    /// URL it was fetched from, after the policy's rewrite.
    pub fetched_url: String,
    /// The rule that allowed it.
    pub rule: String,
    /// HTTP status; none for a tunnel or when no response came.
    pub status: Option<u16>,
    /// Bytes of the body that the step got; bytes towards the step for a tunnel.
    pub size: u64,
    /// Bytes of the request's body; bytes from the step for a tunnel.
    pub sent: u64,
    /// Digest of the body as transferred, when all of it came.
    pub sha256: Option<Digest>,
    /// Id of the commit, where a repository was fetched; of a clone that wanted several all of them, with spaces between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Digest of what a POST that only asks has asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Digest>,
    /// Is everything known about this exchange? False for tunnels, writes, partial and broken bodies.
    pub complete: bool,
    /// Why not.
    pub incomplete_reason: Option<String>,
    /// Package URL, where the URL tells it.
    pub purl: Option<String>,
    /// By what its ecosystem vouches for it, where that was looked up when it was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_by: Option<String>,
    /// When it began, seconds since 1970. In no cache key and no image.
    pub started: u64,
    /// How long it took, in milliseconds. In no cache key and no image.
    pub duration: u64,
}

impl RequestRecord {
    /// Is this a file that the step fetched whole, and so a resolved dependency of the build?
    #[must_use]
    pub fn is_dependency(&self) -> bool {
        self.complete && self.method == "GET" && self.status == Some(200) && self.sha256.is_some()
    }

    /// Is this what a repository answered to a question of git? A lock names its digest, so that an offline build
    /// finds it among later answers; nothing is held to it.
    #[must_use]
    pub fn is_git_answer(&self) -> bool {
        let git = self.query.is_some() && self.url.ends_with("/git-upload-pack");
        git && self.complete && self.status == Some(200) && self.sha256.is_some()
    }
}

impl RequestRecord {
    /// Is it as the terms of the build want it?
    ///
    /// # Errors
    /// [`Breach`].
    pub fn held_to(&self, terms: &Terms) -> Result<(), Breach> {
        if !self.complete {
            let reason = self.incomplete_reason.as_deref().unwrap_or("it is not complete");
            return terms.check_incomplete(&self.url, reason);
        }
        match (&self.commit, self.status, self.sha256) {
            (Some(commit), ..) => terms.check_commit(&self.url, commit),
            (None, Some(status), Some(digest)) if self.method == "GET" => {
                terms.check_file(&self.url, status, digest)
            }
            _ => Ok(()),
        }
    }
}

/// Something that a step tried and did not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Who tried.
    pub origin: StepOrigin,
    /// Host name, or the address where no name is behind it.
    pub host: String,
    /// Port; 53 for a name that was not resolved.
    pub port: u16,
    /// What was wrong.
    pub kind: RefusalKind,
    /// The policy lines that would allow it, or what else to do.
    pub remedy: String,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// No rule covers the name that was looked up.
    UnknownName,
    /// The address was not asked for by name.
    DirectAddress,
    /// The request names another host than the one it was sent to.
    OtherHost(String),
    /// A rule covers the host, but not this request.
    Request(String),
    /// The upstream's address is private.
    PrivateUpstream,
    /// The connection to port 443 does not begin with TLS that names a server.
    NoServerName,
    /// A port or a protocol that no step is served: `TCP`, `UDP`, `DNS`, `ping`, or a protocol by its number.
    NotCarried(String),
}

impl fmt::Display for RefusalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName => f.write_str("the policy does not allow this host"),
            Self::DirectAddress => f.write_str("it was reached by address, not by an allowed name"),
            Self::OtherHost(name) => write!(f, "the request on this connection is for '{name}'"),
            Self::Request(reason) => f.write_str(reason),
            Self::PrivateUpstream => f.write_str("its address is private"),
            Self::NoServerName => f.write_str("the connection does not begin with TLS for a name"),
            Self::NotCarried(what) => write!(f, "{what} is not carried there"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, host, port, kind, remedy } = self;
        let at = match kind {
            RefusalKind::UnknownName => host.clone(),
            _ if *port == 0 => host.clone(),
            _ => format!("{host}:{port}"),
        };
        write!(f, "line {}: no connection to '{at}': {kind}\nhelp: {remedy}", origin.line)
    }
}

/// What one step did on the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTraffic {
    /// In the order in which they began.
    pub requests: Vec<RequestRecord>,
    /// Each once, in the order in which they happened.
    pub refusals: Vec<Refusal>,
    /// What was not as the build's terms want it, each once.
    #[serde(skip)]
    pub breaches: Vec<Breach>,
}

/// Gathers a step's traffic from all its connections.
#[derive(Debug)]
pub(super) struct Recorder {
    origin: StepOrigin,
    gathered: Mutex<Gathered>,
}

/// Further refusals are dropped: a step that tries a million names must not fill the memory.
const REFUSALS: usize = 1000;

#[derive(Debug, Default)]
struct Gathered {
    begun: u64,
    requests: Vec<(u64, RequestRecord)>,
    refusals: Vec<Refusal>,
    breaches: Vec<Breach>,
    resolved: BTreeSet<String>,
}

impl Recorder {
    pub(super) fn new(origin: StepOrigin) -> Self {
        Self { origin, gathered: Mutex::default() }
    }

    pub(super) fn origin(&self) -> &StepOrigin {
        &self.origin
    }

    /// What the mutex guards is valid between any two statements, so poisoning does not matter.
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that orders the request among the others.
    pub(super) fn begin(&self) -> u64 {
        let mut gathered = self.gathered();
        gathered.begun += 1;
        gathered.begun
    }

    pub(super) fn request(&self, number: u64, record: RequestRecord) {
        self.gathered().requests.push((number, record));
    }

    pub(super) fn resolved(&self, name: &str) {
        self.gathered().resolved.insert(name.to_owned());
    }

    pub(super) fn refuse(&self, host: &str, port: u16, kind: RefusalKind, remedy: String) {
        let (origin, host) = (self.origin.clone(), host.to_owned());
        let refusal = Refusal { origin, host, port, kind, remedy };
        let mut gathered = self.gathered();
        if gathered.refusals.len() < REFUSALS && !gathered.refusals.contains(&refusal) {
            gathered.refusals.push(refusal);
        }
    }

    pub(super) fn breach(&self, breach: Breach) {
        let mut gathered = self.gathered();
        if gathered.breaches.len() < REFUSALS && !gathered.breaches.contains(&breach) {
            gathered.breaches.push(breach);
        }
    }

    /// What was gathered so far. A resolver that appends its search domains asks for
    /// `packages.example.corp.example` beside `packages.example`: that is no refusal when the plain
    /// name was answered.
    pub(super) fn traffic(&self) -> StepTraffic {
        let mut gathered = self.gathered();
        let mut requests = std::mem::take(&mut gathered.requests);
        requests.sort_by_key(|(number, _)| *number);
        let mut refusals = std::mem::take(&mut gathered.refusals);
        refusals.retain(|refusal| {
            let noise = |name: &String| {
                let rest = refusal.host.strip_prefix(name.as_str());
                rest.is_some_and(|rest| rest.starts_with('.'))
            };
            refusal.kind != RefusalKind::UnknownName || !gathered.resolved.iter().any(noise)
        });
        let requests = requests.into_iter().map(|(_, record)| record).collect();
        let breaches = std::mem::take(&mut gathered.breaches);
        StepTraffic { requests, refusals, breaches }
    }
}
