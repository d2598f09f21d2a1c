//! Where images keep the certificates that they trust.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// Bundles: files with many certificates, of Debian and Alpine, Fedora, openSUSE and others. Some are links to others.
pub(super) const BUNDLES: [&str; 8] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
    "etc/pki/tls/cert.pem",
    "var/lib/ca-certificates/ca-bundle.pem",
    "etc/ca-certificates/extracted/tls-ca-bundle.pem",
];

/// Directories whose files the programs that make bundles add to them.
pub(super) const ANCHORS: [&str; 5] = [
    "usr/local/share/ca-certificates",
    "etc/pki/ca-trust/source/anchors",
    "etc/pki/trust/anchors",
    "usr/share/pki/trust/anchors",
    "etc/ca-certificates/trust-source/anchors",
];

/// The anchor's name, in which no program puts anything else; links are named after it.
pub(super) const ANCHOR: &str = "touchmark-build-authority";

/// What the variables name, in the step.
pub(super) const DIRECTORY: &str = "run/touchmark";

/// Links followed on one path.
const MAX_LINKS: usize = 40;

/// Where `path` really is below `root`, links resolved as the step would; relative to `root`. What is not there counts
/// as a plain name.
pub(super) fn resolve(root: &Path, path: &str) -> io::Result<PathBuf> {
    let names = |path: &Path| -> Vec<_> {
        let parts = path.components().rev();
        parts.map(|part| part.as_os_str().to_owned()).collect()
    };
    let (mut rest, mut place, mut links) = (names(Path::new(path)), PathBuf::new(), 0);
    while let Some(name) = rest.pop() {
        match Path::new(&name).components().next() {
            Some(Component::ParentDir) => {
                place.pop();
                continue;
            }
            Some(Component::Normal(_)) => {}
            _ => continue,
        }
        let next = place.join(&name);
        let is_link = fs::symlink_metadata(root.join(&next)).is_ok_and(|found| found.is_symlink());
        if !is_link {
            place = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let target = fs::read_link(root.join(&next))?;
        if target.is_absolute() {
            place = PathBuf::new();
        }
        rest.extend(names(&target));
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("etc/pki/tls/certs")).unwrap();
        fs::create_dir_all(root.join("etc/ssl")).unwrap();
        symlink("../pki/tls/certs", root.join("etc/ssl/certs")).unwrap();
        symlink("/../../etc/ssl/certs/x", root.join("etc/ssl/cert.pem")).unwrap();
        symlink("loop", root.join("etc/loop")).unwrap();
        let at = |path| resolve(root, path).unwrap();
        assert_eq!(at("etc/ssl/cert.pem"), Path::new("etc/pki/tls/certs/x"));
        assert_eq!(at("/etc/../etc/./none/x"), Path::new("etc/none/x"));
        assert!(resolve(root, "etc/loop").is_err());
    }
}
