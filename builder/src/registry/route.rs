//! Where a reference really leads: the policy's answer, and the addresses made from it.

use std::{path::PathBuf, time::Duration};

use url::Url;

use super::{
    error::{Place, RegistryError},
    transport::Limits,
};
use crate::{oci::reference::Reference, policy::RegistriesPolicy, proxy::Proxies};

pub use crate::policy::registries::Access;

/// The way to a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The reference to ask for; another one than was named where the policy has a mirror.
    pub reference: Reference,
    /// Plain HTTP instead of HTTPS.
    pub plain_http: bool,
    /// PEM file with certificate authorities that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// How long the registry may be silent; none: as long as [`Limits`] has it.
    pub idle: Option<Duration>,
}

/// The policy does not let us go there. The message says what to add to the policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RouteDenied {
    /// What happened and what to do, for the user.
    pub message: String,
}

/// Decides where references lead. Pure: the same question has the same answer.
pub trait Routes: Send + Sync {
    /// The way to `reference`.
    ///
    /// # Errors
    /// [`RouteDenied`] when the policy does not allow it.
    fn route(&self, reference: &Reference, access: Access) -> Result<Route, RouteDenied>;
}

impl<F> Routes for F
where
    F: Fn(&Reference, Access) -> Result<Route, RouteDenied> + Send + Sync,
{
    fn route(&self, reference: &Reference, access: Access) -> Result<Route, RouteDenied> {
        self(reference, access)
    }
}

impl Routes for RegistriesPolicy {
    fn route(&self, reference: &Reference, access: Access) -> Result<Route, RouteDenied> {
        match RegistriesPolicy::route(self, reference, access) {
            Ok(way) => {
                let (reference, plain_http, idle) = (way.reference, way.plain_http, way.idle);
                Ok(Route { reference, plain_http, ca: None, idle })
            }
            Err(denied) => Err(RouteDenied { message: denied.to_string() }),
        }
    }
}

/// A route made into addresses.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) reference: Reference,
    pub(super) access: Access,
    pub(super) plain_http: bool,
    pub(super) ca: Option<PathBuf>,
    idle: Option<Duration>,
    /// The proxy on the way.
    pub(super) through: Option<Through>,
    base: Url,
}

/// A proxy, for messages.
#[derive(Debug, Clone)]
pub(super) struct Through {
    pub(super) proxy: String,
    pub(super) wants_login: String,
}

impl Endpoint {
    pub(super) fn new(route: Route, access: Access) -> Result<Self, RegistryError> {
        let scheme = if route.plain_http { "http" } else { "https" };
        let host = match route.reference.registry() {
            // Docker's hub has another name in references than on the network.
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        let text = format!("{scheme}://{host}/v2/{}/", route.reference.repository());
        let base = Url::parse(&text).map_err(|error| RegistryError::Address {
            host: host.to_owned(),
            reason: error.to_string(),
        })?;
        let Route { reference, plain_http, ca, idle } = route;
        Ok(Self { reference, access, plain_http, ca, idle, through: None, base })
    }

    /// The same, with the proxy that is on the way.
    pub(super) fn behind(self, proxies: &Proxies) -> Self {
        let through = proxies
            .of_url(&self.base)
            .map(|proxy| Through { proxy: proxy.to_string(), wants_login: proxy.wants_login() });
        Self { through, ..self }
    }

    /// Host and port as the reference has them.
    pub(super) fn host(&self) -> &str {
        self.reference.registry()
    }

    /// `limits` with what the policy says of this registry. How long it may take to digest an upload
    /// grows and shrinks with how long it may be silent.
    pub(super) fn limits(&self, limits: &Limits) -> Limits {
        let Some(silence) = self.idle else { return *limits };
        let factor = limits.digestion.div_duration_f64(limits.silence);
        Limits { silence, digestion: silence.mul_f64(factor), ..*limits }
    }

    /// Host and full reference, as errors want them.
    pub(super) fn place(&self) -> Box<Place> {
        let (host, image) = (self.host().to_owned(), self.reference.to_string());
        Box::new(Place { host, image })
    }

    /// `https://host/v2/<repository>/<rest>`; `rest` is made of digests, tags and fixed words.
    pub(super) fn url(&self, rest: &str) -> Url {
        let mut url = self.base.clone();
        let (path, query) = rest.split_once('?').map_or((rest, None), |(p, q)| (p, Some(q)));
        url.set_path(&format!("{}{path}", self.base.path()));
        url.set_query(query);
        url
    }

    /// May this address see what is meant for the registry alone? Scheme, host and port must be equal.
    pub(super) fn is_home(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Is the registry on this machine?
    pub(super) fn is_loopback(&self) -> bool {
        match self.base.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// `scheme://host:port`, the key under which the registry's ways are remembered.
    pub(super) fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(reference: &str, plain_http: bool) -> Endpoint {
        let reference = reference.parse().unwrap();
        Endpoint::new(Route { reference, plain_http, ca: None, idle: None }, Access::Pull).unwrap()
    }

    #[test]
    fn addresses_follow_the_distribution_spec() {
        let hub = endpoint("debian", false);
        assert_eq!(
            hub.url("manifests/12").as_str(),
            "https://registry-1.docker.io/v2/library/debian/manifests/12"
        );
        assert_eq!(hub.host(), "docker.io");
        let local = endpoint("[::1]:5000/a/b", true);
        assert_eq!(
            local.url("blobs/uploads/?mount=sha256:1&from=c").as_str(),
            "http://[::1]:5000/v2/a/b/blobs/uploads/?mount=sha256:1&from=c"
        );
    }

    #[test]
    fn home_is_scheme_host_and_port() {
        let registry = endpoint("registry.example/app", false);
        let home = |text: &str| registry.is_home(&text.parse().unwrap());
        assert!(home("https://registry.example:443/elsewhere"));
        assert!(!home("http://registry.example/") && !home("https://registry.example:444/"));
        assert!(!home("https://cdn.registry.example/"));
    }
}
