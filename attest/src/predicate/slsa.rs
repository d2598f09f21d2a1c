//! SLSA provenance v1 (slsa.dev/spec/v1.2/build-provenance): how an image came to be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Timestamp;
use crate::resource_descriptor::ResourceDescriptor;

/// The predicate type; spec 1.2 keeps it.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// The name, among `resolvedDependencies`, of what was built: the context directory or repository.
pub const CONTEXT: &str = "context";

/// The annotation of [`CONTEXT`] that says whether the files were those of its commit, true or false.
pub const CLEAN: &str = "clean";

/// The predicate. Fields of later versions are ignored when read, as the specification asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What was asked for and what went in.
    pub build_definition: BuildDefinition,
    /// Who did it and when.
    pub run_details: RunDetails,
}

/// Inputs of the build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// The URI of the document that says how to read the parameters.
    pub build_type: String,
    /// Everything that the caller could choose; complete.
    pub external_parameters: BTreeMap<String, Value>,
    /// What the builder chose itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub internal_parameters: BTreeMap<String, Value>,
    /// Everything that was fetched: base images, context, files that steps downloaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved_dependencies: Vec<ResourceDescriptor>,
}

/// The run of the build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetails {
    /// Who did it.
    pub builder: Builder,
    /// Which run, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What else came out: the hardening report, logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<ResourceDescriptor>,
}

/// The builder. Each mode with other security properties has its own `id`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Builder {
    /// The URI that a verifier trusts or not.
    pub id: String,
    /// Versions of its parts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
    /// What the builder itself depends on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub builder_dependencies: Vec<ResourceDescriptor>,
}

/// Which run it was. All of it is absent from a reproducible statement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Identifies the run within the builder.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub invocation_id: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_on: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_on: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest_set::DigestSet;

    #[test]
    fn the_written_form_is_the_specifications() {
        let provenance = Provenance {
            build_definition: BuildDefinition {
                build_type: "https://t.example/build/v1".into(),
                external_parameters: BTreeMap::from([
                    ("target".into(), "app".into()),
                    ("args".into(), serde_json::json!({"N": 9_007_199_254_740_993_u64})),
                ]),
                internal_parameters: BTreeMap::new(),
                resolved_dependencies: vec![ResourceDescriptor {
                    name: CONTEXT.into(),
                    uri: "git+https://git.example/app@refs/heads/main".into(),
                    digest: DigestSet::sha256(&"ab".repeat(32)).unwrap(),
                    ..Default::default()
                }],
            },
            run_details: RunDetails {
                builder: Builder { id: "https://t.example/b".into(), ..Default::default() },
                metadata: Some(Metadata {
                    invocation_id: "1".into(),
                    started_on: Some(Timestamp::from_unix(0).unwrap()),
                    finished_on: None,
                }),
                byproducts: Vec::new(),
            },
        };
        let json = serde_json::to_string(&provenance).unwrap();
        let expected = concat!(
            r#"{"buildDefinition":{"buildType":"https://t.example/build/v1","#,
            r#""externalParameters":{"args":{"N":9007199254740993},"target":"app"},"#,
            r#""resolvedDependencies":[{"name":"context","uri":"git+https://git.example/app@refs/heads/main","#,
            r#""digest":{"sha256":"abababababababababababababababababababababababababababababababab"}}]},"#,
            r#""runDetails":{"builder":{"id":"https://t.example/b"},"#,
            r#""metadata":{"invocationId":"1","startedOn":"1970-01-01T00:00:00Z"}}}"#,
        );
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Provenance>(&json).unwrap(), provenance);
    }
}
