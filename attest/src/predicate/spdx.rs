//! The software bill of materials: an SPDX 2.3 document (spdx.github.io/spdx-spec/v2.3). The document
//! is made elsewhere and passes through unchanged; here is what a verifier reads of it.

use serde::{Deserialize, Serialize};

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://spdx.dev/Document";

/// The version that is written and accepted.
pub const VERSION: &str = "SPDX-2.3";

/// The identifier of the document itself (SPDX 2.3, section 6.3).
pub const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// The skeleton of an SPDX document: enough to say whether it describes something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outline {
    /// `SPDX-2.3`.
    pub spdx_version: String,
    /// [`DOCUMENT`].
    #[serde(rename = "SPDXID")]
    pub spdx_id: String,
    /// The document's name.
    pub name: String,
    /// The document's own URI (section 6.5).
    pub document_namespace: String,
    /// What is in the image, and the image itself.
    pub packages: Vec<PackageOutline>,
    /// The older way to say what is described.
    pub document_describes: Vec<String>,
    /// How things relate.
    pub relationships: Vec<RelationshipOutline>,
}

/// One package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PackageOutline {
    /// Its identifier in the document.
    #[serde(rename = "SPDXID")]
    pub spdx_id: String,
    /// Its name.
    pub name: String,
}

/// One relation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RelationshipOutline {
    /// From.
    pub spdx_element_id: String,
    /// Which relation, `DESCRIBES` for instance.
    pub relationship_type: String,
    /// To.
    pub related_spdx_element: String,
}

impl Outline {
    /// The package that the document describes (section 11.1: `SPDXRef-DOCUMENT DESCRIBES …`), when it
    /// is in the document.
    #[must_use]
    pub fn described(&self) -> Option<&PackageOutline> {
        let related = self.relationships.iter().filter_map(|relation| {
            let from = relation.spdx_element_id.as_str();
            let to = relation.related_spdx_element.as_str();
            match relation.relationship_type.as_str() {
                "DESCRIBES" if from == DOCUMENT => Some(to),
                "DESCRIBED_BY" if to == DOCUMENT => Some(from),
                _ => None,
            }
        });
        let listed = self.document_describes.iter().map(String::as_str);
        let package = |id| self.packages.iter().find(|package| package.spdx_id == id);
        related.chain(listed).find_map(package)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_described_is_found_in_all_three_forms() {
        for relation in [
            r#""documentDescribes":["SPDXRef-i"]"#,
            r#""relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-i"}]"#,
            r#""relationships":[{"spdxElementId":"SPDXRef-i","relationshipType":"DESCRIBED_BY","relatedSpdxElement":"SPDXRef-DOCUMENT"}]"#,
        ] {
            let json =
                format!(r#"{{"packages":[{{"SPDXID":"SPDXRef-i","name":"app"}}],{relation}}}"#);
            let outline: Outline = serde_json::from_str(&json).unwrap();
            assert_eq!(outline.described().unwrap().name, "app");
        }
        let nowhere = r#"{"documentDescribes":["SPDXRef-i"]}"#;
        assert_eq!(serde_json::from_str::<Outline>(nowhere).unwrap().described(), None);
    }
}
