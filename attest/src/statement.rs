//! What is signed: an in-toto Statement v1 (in-toto attestation, spec/v1/statement.md). It says of one
//! or more artifacts (the subjects, by digest) that a predicate holds.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    digest_set::DigestSet,
    image_digest::ImageDigest,
    strict_json::{self, JsonFault},
};

/// The only `_type` that is written.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// The version before, which `cosign attest` writes to this day. The fields that are read are the same
/// ones with the same meaning (in-toto attestation, spec/v0.1.0), so it is accepted too.
pub const STATEMENT_TYPE_0_1: &str = "https://in-toto.io/Statement/v0.1";

/// The DSSE payload type of a statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// One artifact that a statement speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// A name for people; it proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The content that is meant.
    pub digest: DigestSet,
}

/// A statement. Its predicate is kept as the JSON text that was given, so that fields this crate does
/// not know, and numbers beyond 2^53, pass through unchanged. Written with a fixed order of fields:
/// the same statement always gives the same bytes.
///
/// There is no public way to read one from bytes except from a verified payload
/// ([`crate::verify`]) or by a name that says what it is
/// ([`crate::bundle::Bundle::statement_unverified_unsafe`]).
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    statement_type: &'static str,
    subject: Vec<Subject>,
    predicate_type: String,
    predicate: Box<RawValue>,
}

/// Why a statement cannot be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Not JSON, or a required field is missing or of the wrong kind.
    #[error("the payload is not an in-toto statement: {0}")]
    Form(JsonFault),
    /// `_type` is neither [`STATEMENT_TYPE`] nor [`STATEMENT_TYPE_0_1`].
    #[error("the statement's _type is '{}', not '{STATEMENT_TYPE}'", crate::excerpt::Excerpt(.found))]
    Type {
        /// What it is instead.
        found: String,
    },
    /// A statement about nothing.
    #[error("the statement has no subject")]
    NoSubject,
    /// The predicate is a string, a list, … instead of an object.
    #[error("the statement's predicate is not a JSON object")]
    Predicate,
    /// A predicate that cannot be written as JSON (a map with keys that are not strings).
    #[error("the predicate cannot be written as JSON: {0}")]
    Write(JsonFault),
}

impl Statement {
    /// A statement that `predicate` holds of the subjects.
    ///
    /// # Errors
    /// When there is no subject, or the predicate does not become a JSON object.
    pub fn new(
        subject: Vec<Subject>,
        predicate_type: &str,
        predicate: &impl Serialize,
    ) -> Result<Self, StatementError> {
        let predicate = serde_json::value::to_raw_value(predicate)
            .map_err(|error| StatementError::Write(error.into()))?;
        let predicate_type = predicate_type.to_owned();
        Self { statement_type: STATEMENT_TYPE, subject, predicate_type, predicate }.checked()
    }

    /// The statement about one image; `name` is for people (the reference it was pushed as).
    ///
    /// # Errors
    /// As [`Statement::new`].
    pub fn about_image(
        image: &ImageDigest,
        name: Option<&str>,
        predicate_type: &str,
        predicate: &impl Serialize,
    ) -> Result<Self, StatementError> {
        let subject = Subject { name: name.map(Into::into), digest: image.digests() };
        Self::new(vec![subject], predicate_type, predicate)
    }

    /// Reads the JSON form. Unknown fields beside the four are ignored, as the standard asks
    /// (parsing rules); a repeated key is refused. Private to the crate: see the type's words.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self, StatementError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            #[serde(rename = "_type")]
            statement_type: String,
            subject: Vec<Subject>,
            predicate_type: String,
            predicate: Box<RawValue>,
        }
        let wire: Wire = strict_json::from_slice(bytes).map_err(StatementError::Form)?;
        let known = [STATEMENT_TYPE, STATEMENT_TYPE_0_1];
        let Some(statement_type) = known.into_iter().find(|known| *known == wire.statement_type)
        else {
            return Err(StatementError::Type { found: wire.statement_type });
        };
        let Wire { subject, predicate_type, predicate, .. } = wire;
        Self { statement_type, subject, predicate_type, predicate }.checked()
    }

    /// The JSON form: one line, fields in the order `_type`, `subject`, `predicateType`, `predicate`.
    ///
    /// # Errors
    /// Only in theory: strings and raw JSON have nothing that writing could refuse. It is not swallowed,
    /// because what is written here is signed.
    pub fn to_json(&self) -> Result<Vec<u8>, StatementError> {
        serde_json::to_vec(self).map_err(|error| StatementError::Write(error.into()))
    }

    /// The artifacts it speaks of; at least one.
    #[must_use]
    pub fn subject(&self) -> &[Subject] {
        &self.subject
    }

    /// The URI that says what kind of predicate it is.
    #[must_use]
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// The predicate's JSON text as it was signed.
    #[must_use]
    pub fn predicate_json(&self) -> &str {
        self.predicate.get()
    }

    /// Reads the predicate as `T`.
    ///
    /// # Errors
    /// When the predicate has not the form of `T`.
    pub fn predicate_as<T: DeserializeOwned>(&self) -> Result<T, JsonFault> {
        Ok(serde_json::from_str(self.predicate.get())?)
    }

    fn checked(self) -> Result<Self, StatementError> {
        if self.subject.is_empty() {
            return Err(StatementError::NoSubject);
        }
        if !self.predicate.get().trim_start().starts_with('{') {
            return Err(StatementError::Predicate);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> ImageDigest {
        "ab".repeat(32).parse().unwrap()
    }

    #[test]
    fn the_written_form_is_fixed() {
        let statement = Statement::about_image(
            &image(),
            Some("app"),
            "https://p.example/v1",
            &serde_json::json!({}),
        );
        let hex = "ab".repeat(32);
        assert_eq!(
            String::from_utf8(statement.unwrap().to_json().unwrap()).unwrap(),
            format!(
                r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"app","digest":{{"sha256":"{hex}"}}}}],"predicateType":"https://p.example/v1","predicate":{{}}}}"#
            )
        );
    }

    #[test]
    fn unknown_predicate_fields_and_large_numbers_pass_unchanged() {
        let predicate =
            r#"{"z":9007199254740993,"a":{"new":1.10,"big":123456789012345678901234567890}}"#;
        let json = format!(
            r#"{{"_type":"{STATEMENT_TYPE}","subject":[{{"digest":{{"sha256":"{}"}}}}],"predicateType":"p","predicate":{predicate},"later":1}}"#,
            "ab".repeat(32)
        );
        let statement = Statement::from_json(json.as_bytes()).unwrap();
        assert_eq!(statement.predicate_json(), predicate);
        let again = Statement::from_json(&statement.to_json().unwrap()).unwrap();
        assert_eq!(again.predicate_json(), predicate);
    }

    #[test]
    fn the_version_before_is_read_and_stays_what_it_is() {
        let json = format!(
            r#"{{"_type":"{STATEMENT_TYPE_0_1}","subject":[{{"name":"a","digest":{{"sha256":"{}"}}}}],"predicateType":"p","predicate":{{}}}}"#,
            "ab".repeat(32)
        );
        let statement = Statement::from_json(json.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(statement.to_json().unwrap()).unwrap(), json);
        for other in ["https://in-toto.io/Statement/v0.10", "https://in-toto.io/Statement/v2", ""] {
            let json = json.replace(STATEMENT_TYPE_0_1, other);
            assert!(Statement::from_json(json.as_bytes()).is_err(), "{other}");
        }
    }

    #[test]
    fn each_bad_statement_has_its_own_reason() {
        let hex = "ab".repeat(32);
        let subject = format!(r#"[{{"digest":{{"sha256":"{hex}"}}}}]"#);
        let cases = [
            (
                "{}",
                "the payload is not an in-toto statement: missing field `_type` at line 1 column 2",
            ),
            ("hello", "the payload is not an in-toto statement: expected value at line 1 column 1"),
            (
                &format!(
                    r#"{{"_type":"foo","subject":{subject},"predicateType":"p","predicate":{{}}}}"#
                ),
                "the statement's _type is 'foo', not 'https://in-toto.io/Statement/v1'",
            ),
            (
                &format!(
                    r#"{{"_type":"{STATEMENT_TYPE}","subject":[],"predicateType":"p","predicate":{{}}}}"#
                ),
                "the statement has no subject",
            ),
            (
                &format!(
                    r#"{{"_type":"{STATEMENT_TYPE}","subject":{subject},"predicateType":"p","predicate":[]}}"#
                ),
                "the statement's predicate is not a JSON object",
            ),
        ];
        for (json, reason) in cases {
            assert_eq!(Statement::from_json(json.as_bytes()).unwrap_err().to_string(), reason);
        }
    }
}
