//! Files of lines: the remembered digests of a context, users and groups of an image, os-release,
//! docker's configuration.

use std::{fs, sync::OnceLock};

use touchmark_builder::{
    registry::credentials::Credentials,
    sbom::os_release::OsRelease,
    source::{
        passwd::{resolve_owner, resolve_user},
        stat_cache::StatCache,
    },
};

static SCRATCH: OnceLock<tempfile::TempDir> = OnceLock::new();

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let scratch = SCRATCH.get_or_init(|| tempfile::tempdir().expect("a scratch directory"));
    let root = scratch.path();
    fs::create_dir_all(root.join("etc")).expect("own directory");
    for file in ["etc/passwd", "etc/group", "cache", "config.json"] {
        fs::write(root.join(file), bytes).expect("own file");
    }
    let first = bytes.split(|byte| b":\n ".contains(byte)).next().unwrap_or_default();
    for spec in [&String::from_utf8_lossy(first)[..], "root", "1000:adm", ""] {
        let _ = resolve_user(root, spec);
        let _ = resolve_owner(root, spec);
    }
    assert!(StatCache::load(&root.join("cache")).len() <= bytes.len());
    let release = OsRelease::parse(bytes);
    assert!(!release.id.is_empty() && !release.distro().is_empty());
    match Credentials::from_docker_config(&root.join("config.json"), None) {
        Ok(credentials) => drop(credentials.find("registry.example", "team/app")),
        Err(error) => drop(error.to_string()),
    }
}
