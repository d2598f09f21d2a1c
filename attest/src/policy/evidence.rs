//! What is brought to judgement: a bundle as it was found.

/// One candidate. Anybody who can write to the registry can have put it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Where it was found, as the verdict names it: the digest of the manifest that carries the bundle
    /// (`sha256:…`), or a file name.
    pub origin: String,
    /// The bundle's JSON, at most [`crate::bundle::MAX_BYTES`].
    pub bytes: Vec<u8>,
    /// The predicate type that the manifest's annotation
    /// ([`crate::bundle::PREDICATE_TYPE_ANNOTATION`]) gives, when there is one.
    pub declared_predicate_type: Option<String>,
}
