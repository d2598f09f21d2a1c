//! What an image must have to pass.

/// The roles that must be filled, and what the provenance must say. The default is what
/// `touchmark verify --key` asks for: signature, provenance and bill of materials.
///
/// A requirement that asks for nothing never passes: there would be nothing that was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The image itself is signed.
    pub signature: bool,
    /// There is a provenance.
    pub provenance: bool,
    /// There is a bill of materials.
    pub sbom: bool,
    /// There is a hardening report.
    pub hardening: bool,
    /// It was built again from its provenance, and the same came out bit for bit.
    pub rebuild: bool,
    /// The provenance's `builder.id` is exactly one of these; none: whichever it is. Whoever names
    /// some asks for a provenance, as with the next three.
    pub builders: Vec<String>,
    /// The provenance's `buildType` is exactly this one.
    pub build_type: Option<String>,
    /// What was built: the `uri` of the dependency called `context`
    /// ([`crate::predicate::slsa::CONTEXT`]) is one of these, with or without its `@ref` or
    /// `#fragment`; with `*` at the end, whatever goes on from there. None: whichever it is.
    pub sources: Vec<String>,
    /// The provenance says `hermetic` among its internal parameters, and each dependency has a digest.
    pub hermetic: bool,
}

impl Default for Requirement {
    fn default() -> Self {
        Self {
            signature: true,
            provenance: true,
            sbom: true,
            hardening: false,
            rebuild: false,
            builders: Vec::new(),
            build_type: None,
            sources: Vec::new(),
            hermetic: false,
        }
    }
}

impl Requirement {
    /// Asks for nothing; a start for struct update syntax.
    #[must_use]
    pub fn nothing() -> Self {
        Self { signature: false, provenance: false, sbom: false, ..Self::default() }
    }

    /// Whether a provenance is needed, asked for itself or for what it says.
    #[must_use]
    pub fn needs_provenance(&self) -> bool {
        self.provenance
            || !self.builders.is_empty()
            || self.build_type.is_some()
            || !self.sources.is_empty()
            || self.hermetic
    }

    /// Whether nothing at all is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !(self.signature || self.needs_provenance() || self.sbom || self.hardening || self.rebuild)
    }
}
