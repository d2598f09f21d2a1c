//! The network of one RUN step, from its namespaces to its traffic.

use std::{
    fs::File,
    future::Future,
    net::Ipv4Addr,
    os::fd::AsRawFd,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use crate::{
    downloads::{DownloadStore, Terms},
    policy::NetworkPolicy,
};

use super::{
    EgressError, Shared,
    authority::{Authority, AuthorityError, names},
    claim::Abandoned,
    dns,
    flight::Flights,
    http,
    names::Names,
    namespace::{GATEWAY, NamespaceError, Namespaces},
    patience::Patience,
    record::{Recorder, StepOrigin, StepTraffic},
    ssh, stray, tls,
    upstream::Upstreams,
};

/// How long connections may take to notice that the step is gone.
const FAREWELL: Duration = Duration::from_secs(2);

/// A network namespace for one step whose traffic goes through the policy. Dropping it without
/// [`StepNetwork::finish`] releases everything and forgets the traffic.
#[derive(Debug)]
pub struct StepNetwork {
    step: Arc<Step>,
    namespace: File,
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
}

/// What all connections of a step share.
#[derive(Debug)]
pub(super) struct Step {
    shared: Arc<Shared>,
    names: Names,
    recorder: Arc<Recorder>,
    patience: Patience,
    abandoned: Abandoned,
}

impl Step {
    pub(super) fn policy(&self) -> &NetworkPolicy {
        &self.shared.policy
    }

    pub(super) fn upstreams(&self) -> &Upstreams {
        &self.shared.upstreams
    }

    pub(super) fn authority(&self) -> Result<&Authority, AuthorityError> {
        self.shared.authority()
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// How long its clients are waited for, and its places.
    pub(super) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// What its clients broke off.
    pub(super) fn abandoned(&self) -> &Abandoned {
        &self.abandoned
    }

    /// The download store, where there is one.
    pub(super) fn store(&self) -> Option<&DownloadStore> {
        self.shared.store.as_ref()
    }

    /// What may be taken from elsewhere.
    pub(super) fn terms(&self) -> &Terms {
        &self.shared.terms
    }

    /// What is being fetched, for this step or another one.
    pub(super) fn flights(&self) -> &Flights {
        &self.shared.flights
    }

    /// What to do about a connection to a bare address.
    pub(super) fn direct_remedy(&self, asked: Option<&str>) -> String {
        match asked.filter(|host| host.contains(|c: char| c.is_ascii_alphabetic())) {
            Some(host) if !self.policy().knows(host) => crate::policy::network::remedy(host),
            _ => "ask for the host by its name, and let the policy allow that name".into(),
        }
    }
}

impl StepNetwork {
    pub(super) fn open(
        shared: Arc<Shared>,
        namespaces: Namespaces,
        origin: StepOrigin,
    ) -> Result<Self, EgressError> {
        let Namespaces { step: namespace, dns_udp, dns_tcp, http, tls, ssh, stray, tunnels } =
            namespaces;
        let io = |source| NamespaceError::Io { step: "serve", source };
        let dns_udp = UdpSocket::from_std(dns_udp).map_err(io)?;
        let dns_tcp = TcpListener::from_std(dns_tcp).map_err(io)?;
        let http = TcpListener::from_std(http).map_err(io)?;
        let tls = TcpListener::from_std(tls).map_err(io)?;
        let ssh = TcpListener::from_std(ssh).map_err(io)?;
        let recorder = Arc::new(Recorder::new(origin));
        let patience = Patience::of(shared.policy.limits());
        let (names, abandoned) = (Names::default(), Abandoned::default());
        let step = Arc::new(Step { shared, names, recorder, patience, abandoned });
        let (stop, stopped) = watch::channel(false);
        let mut servers = JoinSet::new();
        let mut until_stop = stopped.clone();
        let datagrams = dns::serve_udp(dns_udp, step.clone());
        servers.spawn(async move {
            tokio::select! {
                () = datagrams => {}
                _ = until_stop.changed() => {}
            }
        });
        if let Some(stray) = stray {
            servers.spawn(stray::watch(stray, stopped.clone(), step.clone()));
        }
        servers.spawn(accept(dns_tcp, stopped.clone(), step.clone(), dns::serve_tcp));
        servers.spawn(accept(http, stopped.clone(), step.clone(), http::serve));
        servers.spawn(accept(tls, stopped.clone(), step.clone(), tls::serve));
        for tunnel in tunnels {
            let tunnel = TcpListener::from_std(tunnel).map_err(io)?;
            servers.spawn(accept(tunnel, stopped.clone(), step.clone(), ssh::serve));
        }
        servers.spawn(accept(ssh, stopped, step.clone(), ssh::serve));
        Ok(Self { step, namespace, stop, servers })
    }

    /// The step's network namespace as a path, which is good as long as this value and this process
    /// live. The process must be dumpable for another one to open it (see prctl(2)).
    #[must_use]
    pub fn netns_path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd()).into()
    }

    /// The contents of the step's `/etc/resolv.conf`.
    #[must_use]
    pub fn resolv_conf(&self) -> String {
        format!("nameserver {GATEWAY}\n")
    }

    /// Is there a host whose TLS would be inspected?
    #[must_use]
    pub fn inspects(&self) -> bool {
        !names(&self.step.shared.policy).is_empty()
    }

    /// The certificate (DER) of the authority that answers for hosts whose TLS is inspected: the step's clients
    /// have to trust it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn authority(&self) -> Result<Vec<u8>, EgressError> {
        Ok(self.step.authority()?.certificate().to_vec())
    }

    /// The step's way out, which stands for the building machine: it answers names and nothing else.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        GATEWAY
    }

    /// Takes the network down, to be called when the step has ended, and returns what it did.
    pub async fn finish(mut self) -> StepTraffic {
        // Nobody listens when all servers are gone already.
        let _ = self.stop.send(true);
        while self.servers.join_next().await.is_some() {}
        self.step.abandoned.recorded().await;
        let traffic = self.step.recorder.traffic();
        let mut all = self.step.shared.finished.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(traffic.requests.iter().cloned());
        drop(all);
        traffic
    }
}

/// Serves each connection on a task of its own. After the stop, connections have a moment to notice
/// that their client is gone; what is still open then is broken off.
async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    mut stopped: watch::Receiver<bool>,
    step: Arc<Step>,
    serve: fn(TcpStream, Arc<Step>) -> F,
) {
    let mut connections = JoinSet::new();
    let next = async || (step.patience.connection().await, listener.accept().await);
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = next() => match accepted {
                (place, Ok((stream, _))) => {
                    let served = serve(stream, step.clone());
                    connections.spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
                // Out of descriptors, mostly: the next attempt may find one.
                (_, Err(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
    drop(listener);
    let farewell = async { while connections.join_next().await.is_some() {} };
    // What is left after the time is aborted when the set is dropped.
    let _ = timeout(FAREWELL, farewell).await;
    connections.shutdown().await;
}

/// Everything that finished steps asked for.
pub(super) type Finished = Mutex<Vec<super::RequestRecord>>;
