//! Sigstore bundle v0.3 (sigstore/protobuf-specs, sigstore_bundle.proto): an envelope and what is
//! needed to verify it. Written in the one form that cosign 3 reads; read strictly.

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{
    envelope::{Envelope, EnvelopeError, EnvelopeJson},
    excerpt::Excerpt,
    sign::{SignError, Signer},
    statement::{PAYLOAD_TYPE, Statement, StatementError},
    strict_json::{self, JsonFault},
};

/// The media type of a bundle, in its own `mediaType`, as layer media type and as `artifactType` of the
/// manifest that carries it.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The manifest annotation that says what a bundle holds; its value is [`CONTENT_DSSE`].
pub const CONTENT_ANNOTATION: &str = "dev.sigstore.bundle.content";

/// A bundle with a DSSE envelope, as all of ours.
pub const CONTENT_DSSE: &str = "dsse-envelope";

/// The manifest annotation that repeats the statement's predicate type, for those who choose by it.
pub const PREDICATE_TYPE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";

/// No bundle is larger: the caller need not read more of a blob. An SBOM of some 20,000 packages
/// fits several times.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A bundle whose envelope is signed with a plain key.
#[derive(Debug, Clone)]
pub struct Bundle {
    hint: Option<String>,
    log_entries: Vec<Box<RawValue>>,
    timestamps: Vec<Box<RawValue>>,
    envelope: Envelope,
}

/// Why bytes are not a bundle that can be verified here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// More than [`MAX_BYTES`].
    #[error("the bundle has {bytes} bytes; at most {MAX_BYTES} are read")]
    TooLarge {
        /// Bytes that were given.
        bytes: usize,
    },
    /// Not JSON, an unknown field, a field of the wrong kind, or a repeated key.
    #[error("not a Sigstore bundle: {0}")]
    Form(JsonFault),
    /// Another version, or something else altogether.
    #[error("the bundle's mediaType is '{}', not '{MEDIA_TYPE}'", Excerpt(.found))]
    MediaType {
        /// What it is instead.
        found: String,
    },
    /// A required part is missing.
    #[error("the bundle has no {0}")]
    Absent(&'static str),
    /// Signed with a certificate (keyless), or with certificate and key at once.
    #[error("the bundle carries a certificate; here only signatures by a public key are verified")]
    Certificate,
    /// A bare signature over a blob: it makes no statement, so there is nothing to say of an image.
    #[error("the bundle holds a message signature instead of a signed statement")]
    MessageSignature,
    /// Its envelope is refused.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The bundle cannot be written.
    #[error("the bundle cannot be written as JSON: {0}")]
    Write(JsonFault),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    media_type: String,
    verification_material: Option<MaterialWire>,
    dsse_envelope: Option<EnvelopeJson>,
    #[serde(skip_serializing)]
    message_signature: Option<IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MaterialWire {
    public_key: Option<KeyWire>,
    #[serde(skip_serializing)]
    certificate: Option<IgnoredAny>,
    #[serde(skip_serializing)]
    x509_certificate_chain: Option<IgnoredAny>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tlog_entries: Option<Vec<Box<RawValue>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_verification_data: Option<TimestampWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyWire {
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimestampWire {
    #[serde(rename = "rfc3161Timestamps")]
    rfc3161_timestamps: Option<Vec<Box<RawValue>>>,
}

impl Bundle {
    /// Signs a statement.
    ///
    /// # Errors
    /// When the signer fails.
    pub fn sign(statement: &Statement, signer: &dyn Signer) -> Result<Self, SignError> {
        let envelope = Envelope::sign(statement.to_json()?, PAYLOAD_TYPE, signer)?;
        let hint = Some(signer.public_key().hint().as_str().to_owned());
        Ok(Self { hint, log_entries: Vec::new(), timestamps: Vec::new(), envelope })
    }

    /// Reads a bundle. The payload is not looked at.
    ///
    /// # Errors
    /// Each thing that is not exactly as it should be has its own [`BundleError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, BundleError> {
        /// The version decides which fields are known, so it is read first.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Head {
            media_type: Option<String>,
        }
        if bytes.len() > MAX_BYTES {
            return Err(BundleError::TooLarge { bytes: bytes.len() });
        }
        let head: Head = strict_json::from_slice(bytes).map_err(BundleError::Form)?;
        let found = head.media_type.ok_or(BundleError::Absent("mediaType"))?;
        if found != MEDIA_TYPE {
            return Err(BundleError::MediaType { found });
        }
        Self::from_wire(serde_json::from_slice(bytes).map_err(|e| BundleError::Form(e.into()))?)
    }

    fn from_wire(wire: Wire) -> Result<Self, BundleError> {
        if wire.message_signature.is_some() {
            return Err(BundleError::MessageSignature);
        }
        let material =
            wire.verification_material.ok_or(BundleError::Absent("verificationMaterial"))?;
        if material.certificate.is_some() || material.x509_certificate_chain.is_some() {
            return Err(BundleError::Certificate);
        }
        let key = material.public_key.ok_or(BundleError::Absent("publicKey"))?;
        let envelope = wire.dsse_envelope.ok_or(BundleError::Absent("dsseEnvelope"))?;
        let timestamps = material.timestamp_verification_data;
        Ok(Self {
            hint: key.hint.filter(|hint| !hint.is_empty()),
            log_entries: material.tlog_entries.unwrap_or_default(),
            timestamps: timestamps.and_then(|data| data.rfc3161_timestamps).unwrap_or_default(),
            envelope: Envelope::from_wire(envelope)?,
        })
    }

    /// The JSON form: one line, always the same bytes for the same bundle.
    ///
    /// # Errors
    /// Only in theory, as [`Statement::to_json`].
    pub fn to_json(&self) -> Result<Vec<u8>, BundleError> {
        let filled = |list: &[Box<RawValue>]| Some(list.to_vec()).filter(|list| !list.is_empty());
        let wire = Wire {
            media_type: MEDIA_TYPE.into(),
            verification_material: Some(MaterialWire {
                public_key: Some(KeyWire { hint: self.hint.clone() }),
                certificate: None,
                x509_certificate_chain: None,
                tlog_entries: filled(&self.log_entries),
                timestamp_verification_data: filled(&self.timestamps)
                    .map(|list| TimestampWire { rfc3161_timestamps: Some(list) }),
            }),
            dsse_envelope: Some(self.envelope.to_wire()),
            message_signature: None,
        };
        serde_json::to_vec(&wire).map_err(|error| BundleError::Write(error.into()))
    }

    /// Which key the bundle says it was signed with ([`crate::key::KeyHint`]); nobody vouches for it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// How many transparency log entries and signed time stamps are in it. They are carried, not
    /// checked.
    #[must_use]
    pub fn unchecked_evidence(&self) -> (usize, usize) {
        (self.log_entries.len(), self.timestamps.len())
    }

    /// The signed bytes and their signature.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The statement **without any check**: anybody can have written it. For showing what an
    /// unverified bundle claims, with a word that says so; never for a decision.
    ///
    /// # Errors
    /// When the payload is not a statement.
    pub fn statement_unverified_unsafe(&self) -> Result<Statement, StatementError> {
        Statement::from_json(self.envelope.payload())
    }
}
