//! The network of RUN steps: only what the policy allows gets out, and all of it is written down.
//! `address`, `way_out`, `allowance`, `patience`, `through_proxy`, `names`, `record`, `dns_message`, `client_hello`, `authority`, `conditional` (what a client gets of an
//! answer), `query` (a POST that only asks) ← `exchange`, `upstream` ← `errand` (one fetch into the download store) ← `flight` (for all who ask for it)
//! ← `from_store` ← `body`, `tunnel` ← `relay` ← `dns`, `http` ← `tls`, `ssh` ← `namespace` ← `ahead`, `step`.
//!
//! Absent: ports other than 22, 53, 80, 443 and those of the policy's tunnels. What a step sends elsewhere is refused
//! by the kernel of its egress namespace; `stray` sees it and tells it.

mod address;
mod ahead;
mod allowance;
mod authority;
mod body;
mod claim;
pub mod client_hello;
mod conditional;
mod dns;
pub mod dns_message;
mod errand;
mod exchange;
mod flight;
mod from_store;
mod http;
mod names;
mod namespace;
mod patience;
mod query;
mod record;
mod relay;
mod ssh;
mod step;
mod stray;
#[cfg(test)]
mod tests;
mod through_proxy;
mod tls;
mod tunnel;
mod upstream;
pub mod wanted;
mod way_out;

use std::{
    fmt, mem,
    sync::{Arc, OnceLock, PoisonError},
};

use ahead::Ahead;
use authority::Authority;
pub use authority::{AUTHORITY_NAME, AuthorityError};
pub use namespace::NamespaceError;
pub(crate) use query::kept_method;
pub use record::{Refusal, RefusalKind, RequestRecord, StepOrigin, StepTraffic};
pub use step::StepNetwork;

use crate::{
    downloads::{DownloadStore, Terms},
    policy::NetworkPolicy,
};
pub(crate) use upstream::{Unanswered, UpstreamError, Upstreams, causes};
pub use way_out::{LoginError, Logins, WayOut};

/// The way out for the steps of one build.
#[derive(Debug)]
pub struct Egress {
    shared: Result<Arc<Shared>, String>,
    ahead: Ahead,
}

struct Shared {
    policy: Arc<NetworkPolicy>,
    upstreams: Upstreams,
    authority: OnceLock<Authority>,
    store: Option<DownloadStore>,
    terms: Terms,
    flights: flight::Flights,
    finished: step::Finished,
}

impl Shared {
    /// The build's authority, made when it is first asked for.
    fn authority(&self) -> Result<&Authority, AuthorityError> {
        if let Some(made) = self.authority.get() {
            return Ok(made);
        }
        let made = Authority::new(&self.policy)?;
        // Two at once: the first one stays.
        Ok(self.authority.get_or_init(|| made))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Why a step gets no network.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The kernel refused the namespaces or what is in them.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// There is no authority for inspected TLS.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// There is no client for upstreams.
    #[error("cannot make an HTTP client: {0}\nhelp: check the certificates under /etc/ssl/certs")]
    Client(String),
}

impl Egress {
    /// Steps will reach what `policy` allows, through `store`, on these terms, by this way.
    #[must_use]
    pub fn new(
        policy: Arc<NetworkPolicy>,
        store: Option<DownloadStore>,
        terms: Terms,
        way: WayOut,
    ) -> Self {
        let ahead = Ahead::new(policy.tunnel_ports().into_iter().collect());
        let shared = Upstreams::new(&policy, way).map(|upstreams| {
            let upstreams = if terms.offline { upstreams.unplugged() } else { upstreams };
            let (flights, finished) = (flight::Flights::default(), step::Finished::default());
            let authority = OnceLock::new();
            Arc::new(Shared { policy, upstreams, authority, store, terms, flights, finished })
        });
        Self { shared: shared.map_err(|error| error.to_string()), ahead }
    }

    /// As many more steps are to come: while one runs, the namespaces of the next are made.
    pub fn expect(&self, steps: usize) {
        self.ahead.expect(steps);
    }

    /// Makes the network of one step. Needs the right to make network namespaces, as root of a user
    /// namespace has it; the calling thread stays in its own namespace. To be called on the runtime
    /// that will serve the step.
    ///
    /// # Errors
    /// [`EgressError`] when the kernel gives no namespace, or when there is no HTTP client.
    pub async fn open_step(&self, origin: StepOrigin) -> Result<StepNetwork, EgressError> {
        let shared = self.shared.clone().map_err(EgressError::Client)?;
        StepNetwork::open(shared, self.ahead.take().await?, origin)
    }

    /// The requests of all finished steps so far, which are forgotten here.
    #[must_use]
    pub fn finish(&self) -> Vec<RequestRecord> {
        match &self.shared {
            Ok(shared) => {
                let mut all = shared.finished.lock().unwrap_or_else(PoisonError::into_inner);
                mem::take(&mut *all)
            }
            Err(_) => Vec::new(),
        }
    }
}
