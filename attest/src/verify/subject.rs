//! Fourth check: the statement is about the image that was asked about.

use super::{Refusal, statement::ProvenStatement};
use crate::{image_digest::ImageDigest, key::KeyHint, statement::Statement};

/// How many other digests a refusal names.
const SHOWN: usize = 2;

/// Proof that a trusted key signed this statement about the image.
#[derive(Debug)]
pub struct StatementAboutImage {
    statement: Statement,
    key: KeyHint,
}

/// The image's digest must be the `sha256` of an entry of `subject`. A name, an annotation or a digest
/// elsewhere in the statement does not count.
///
/// # Errors
/// When no subject has that digest.
pub fn check(proven: ProvenStatement, image: &ImageDigest) -> Result<StatementAboutImage, Refusal> {
    let (statement, key) = proven.into_parts();
    if statement.subject().iter().any(|subject| image.is_named_by(&subject.digest)) {
        return Ok(StatementAboutImage { statement, key });
    }
    let found = named(&statement);
    Err(Refusal::OtherSubject { image: image.clone(), found })
}

fn named(statement: &Statement) -> String {
    let mut digests: Vec<_> = statement
        .subject()
        .iter()
        .flat_map(|subject| subject.digest.iter())
        .map(|(algorithm, digest)| format!("{algorithm}:{digest}"))
        .collect();
    let more = digests.len().saturating_sub(SHOWN);
    digests.truncate(SHOWN);
    match (digests.is_empty(), more) {
        (true, _) => "nothing with a digest".into(),
        (false, 0) => digests.join(", "),
        (false, more) => format!("{} and {more} more", digests.join(", ")),
    }
}

impl StatementAboutImage {
    /// The statement; what it may be used for is not known yet.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    pub(super) fn into_parts(self) -> (Statement, KeyHint) {
        (self.statement, self.key)
    }
}
