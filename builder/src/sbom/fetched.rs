//! The record of downloads by package: what a build knows and no scanner can.

use super::spdx::Fetched;
use crate::{egress::RequestRecord, purl::decode};

/// The packages among these requests, by name, version and architecture.
pub fn fetched<'a>(requests: impl Iterator<Item = &'a RequestRecord>) -> Fetched {
    requests
        .filter(|request| request.is_dependency())
        .filter_map(|request| {
            let key = package(request.purl.as_deref()?)?;
            Some((key, (request.fetched_url.clone(), request.sha256?)))
        })
        .collect()
}

/// Name, version and architecture of a package URL (purl-spec: `pkg:type/namespace/name@version?…`).
fn package(purl: &str) -> Option<(String, String, String)> {
    let (path, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
    let (path, version) = path.rsplit_once('@')?;
    let name = path.rsplit('/').next()?;
    let architecture = qualifiers.split('&').find_map(|pair| pair.strip_prefix("arch="));
    Some((decode(name), decode(version), decode(architecture.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_url_comes_apart() {
        assert_eq!(
            package("pkg:deb/debian/libc6@1%3A2.36-9%2Bdeb12u9?arch=amd64&distro=x"),
            Some(("libc6".into(), "1:2.36-9+deb12u9".into(), "amd64".into()))
        );
        assert_eq!(package("pkg:deb/debian/libc6"), None);
    }
}
