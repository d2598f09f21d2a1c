//! Package URLs for downloads whose URL tells the package.

use super::{decode, purl};

/// The package URL of what `url` names, none where the path does not tell. `url` is the one that the
/// step asked for, so that a mirror does not change the identity of a package.
#[must_use]
pub fn of_download(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let host = url.host_str()?;
    let segments: Vec<String> = url.path_segments()?.map(decode).collect();
    let file = segments.last()?.as_str();
    let qualified = |ending: &str| file.strip_suffix(ending);
    if let Some(stem) = qualified(".deb").or_else(|| qualified(".udeb")) {
        return deb(stem, &segments, host);
    }
    if let Some(stem) = qualified(".rpm") {
        return rpm(stem, &segments);
    }
    if let Some(stem) = qualified(".apk") {
        return apk(stem, &segments);
    }
    by_ecosystem(&segments, file)
}

/// `name_version_arch.deb`; the namespace is the distribution whose archive it stands in.
fn deb(stem: &str, segments: &[String], host: &str) -> Option<String> {
    let mut parts = stem.split('_');
    let (name, version, arch) = (parts.next()?, parts.next()?, parts.next()?);
    let ubuntu = host.contains("ubuntu") || segments.iter().any(|part| part.starts_with("ubuntu"));
    let vendor = if ubuntu { "ubuntu" } else { "debian" };
    let whole = !name.is_empty() && parts.next().is_none();
    whole.then(|| purl("deb", Some(vendor), name, Some(version), &[("arch", arch)]))
}

/// `name-version-release.arch.rpm`
fn rpm(stem: &str, segments: &[String]) -> Option<String> {
    let (rest, arch) = stem.rsplit_once('.')?;
    let (rest, release) = rest.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    let fedora = segments.iter().any(|part| matches!(part.as_str(), "fedora" | "epel"));
    let version = format!("{version}-{release}");
    Some(purl("rpm", fedora.then_some("fedora"), name, Some(&version), &[("arch", arch)]))
}

/// `alpine/v3.20/main/x86_64/name-version-rN.apk`
fn apk(stem: &str, segments: &[String]) -> Option<String> {
    let (rest, release) = stem.rsplit_once("-r")?;
    let (name, version) = rest.rsplit_once('-')?;
    release.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    let arch = segments.iter().rev().nth(1)?;
    let version = format!("{version}-r{release}");
    Some(purl("apk", Some("alpine"), name, Some(&version), &[("arch", arch)]))
}

fn by_ecosystem(segments: &[String], file: &str) -> Option<String> {
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    // PEP 427: name-version(-build)?-python-abi-platform.whl
    if let Some(stem) = file.strip_suffix(".whl") {
        let mut words = stem.split('-');
        let (name, version) = (words.next()?, words.next()?);
        let name = name.to_ascii_lowercase().replace(['_', '.'], "-");
        return Some(purl("pypi", None, &name, Some(version), &[]));
    }
    if let Some(stem) = file.strip_suffix(".crate") {
        let name = parts.iter().rev().nth(1)?;
        let version = stem.strip_prefix(name)?.strip_prefix('-')?;
        return Some(purl("cargo", None, name, Some(version), &[]));
    }
    if let Some(stem) = file.strip_suffix(".gem") {
        let (name, version) = stem.rsplit_once('-')?;
        return Some(purl("gem", None, name, Some(version), &[]));
    }
    match parts.as_slice() {
        // Cargo's web API, and what it leads to: /crates/name/version/download
        [.., "crates", name, version, "download"] => {
            Some(purl("cargo", None, name, Some(version), &[]))
        }
        // npm: [/@scope]/name/-/name-version.tgz
        [.., scope, name, "-", _] if scope.starts_with('@') => {
            let version = file.strip_suffix(".tgz")?.strip_prefix(name)?.strip_prefix('-')?;
            Some(purl("npm", Some(scope), name, Some(version), &[]))
        }
        [.., name, "-", _] => {
            let version = file.strip_suffix(".tgz")?.strip_prefix(name)?.strip_prefix('-')?;
            Some(purl("npm", None, name, Some(version), &[]))
        }
        // Go module proxy: /module/@v/version.zip
        [module @ .., name, "@v", _] => {
            let version = file.strip_suffix(".zip")?;
            let module = Some(module.join("/")).filter(|module| !module.is_empty());
            Some(purl("golang", module.as_deref(), name, Some(version), &[]))
        }
        // Maven: /maven2/group/parts/artifact/version/artifact-version.jar
        ["maven2", group @ .., artifact, version, _] if !group.is_empty() => {
            let stem = file.strip_suffix(".jar")?;
            stem.strip_prefix(artifact)?.strip_prefix('-')?.starts_with(version).then_some(())?;
            Some(purl("maven", Some(&group.join(".")), artifact, Some(version), &[]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ecosystem_is_told_by_its_path() {
        for (path, expected) in [
            (
                "/debian/pool/main/g/gcc/g++_4%3a12.2.0-3_amd64.deb",
                "pkg:deb/debian/g%2B%2B@4:12.2.0-3?arch=amd64",
            ),
            (
                "/ubuntu/pool/main/h/hello/hello_2.10-3_arm64.deb",
                "pkg:deb/ubuntu/hello@2.10-3?arch=arm64",
            ),
            (
                "/pub/fedora/linux/x/hello-2.12.1-1.fc40.x86_64.rpm",
                "pkg:rpm/fedora/hello@2.12.1-1.fc40?arch=x86_64",
            ),
            (
                "/alpine/v3.20/main/x86_64/musl-utils-1.2.5-r0.apk",
                "pkg:apk/alpine/musl-utils@1.2.5-r0?arch=x86_64",
            ),
            ("/packages/ab/cd/Foo_Bar-1.0.2-py3-none-any.whl", "pkg:pypi/foo-bar@1.0.2"),
            ("/crates/serde-json/serde-json-1.0.1.crate", "pkg:cargo/serde-json@1.0.1"),
            ("/api/v1/crates/serde/1.0.1/download", "pkg:cargo/serde@1.0.1"),
            ("/gems/rack-test-2.1.0.gem", "pkg:gem/rack-test@2.1.0"),
            ("/left/-/left-1.3.0.tgz", "pkg:npm/left@1.3.0"),
            ("/@a/left/-/left-1.3.0.tgz", "pkg:npm/%40a/left@1.3.0"),
            ("/host.example/a/b/@v/v1.2.3.zip", "pkg:golang/host.example/a/b@v1.2.3"),
            ("/maven2/org/example/tool/1.0/tool-1.0.jar", "pkg:maven/org.example/tool@1.0"),
        ] {
            let url = format!("http://mirror.example{path}");
            assert_eq!(of_download(&url).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_the_path_does_not_tell_is_left_open() {
        for path in
            ["/", "/a.deb", "/a_b.deb", "/x/InRelease", "/-/x.tgz", "/a.whl", "/a.rpm", "/@v/x"]
        {
            assert_eq!(of_download(&format!("http://mirror.example{path}")), None, "{path}");
        }
        assert_eq!(of_download("no url"), None);
    }
}
