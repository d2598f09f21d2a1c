//! The certificate authority of one build (RFC 5280). Its key is made when a step first gets a network, lives in
//! memory and goes with the build; nothing writes it down. It can speak for the hosts of the policy only.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints,
};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};
use time::{Duration, OffsetDateTime};

use crate::policy::{
    mirror::{Mirror, Scheme, Tls},
    network::NetworkPolicy,
};

/// The authority's name, the same in every build: what is derived from it, as the names of links in a directory of
/// certificates, does not differ from one to the next.
pub const AUTHORITY_NAME: &str = "Touchmark Build Authority";

/// Clocks of machines and of steps may differ.
const BEFORE: Duration = Duration::DAY;
/// No build takes longer.
const AFTER: Duration = Duration::days(7);
/// A common name may be this long (RFC 5280, appendix A.1).
const COMMON_NAME: usize = 64;
/// A wildcard in the policy covers endless names; so many are remembered.
const LEAVES: usize = 4096;

/// Why there is no authority, or no certificate for a host.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The certificate could not be made.
    #[error("cannot make a certificate for inspected TLS: {0}")]
    Certificate(#[from] rcgen::Error),
    /// It could not be used.
    #[error("cannot serve inspected TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Makes certificates for the hosts of one build's policy.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    leaves: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// A new one, for the hosts whose TLS `policy` wants to be inspected.
    pub(super) fn new(policy: &NetworkPolicy) -> Result<Self, AuthorityError> {
        let mut params = params();
        params.distinguished_name.push(DnType::CommonName, AUTHORITY_NAME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = constraints(policy);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { issuer: Issuer::new(params, key), certificate, leaves: Mutex::default() })
    }

    /// The authority's own certificate.
    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// How a server for `host`, a name in lower case, shakes hands.
    pub(super) fn server(&self, host: &str) -> Result<Arc<ServerConfig>, AuthorityError> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = leaves.get(host) {
            return Ok(known.clone());
        }
        let made = Arc::new(self.make(host)?);
        if leaves.len() >= LEAVES {
            leaves.clear();
        }
        leaves.insert(host.to_owned(), made.clone());
        Ok(made)
    }

    fn make(&self, host: &str) -> Result<ServerConfig, AuthorityError> {
        let mut params = params();
        params.subject_alt_names = CertificateParams::new([host.to_owned()])?.subject_alt_names;
        if host.len() <= COMMON_NAME {
            params.distinguished_name.push(DnType::CommonName, host);
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?.der().clone();
        let chain = vec![leaf, self.certificate.clone()];
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - BEFORE, now + AFTER);
    params.distinguished_name = DistinguishedName::new();
    params
}

/// The names of the hosts whose TLS `policy` wants to be inspected: each stands for itself and what is below it.
pub(super) fn names(policy: &NetworkPolicy) -> Vec<String> {
    let of_tls = |mirror: &&Mirror| {
        let port = mirror.host().port();
        port.is_none_or(|port| port == Scheme::Https.port())
            && mirror.tls() == Tls::Inspect
            && !mirror.host().is_address()
    };
    let mirrors = policy.mirrors().iter().filter(of_tls);
    let mut names: Vec<String> = mirrors.map(|mirror| mirror.host().suffix().to_owned()).collect();
    names.sort();
    names.dedup();
    // What is below a name that is there already needs no word of its own.
    let all = names.clone();
    names.retain(|name| {
        !all.iter().any(|above| name.strip_suffix(above).is_some_and(|rest| rest.ends_with('.')))
    });
    names
}

/// The names that the policy covers (RFC 5280, section 4.2.1.10: a name stands for itself and all below it), and no
/// address. None when the policy inspects nothing: an empty list would permit all.
fn constraints(policy: &NetworkPolicy) -> Option<NameConstraints> {
    let mut names = names(policy);
    if names.is_empty() {
        names.push("invalid".into());
    }
    let none = |subnet| GeneralSubtree::IpAddress(subnet);
    Some(NameConstraints {
        permitted_subtrees: names.into_iter().map(GeneralSubtree::DnsName).collect(),
        excluded_subtrees: vec![
            none(CidrSubnet::V4([0; 4], [0; 4])),
            none(CidrSubnet::V6([0; 16], [0; 16])),
        ],
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        pki_types::{ServerName, UnixTime},
    };

    use super::*;
    use crate::policy::Policy;

    fn authority(text: &str) -> Authority {
        Authority::new(&Policy::parse("touchmark.toml", text).unwrap().network).unwrap()
    }

    fn own(hosts: &[&str]) -> String {
        let rule = |host: &&str| format!("[[network.mirror]]\nhost = \"{host}\"\n");
        format!("[network]\nallow = []\n{}", hosts.iter().map(rule).collect::<String>())
    }

    /// Does a client that trusts `authority` take its certificate for `host`?
    fn is_taken(authority: &Authority, host: &str) -> bool {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let mut params = params();
        params.subject_alt_names =
            CertificateParams::new([host.to_owned()]).unwrap().subject_alt_names;
        let leaf = params
            .signed_by(&KeyPair::generate().unwrap(), &authority.issuer)
            .unwrap()
            .der()
            .clone();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let verifier = verifier.build().unwrap();
        verifier.verify_server_cert(&leaf, &[], &name, &[], UnixTime::now()).is_ok()
    }

    #[test]
    fn it_speaks_for_the_hosts_of_the_policy_and_for_no_other() {
        let authority = authority(&own(&["packages.example", "*.cdn.example"]));
        assert!(is_taken(&authority, "packages.example"));
        assert!(is_taken(&authority, "a.b.cdn.example"));
        for other in ["other.example", "example", "xpackages.example", "192.0.2.1"] {
            assert!(!is_taken(&authority, other), "{other}");
        }
        assert!(!is_taken(&self::authority(&own(&[])), "packages.example"));
        assert!(is_taken(&self::authority(""), "deb.debian.org"));
    }

    #[test]
    fn a_host_has_one_certificate_for_the_whole_build() {
        let authority = authority(&own(&["packages.example"]));
        let first = authority.server("packages.example").unwrap();
        assert!(Arc::ptr_eq(&first, &authority.server("packages.example").unwrap()));
        assert!(!Arc::ptr_eq(&first, &authority.server("other.example").unwrap()));
    }

    #[test]
    fn it_does_not_show_its_key() {
        assert_eq!(format!("{:?}", authority("")), "Authority { .. }");
    }
}
