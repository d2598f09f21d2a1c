//! The result of a test of an image (in-toto attestation, predicates/test-result.md, version 0.1). The one test that
//! touchmark makes is to build the image again; what it found out beyond yes and no stands in a field of its own.
//!
//! ```json
//! {"result":"FAILED",
//!  "configuration":[{"name":"touchmark","uri":"https://touchmark.dev/rebuild/v1","annotations":{"touchmark":"0.1.0"}},
//!                   {"name":"provenance","uri":"https://slsa.dev/provenance/v1","digest":{"sha256":"…"}},
//!                   {"name":"context","uri":"git+https://…","digest":{"gitCommit":"…","sha256":"…"}}, …],
//!  "failedTests":["https://touchmark.dev/rebuild/bit-identical/v1"],
//!  "touchmarkRebuild":{"recorded":"sha256:…","rebuilt":"sha256:…","firstDifference":{…},"words":"layer 1, …"}}
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Timestamp;
use crate::resource_descriptor::ResourceDescriptor;

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// The name of the test: the image, built again from its provenance, has the same digest.
pub const BIT_IDENTICAL: &str = "https://touchmark.dev/rebuild/bit-identical/v1";

/// The `uri` of the entry of `configuration` that says which program made the test.
pub const REBUILD: &str = "https://touchmark.dev/rebuild/v1";

/// The predicate. Fields of others are ignored when read, as the specification asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// Of all tests together.
    pub result: Outcome,
    /// What was tested with: the program and everything that went into the second build.
    pub configuration: Vec<ResourceDescriptor>,
    /// Names of tests that passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_tests: Vec<String>,
    /// Names of tests that passed with a warning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warned_tests: Vec<String>,
    /// Names of tests that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_tests: Vec<String>,
    /// What a rebuild found out beside that; it changes the meaning of no other field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touchmark_rebuild: Option<Rebuild>,
}

/// Of all tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// All passed.
    Passed,
    /// All passed, some with a warning.
    Warned,
    /// One failed.
    Failed,
}

/// What a rebuild found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rebuild {
    /// The digest of the image, or the index, that was to be rebuilt, `sha256:…`.
    pub recorded: String,
    /// The digest of what came out, `sha256:…`.
    pub rebuilt: String,
    /// Of an index: its images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<RebuiltImage>,
    /// The first difference, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_difference: Option<Value>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// What the provenance did not record, so that it could not be replayed; sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_recorded: Vec<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_on: Option<Timestamp>,
}

/// One image of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuiltImage {
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// The digest that the index has, `sha256:…`.
    pub recorded: String,
    /// The digest of what came out, `sha256:…`.
    pub rebuilt: String,
}

impl TestResult {
    /// What a rebuild found: passed exactly when both digests are the same, of the image and of each image in it.
    #[must_use]
    pub fn of_rebuild(configuration: Vec<ResourceDescriptor>, rebuild: Rebuild) -> Self {
        let test = vec![BIT_IDENTICAL.to_owned()];
        let (result, passed_tests, failed_tests) = match rebuild.is_identical() {
            true => (Outcome::Passed, test, Vec::new()),
            false => (Outcome::Failed, Vec::new(), test),
        };
        Self {
            result,
            configuration,
            passed_tests,
            warned_tests: Vec::new(),
            failed_tests,
            touchmark_rebuild: Some(rebuild),
        }
    }
}

impl Rebuild {
    /// Did the same come out, bit for bit?
    #[must_use]
    pub fn is_identical(&self) -> bool {
        self.recorded == self.rebuilt
            && self.first_difference.is_none()
            && self.images.iter().all(|image| image.recorded == image.rebuilt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebuild(rebuilt: &str) -> Rebuild {
        Rebuild {
            recorded: "sha256:01".into(),
            rebuilt: rebuilt.into(),
            images: Vec::new(),
            first_difference: None,
            words: None,
            not_recorded: Vec::new(),
            finished_on: None,
        }
    }

    #[test]
    fn only_the_same_digests_pass() {
        let passed = TestResult::of_rebuild(Vec::new(), rebuild("sha256:01"));
        assert_eq!(
            serde_json::to_string(&passed).unwrap(),
            concat!(
                r#"{"result":"PASSED","configuration":[],"#,
                r#""passedTests":["https://touchmark.dev/rebuild/bit-identical/v1"],"#,
                r#""touchmarkRebuild":{"recorded":"sha256:01","rebuilt":"sha256:01"}}"#
            )
        );
        let image = |rebuilt: &str| RebuiltImage {
            platform: "linux/amd64".into(),
            recorded: "sha256:03".into(),
            rebuilt: rebuilt.into(),
        };
        let failing = [
            rebuild("sha256:02"),
            Rebuild { first_difference: Some(Value::Null), ..rebuild("sha256:01") },
            Rebuild {
                images: vec![image("sha256:03"), image("sha256:04")],
                ..rebuild("sha256:01")
            },
        ];
        for one in failing {
            let failed = TestResult::of_rebuild(Vec::new(), one);
            assert_eq!(failed.result, Outcome::Failed);
            assert_eq!((failed.passed_tests.len(), failed.failed_tests.len()), (0, 1));
        }
    }
}
