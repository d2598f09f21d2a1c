//! An inventory as SPDX 2.3 JSON. The same inventory and [`Facts`] give the same bytes.
//!
//! A `File` of SPDX 2.3 must have a SHA-1 (clause 8.4), which a build does not compute: SHA-1 proves
//! nothing any more. So there is no `files` section, packages have `filesAnalyzed: false`, and a file
//! that no package owns, such as the application itself, is a package of the purpose `FILE` with its
//! SHA-256 (clause 7.24), which is valid and can be looked up.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    inventory::{FileEntry, Inventory, Package},
    license::Extracted,
    os_release::OsRelease,
};
use crate::{oci::digest::Digest, purl::purl};

mod document;

pub use document::Document;
use document::{
    Annotation, Checksum, CreationInfo, Element, ExternalRef, ExtractedLicense, Relationship,
};

const NOASSERTION: &str = "NOASSERTION";
/// Unowned files that are listed one by one; of the rest the number and a digest are told.
const MAX_FILES: usize = 10_000;

/// What a document says beside the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Name of the image without tag or digest, such as `registry.example/team/app`.
    pub image: &'a str,
    /// Digest that stands for the content described: the image's manifest or configuration.
    pub digest: Digest,
    /// Time of creation, seconds since 1970: the build's epoch, never the clock.
    pub created: i64,
    /// Version of touchmark.
    pub version: &'a str,
    /// Where packages were fetched from.
    pub fetched: &'a Fetched,
}

/// The request record by package: name, version and architecture → URL and SHA-256 of the archive.
pub type Fetched = BTreeMap<(String, String, String), (String, Digest)>;

/// Why no document was made.
#[derive(Debug, thiserror::Error)]
pub enum SpdxError {
    /// The time of creation is outside the years that can be written.
    #[error("the time {0} cannot be written as a date")]
    Time(i64),
    /// The JSON could not be written.
    #[error("the SBOM cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The document as indented JSON with a final line break.
///
/// # Errors
/// When the time of creation has no date.
pub fn to_json(inventory: &Inventory, facts: &Facts<'_>) -> Result<Vec<u8>, SpdxError> {
    let mut bytes = serde_json::to_vec_pretty(&document(inventory, facts)?)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The document.
///
/// # Errors
/// When the time of creation has no date.
pub fn document(inventory: &Inventory, facts: &Facts<'_>) -> Result<Document, SpdxError> {
    let created = date(facts.created)?;
    let mut elements = vec![root(inventory, facts, &created)];
    elements.extend(inventory.os.as_ref().map(os));
    let packages = inventory.packages.iter().map(|package| element(package, inventory, facts));
    elements.extend(packages);
    elements.extend(files(&inventory.unowned));
    let mut relationships =
        vec![Relationship::new("SPDXRef-DOCUMENT", "DESCRIBES", &elements[0].id)];
    let contains =
        elements[1..].iter().map(|e| Relationship::new(&elements[0].id, "CONTAINS", &e.id));
    relationships.extend(contains);
    relationships.extend(dependencies(inventory));
    let mut document = Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: "SPDXRef-DOCUMENT",
        name: facts.image.to_owned(),
        namespace: String::new(),
        creation_info: CreationInfo {
            created,
            creators: vec![format!("Tool: touchmark-{}", facts.version)],
        },
        extracted: extracted(inventory),
        packages: elements,
        relationships,
    };
    document.namespace = namespace(&document)?;
    Ok(document)
}

/// `2023-11-14T22:13:20Z` (clause 6.9).
fn date(seconds: i64) -> Result<String, SpdxError> {
    let format =
        time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let date = time::OffsetDateTime::from_unix_timestamp(seconds).ok();
    let date = date.filter(|date| (0..=9999).contains(&date.year()));
    date.and_then(|date| date.format(&format).ok()).ok_or(SpdxError::Time(seconds))
}

/// A UUID of version 8 (RFC 9562, 5.8) made of the rest of the document: two documents have the same
/// namespace only when they say the same (clause 6.5).
fn namespace(document: &Document) -> Result<String, SpdxError> {
    let mut bytes = [0; 16];
    let digest = Digest::of(&serde_json::to_vec(document)?);
    bytes.copy_from_slice(&digest.bytes()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Ok(format!("urn:uuid:{}", parts.join("-")))
}

/// The image. What the package databases list but the tree lacks is an annotation of it.
fn root(inventory: &Inventory, facts: &Facts<'_>, created: &str) -> Element {
    let name = facts.image.rsplit('/').next().unwrap_or(facts.image);
    let repository = if facts.image.contains('/') { facts.image } else { "" };
    let version = facts.digest.to_string();
    let locator =
        purl("oci", None, &name.to_lowercase(), Some(&version), &[("repository_url", repository)]);
    let annotations = inventory.gone.iter().map(|package| Annotation {
        date: created.to_owned(),
        kind: "OTHER",
        annotator: format!("Tool: touchmark-{}", facts.version),
        comment: format!(
            "excluded: {} {}: listed in the package database, but all of its files are removed",
            package.name, package.version
        ),
    });
    Element {
        version: Some(version),
        checksums: vec![Checksum::sha256(&facts.digest)],
        references: vec![ExternalRef::purl(locator)],
        purpose: Some("CONTAINER"),
        annotations: annotations.collect(),
        ..Element::new("SPDXRef-Image".into(), facts.image.to_owned())
    }
}

fn os(os: &OsRelease) -> Element {
    Element {
        version: os.version_id.clone().or_else(|| os.codename.clone()),
        supplier: Some(format!("Organization: {}", os.name)),
        homepage: os.home_url.clone(),
        purpose: Some("OPERATING-SYSTEM"),
        comment: os.pretty_name.clone(),
        ..Element::new("SPDXRef-OperatingSystem".into(), os.id.clone())
    }
}

/// An identifier that stays the same as long as the package does.
fn id_of(package: &Package, os: Option<&OsRelease>) -> String {
    let valid = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = package.name.chars().map(valid).collect();
    let digest = Digest::of(package.purl(os).as_bytes()).hex();
    format!("SPDXRef-Package-{name}-{}", &digest[..12])
}

fn element(package: &Package, inventory: &Inventory, facts: &Facts<'_>) -> Element {
    let os = inventory.os.as_ref();
    let key = (package.name.clone(), package.version.clone(), package.architecture.clone());
    let fetched = facts.fetched.get(&key);
    let source_info = package.source.as_ref().map(|(name, version)| {
        let version = version.as_ref().unwrap_or(&package.version);
        format!("built from the source package {name} {version}")
    });
    let missing = package.missing.len();
    let comment = (missing > 0).then(|| {
        format!("{missing} of its files are not in the image, {} are", package.files.len())
    });
    Element {
        version: Some(package.version.clone()),
        supplier: package.maintainer.as_deref().map(supplier),
        download: fetched.map_or_else(|| NOASSERTION.to_owned(), |(url, _)| url.clone()),
        checksums: fetched.iter().map(|(_, digest)| Checksum::sha256(digest)).collect(),
        homepage: package.homepage.clone().filter(|url| is_url(url)),
        source_info,
        declared: package.license.expression.clone().unwrap_or_else(|| NOASSERTION.to_owned()),
        comment,
        references: vec![ExternalRef::purl(package.purl(os))],
        purpose: Some("LIBRARY").filter(|_| package.name.starts_with("lib")),
        ..Element::new(id_of(package, os), package.name.clone())
    }
}

fn is_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "ftp"))
        && !text.contains(char::is_whitespace)
}

/// Clause 7.5: `Person: Jane Doe (jane@x.example)`; a team is an organization.
fn supplier(maintainer: &str) -> String {
    let (name, address) = match maintainer.split_once('<') {
        Some((name, address)) => (name.trim(), address.trim_end_matches(['>', ' '])),
        None => (maintainer.trim(), ""),
    };
    // Brackets of the name itself would be read as an address.
    let name = name.trim_matches('"').replace(['(', ')'], " ");
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let team = ["team", "maintainers", "developers", "project", "group", "list"];
    let lower = name.to_lowercase();
    let kind = match team.iter().any(|word| lower.contains(word)) {
        true => "Organization",
        false => "Person",
    };
    let plain = address.contains('@') && !address.contains(|c: char| "<>() ".contains(c));
    match (name.is_empty(), plain) {
        (true, _) => NOASSERTION.to_owned(),
        (false, true) => format!("{kind}: {name} ({address})"),
        (false, false) => format!("{kind}: {name}"),
    }
}

fn files(unowned: &[FileEntry]) -> Vec<Element> {
    let listed = unowned.len().min(MAX_FILES);
    let mut elements: Vec<Element> = unowned[..listed].iter().map(file).collect();
    let rest = &unowned[listed..];
    if !rest.is_empty() {
        let lines = rest.iter().map(|file| {
            let digest = file.digest.map(|digest| digest.hex()).unwrap_or_default();
            format!("{digest}  /{}\n", file.path)
        });
        let digest = Digest::of(lines.collect::<String>().as_bytes());
        elements.push(Element {
            checksums: vec![Checksum::sha256(&digest)],
            comment: Some(format!(
                "{} more files that no package owns; the checksum is that of the list of their \
                 SHA-256 sums and paths, sorted by path, as sha256sum(1) prints it",
                rest.len()
            )),
            purpose: Some("OTHER"),
            ..Element::new("SPDXRef-OtherFiles".into(), "other files".into())
        });
    }
    elements
}

/// A file that no package owns.
fn file(file: &FileEntry) -> Element {
    let path = format!("/{}", file.path);
    let id = Digest::of(path.as_bytes()).hex();
    Element {
        file_name: Some(path.clone()),
        checksums: file.digest.iter().map(Checksum::sha256).collect(),
        purpose: Some("FILE"),
        ..Element::new(format!("SPDXRef-File-{}", &id[..16]), path)
    }
}

/// Each package on the installed packages that it needs: of a choice, the first that is there.
fn dependencies(inventory: &Inventory) -> Vec<Relationship> {
    let os = inventory.os.as_ref();
    // By name, and by name and architecture: the first that has the name itself, else that provides it.
    let mut by_name: BTreeMap<&str, &Package> = BTreeMap::new();
    let mut by_both: BTreeMap<(&str, &str), &Package> = BTreeMap::new();
    let own = inventory.packages.iter().map(|package| (&package.name, package));
    let provided = inventory.packages.iter();
    let provided = provided.flat_map(|package| package.provides.iter().map(move |n| (n, package)));
    for (name, package) in own.chain(provided) {
        by_name.entry(name).or_insert(package);
        by_both.entry((name, &package.architecture)).or_insert(package);
    }
    let mut relationships = Vec::new();
    for package in &inventory.packages {
        let needed = package.depends.iter().filter_map(|choice| {
            let (name, found) =
                choice.iter().find_map(|name| Some((name, *by_name.get(name.as_str())?)))?;
            let same = by_both.get(&(name.as_str(), package.architecture.as_str()));
            Some(same.copied().unwrap_or(found))
        });
        let from = id_of(package, os);
        let to: BTreeSet<String> = needed.map(|other| id_of(other, os)).collect();
        let others = to.iter().filter(|to| **to != from);
        relationships.extend(others.map(|to| Relationship::new(&from, "DEPENDS_ON", to)));
    }
    relationships
}

fn extracted(inventory: &Inventory) -> Vec<ExtractedLicense> {
    let licenses = inventory.packages.iter().flat_map(|package| &package.license.extracted);
    let unique: BTreeMap<&String, &Extracted> = licenses.collect();
    let one = |(id, license): (&String, &Extracted)| ExtractedLicense {
        id: id.clone(),
        text: license.text.clone(),
        name: license.name.clone(),
    };
    unique.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests;
