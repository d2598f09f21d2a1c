//! The JSON form of SPDX 2.3, as far as it is used. The order of the fields is the order written.

use serde::Serialize;

use super::NOASSERTION;
use crate::oci::digest::Digest;

/// A document (clause 6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    pub(super) spdx_version: &'static str,
    pub(super) data_license: &'static str,
    #[serde(rename = "SPDXID")]
    pub(super) id: &'static str,
    pub(super) name: String,
    #[serde(rename = "documentNamespace")]
    pub(super) namespace: String,
    pub(super) creation_info: CreationInfo,
    pub(super) packages: Vec<Element>,
    #[serde(rename = "hasExtractedLicensingInfos", skip_serializing_if = "Vec::is_empty")]
    pub(super) extracted: Vec<ExtractedLicense>,
    pub(super) relationships: Vec<Relationship>,
}

/// Who made the document, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct CreationInfo {
    pub(super) created: String,
    pub(super) creators: Vec<String>,
}

/// A package (clause 7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Element {
    #[serde(rename = "SPDXID")]
    pub(super) id: String,
    pub(super) name: String,
    #[serde(rename = "versionInfo", skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    #[serde(rename = "packageFileName", skip_serializing_if = "Option::is_none")]
    pub(super) file_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) supplier: Option<String>,
    #[serde(rename = "downloadLocation")]
    pub(super) download: String,
    pub(super) files_analyzed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) checksums: Vec<Checksum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) homepage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_info: Option<String>,
    #[serde(rename = "licenseConcluded")]
    pub(super) concluded: &'static str,
    #[serde(rename = "licenseDeclared")]
    pub(super) declared: String,
    #[serde(rename = "copyrightText")]
    pub(super) copyright: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
    #[serde(rename = "externalRefs", skip_serializing_if = "Vec::is_empty")]
    pub(super) references: Vec<ExternalRef>,
    #[serde(rename = "primaryPackagePurpose", skip_serializing_if = "Option::is_none")]
    pub(super) purpose: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) annotations: Vec<Annotation>,
}

impl Element {
    /// A package of which nothing is claimed yet.
    pub(super) fn new(id: String, name: String) -> Self {
        Self {
            id,
            name,
            version: None,
            file_name: None,
            supplier: None,
            download: NOASSERTION.to_owned(),
            files_analyzed: false,
            checksums: Vec::new(),
            homepage: None,
            source_info: None,
            concluded: NOASSERTION,
            declared: NOASSERTION.to_owned(),
            copyright: NOASSERTION,
            comment: None,
            references: Vec::new(),
            purpose: None,
            annotations: Vec::new(),
        }
    }
}

/// A checksum (clause 7.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Checksum {
    algorithm: &'static str,
    #[serde(rename = "checksumValue")]
    value: String,
}

impl Checksum {
    pub(super) fn sha256(digest: &Digest) -> Self {
        Self { algorithm: "SHA256", value: digest.hex() }
    }
}

/// A name of the package elsewhere (clause 7.21).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExternalRef {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

impl ExternalRef {
    pub(super) fn purl(locator: String) -> Self {
        Self {
            reference_category: "PACKAGE-MANAGER",
            reference_type: "purl",
            reference_locator: locator,
        }
    }
}

/// A license that is not on the SPDX list (clause 10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ExtractedLicense {
    #[serde(rename = "licenseId")]
    pub(super) id: String,
    #[serde(rename = "extractedText")]
    pub(super) text: String,
    pub(super) name: String,
}

/// How two elements belong together (clause 11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Relationship {
    #[serde(rename = "spdxElementId")]
    from: String,
    #[serde(rename = "relationshipType")]
    kind: &'static str,
    #[serde(rename = "relatedSpdxElement")]
    to: String,
}

impl Relationship {
    pub(super) fn new(from: &str, kind: &'static str, to: &str) -> Self {
        Self { from: from.to_owned(), kind, to: to.to_owned() }
    }
}

/// A remark about an element (clause 12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Annotation {
    #[serde(rename = "annotationDate")]
    pub(super) date: String,
    #[serde(rename = "annotationType")]
    pub(super) kind: &'static str,
    pub(super) annotator: String,
    pub(super) comment: String,
}
