//! What a bill of materials must say to count (SPDX 2.3, clauses 6 and 7).

use super::Unfit;
use crate::{
    excerpt::Excerpt,
    predicate::spdx::{self, Outline},
    statement::Statement,
    verify::Verified,
};

/// Reads the document's outline; gives a line of what it says.
///
/// # Errors
/// The first thing that is missing.
pub(super) fn check(statement: &Verified<Statement>) -> Result<String, Unfit> {
    let outline: Outline =
        statement.value().predicate_as().map_err(|fault| Unfit::Form { kind: "SBOM", fault })?;
    if outline.spdx_version != spdx::VERSION {
        return Err(Unfit::SbomVersion { found: outline.spdx_version });
    }
    if outline.spdx_id != spdx::DOCUMENT {
        return Err(Unfit::SbomLacks("SPDXID 'SPDXRef-DOCUMENT'"));
    }
    if outline.name.trim().is_empty() {
        return Err(Unfit::SbomLacks("name"));
    }
    if outline.document_namespace.trim().is_empty() {
        return Err(Unfit::SbomLacks("documentNamespace"));
    }
    if outline.packages.iter().any(|package| package.name.trim().is_empty()) {
        return Err(Unfit::SbomLacks("name for one of its packages"));
    }
    let described = outline.described().ok_or(Unfit::SbomDescribesNothing)?;
    let (name, count) = (Excerpt(&described.name), outline.packages.len());
    Ok(format!("{}, describes '{name}', packages: {count}", spdx::VERSION))
}
