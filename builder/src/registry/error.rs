//! What can go wrong between us and a registry. Each message says what happened and what to do; none
//! holds a credential, a token or a query string (signed addresses of storage hosts are secrets).

use std::{path::PathBuf, time::Duration};

use reqwest::StatusCode;

use super::{credentials::CredentialsError, platform_choice::NoPlatform, route::RouteDenied};
use crate::{content::error::ContentError, oci::digest::Digest};

/// What was asked for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The registry's host and port.
    pub host: String,
    /// The full reference, after the policy's rewriting.
    pub image: String,
}

/// Why a registry did not do what was asked; `attempts` counts the tries made.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are named above, the messages say the rest")]
pub enum RegistryError {
    /// The policy forbids it.
    #[error(transparent)]
    Denied(#[from] RouteDenied),
    /// The content store failed.
    #[error(transparent)]
    Store(#[from] ContentError),
    /// The credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// It is not in the store, and nobody is to be asked for it.
    #[error(
        "{what} is not in the store\nhelp: build once without --offline, which brings what is missing"
    )]
    Offline { what: String },
    /// The host part of a reference is no host.
    #[error(
        "'{host}' is not the address of a registry: {reason}\nhelp: write it as host or host:port"
    )]
    Address { host: String, reason: String },
    /// No HTTP client can be made: mostly no certificate authorities on this machine.
    #[error(
        "cannot set up TLS for {host}: {reason}\n\
         help: install the system's certificate authorities: apt-get install ca-certificates"
    )]
    Setup { host: String, reason: String },
    /// The policy's file of certificate authorities cannot be used.
    #[error("cannot use the certificate authorities in {}: {reason}\nhelp: the policy names this file for {host}; it must hold certificates in PEM form", path.display())]
    Authorities { host: String, path: PathBuf, reason: String },
    /// Nobody answers there.
    #[error(
        "cannot reach the registry {host} for {image}: {reason}\n\
         help: check the name, that the registry runs, and that no firewall or proxy is in between", host = .at.host, image = .at.image
    )]
    Unreachable { at: Box<Place>, reason: String },
    /// TLS failed for another reason than [`RegistryError::PlainHttp`].
    #[error(
        "no TLS connection with {host} for {image}: {reason}\n\
         help: if {host} uses a private certificate authority, install it on this system or name it in the policy", host = .at.host, image = .at.image
    )]
    Tls { at: Box<Place>, reason: String },
    /// HTTPS was spoken to a server that speaks HTTP.
    #[error(
        "{host} answered in plain HTTP where HTTPS was expected, so {image} was not asked for\n\
         help: if you trust the network to it, add to touchmark.toml:\n  [registries]\n  \"{host}\" = {{ plain-http = true }}", host = .at.host, image = .at.image
    )]
    PlainHttp { at: Box<Place> },
    /// HTTP was spoken to a server that wants HTTPS.
    #[error(
        "{host} wants HTTPS, but {image} was asked for over plain HTTP\n\
         help: remove plain-http from its entry under [registries] in touchmark.toml", host = .at.host, image = .at.image
    )]
    WantsHttps { at: Box<Place> },
    /// 401 or 403.
    #[error(
        "{host} refuses to {action} {image} ({status}{said}); {account}\n\
         help: run 'docker login {host}'; many registries answer like this for repositories that do not exist, so check the name too", host = .at.host, image = .at.image
    )]
    Unauthorized {
        at: Box<Place>,
        action: &'static str,
        status: StatusCode,
        said: Said,
        account: String,
    },
    /// The token server is not one that credentials may be sent to.
    #[error(
        "{host} sends us to '{realm}' for a token, which is not an HTTPS address; nothing was sent there\n\
         help: report it to whoever runs {host}"
    )]
    Realm { host: String, realm: String },
    /// 404 for a manifest.
    #[error(
        "{image} does not exist: {host} knows no such manifest ({status}{said})\n\
         help: check the name and the tag", host = .at.host, image = .at.image
    )]
    UnknownImage { at: Box<Place>, status: StatusCode, said: Said },
    /// 404 for a blob.
    #[error(
        "{host} has no blob {digest} for {image} ({status}{said})\n\
         help: the image in the registry is incomplete; push it again", host = .at.host, image = .at.image
    )]
    UnknownBlob { at: Box<Place>, digest: Digest, status: StatusCode, said: Said },
    /// Bytes with another digest.
    #[error(
        "{what} of {image} should have the digest {expected}, but what {host} sent has {found}; it was thrown away\n\
         help: the registry, or something between it and here, serves damaged or forged content: do not use it before that is explained", host = .at.host, image = .at.image
    )]
    WrongDigest { at: Box<Place>, what: What, expected: Box<Digest>, found: Box<Digest> },
    /// The registry has stored other bytes than were sent.
    #[error(
        "{host} stored {found} as {image}, but {expected} was sent, in {attempts} attempts\n\
         help: something between here and the registry changes what it passes on; until that is found, do not use {image}", host = .at.host, image = .at.image
    )]
    Altered { at: Box<Place>, expected: Box<Digest>, found: Box<Digest>, attempts: u32 },
    /// More bytes than promised.
    #[error(
        "{host} sends more than the {expected} bytes that {what} of {image} should have; it was thrown away\n\
         help: the registry, or something between it and here, serves damaged or forged content: do not use it before that is explained", host = .at.host, image = .at.image
    )]
    TooLong { at: Box<Place>, what: What, expected: u64 },
    /// Fewer bytes than promised.
    #[error(
        "{host} ended {what} of {image} after {found} of {expected} bytes, in {attempts} attempts\n\
         help: try again: what has arrived is kept; if it stops at the same place, the blob in the registry is truncated and the image must be pushed again", host = .at.host, image = .at.image
    )]
    Truncated { at: Box<Place>, what: What, expected: u64, found: u64, attempts: u32 },
    /// A document over the limit.
    #[error(
        "{what} of {image} is larger than {max} bytes; {host} was not read further\n\
         help: no honest image needs one so large: check the reference and the registry", host = .at.host, image = .at.image
    )]
    TooLarge { at: Box<Place>, what: What, max: u64 },
    /// Not a manifest, or one that contradicts itself.
    #[error(
        "what {host} serves as {image} is no image: {reason}\n\
         help: {help}", host = .at.host, image = .at.image
    )]
    NoImage { at: Box<Place>, reason: String, help: &'static str },
    /// An index without the wanted platform.
    #[error("{image} has {fault}\nhelp: choose one of these with --platform, or another image")]
    NoPlatform { image: String, fault: Box<NoPlatform> },
    /// 429 until patience ended.
    #[error(
        "{host} still refuses {image} for too many requests after {attempts} attempts (429 Too Many Requests{said})\n\
         help: wait some minutes; after 'docker login {host}' most registries allow more", host = .at.host, image = .at.image
    )]
    TooManyRequests { at: Box<Place>, said: Said, attempts: u32 },
    /// 5xx until patience ended.
    #[error(
        "{host} failed for {image} in {attempts} attempts, at last with {status}{said}\n\
         help: the registry is in trouble; try again later", host = .at.host, image = .at.image
    )]
    Server { at: Box<Place>, status: StatusCode, said: Said, attempts: u32 },
    /// The connection broke until patience ended.
    #[error(
        "the connection to {host} broke in {attempts} attempts, with {image} on its way: {reason}\n\
         help: check the network between here and the registry, then try again", host = .at.host, image = .at.image
    )]
    Interrupted { at: Box<Place>, reason: String, attempts: u32 },
    /// Silence until patience ended.
    #[error(
        "{host} was silent for {} s in {attempts} attempts, with {image} on its way\n\
         help: check the network between here and the registry, then try again", silence.as_secs_f32(), host = .at.host, image = .at.image
    )]
    Stalled { at: Box<Place>, silence: Duration, attempts: u32 },
    /// Any other answer that is not the one expected.
    #[error(
        "{host} refuses {what} of {image} ({status}{said})\n\
         help: {help}", host = .at.host, image = .at.image
    )]
    Refused { at: Box<Place>, what: What, status: StatusCode, said: Said, help: &'static str },
    /// Something was done wrong on our side of the wire before anything was sent.
    #[error(
        "{what} of {image} was not sent to {host}: {reason}\nhelp: {help}", host = .at.host, image = .at.image
    )]
    NotSent { at: Box<Place>, what: What, reason: String, help: &'static str },
    /// Other writers overwrote the list of referrers each time.
    #[error(
        "the list of referrers {image} on {host} was overwritten by others {attempts} times\n\
         help: run the command again when fewer signers work on this image at once", host = .at.host, image = .at.image
    )]
    Contended { at: Box<Place>, attempts: u32 },
}

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A manifest or index.
    Manifest,
    /// A blob.
    Blob(Digest),
    /// A list of referrers.
    Referrers,
    /// The answer of a token server.
    Token,
    /// Anything.
    Request,
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Manifest => f.write_str("the manifest"),
            Self::Blob(digest) => write!(f, "the blob {digest}"),
            Self::Referrers => f.write_str("the list of referrers"),
            Self::Token => f.write_str("the token"),
            Self::Request => f.write_str("the request"),
        }
    }
}

/// What a registry said about its refusal, displayed as `: text`, or as nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said(pub(super) String);

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

impl RegistryError {
    /// Is the environment to blame (nobody answers, no certificates), rather than the request?
    #[must_use]
    pub fn is_environment(&self) -> bool {
        use RegistryError as E;
        matches!(
            self,
            E::Store(ContentError::Io { .. })
                | E::Unreachable { .. }
                | E::Tls { .. }
                | E::Setup { .. }
                | E::Interrupted { .. }
                | E::Stalled { .. }
                | E::Server { .. }
        )
    }

    pub(super) fn wrong_digest(
        at: Box<Place>,
        what: What,
        expected: Digest,
        found: Digest,
    ) -> Self {
        let (expected, found) = (Box::new(expected), Box::new(found));
        Self::WrongDigest { at, what, expected, found }
    }

    /// The same error with the number of attempts made.
    pub(super) fn after(mut self, made: u32) -> Self {
        match &mut self {
            Self::Truncated { attempts, .. }
            | Self::Altered { attempts, .. }
            | Self::TooManyRequests { attempts, .. }
            | Self::Server { attempts, .. }
            | Self::Interrupted { attempts, .. }
            | Self::Stalled { attempts, .. } => *attempts = made,
            _ => {}
        }
        self
    }
}
