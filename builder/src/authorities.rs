//! The certificate authorities that this machine trusts. Reading them takes longer than a whole build in which
//! nothing changed, so they are read when a server first shows a certificate, once for the program: who
//! speaks plain HTTP, or fetches nothing at all, never waits for them.

use std::sync::{Arc, OnceLock};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier;

/// TLS for clients that trust the machine's authorities and `more`; offers these protocols (ALPN), the best
/// one first.
///
/// # Errors
/// When the provider of the cryptography has no usable version of TLS.
pub(crate) fn client_config(
    more: Vec<CertificateDer<'static>>,
    protocols: &[&[u8]],
) -> Result<ClientConfig, Error> {
    // The program installs its provider when it starts, tests do not.
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
    let verifier = Arc::new(Authorities::new(provider.clone(), more));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        // The name is about verifiers that verify nothing; this one asks the machine's as ever.
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// The machine's verifier, made when it is first asked.
#[derive(Debug)]
struct Authorities {
    provider: Arc<CryptoProvider>,
    algorithms: WebPkiSupportedAlgorithms,
    /// Trusted beside the machine's.
    more: Vec<CertificateDer<'static>>,
    own: OnceLock<Result<Arc<Verifier>, Error>>,
}

/// The verifier of all clients that trust nobody else.
static MACHINE: OnceLock<Result<Arc<Verifier>, Error>> = OnceLock::new();

impl Authorities {
    fn new(provider: Arc<CryptoProvider>, more: Vec<CertificateDer<'static>>) -> Self {
        let algorithms = provider.signature_verification_algorithms;
        Self { provider, algorithms, more, own: OnceLock::new() }
    }

    fn verifier(&self) -> Result<&Verifier, Error> {
        let place = if self.more.is_empty() { &MACHINE } else { &self.own };
        let read = || {
            let made = Verifier::new_with_extra_roots(self.more.clone(), self.provider.clone());
            made.map(Arc::new)
        };
        place.get_or_init(read).as_deref().map_err(Clone::clone)
    }
}

impl ServerCertVerifier for Authorities {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifier = self.verifier()?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorities_are_read_when_a_certificate_is_shown_and_not_before() {
        let provider = Arc::new(ring::default_provider());
        let wrong = CertificateDer::from(b"no certificate".to_vec());
        let authorities = Authorities::new(provider, vec![wrong]);
        assert!(!authorities.supported_verify_schemes().is_empty());
        assert!(authorities.own.get().is_none());
        let name = ServerName::try_from("registry.example").unwrap();
        let shown = CertificateDer::from(b"shown".to_vec());
        let now = UnixTime::now();
        assert!(authorities.verify_server_cert(&shown, &[], &name, &[], now).is_err());
        assert!(authorities.own.get().is_some());
    }

    #[test]
    fn clients_offer_what_they_were_told_to() {
        let config = client_config(Vec::new(), &[b"h2", b"http/1.1"]).unwrap();
        assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }
}
