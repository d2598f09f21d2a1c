//! No blob of a pushed image holds what hardening forbids, and the SBOM says the truth about the tree.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use touchmark_tests::{
    blobs::{self, BlobListing},
    example::{self, Example},
    referrers,
};

use crate::scene::Scene;

/// Names that must not be in any blob: shells and network tools.
const FORBIDDEN: &[&str] = &[
    "sh",
    "bash",
    "dash",
    "ash",
    "rbash",
    "zsh",
    "ksh",
    "mksh",
    "csh",
    "tcsh",
    "fish",
    "busybox",
    "toybox",
    "curl",
    "wget",
    "nc",
    "ncat",
    "netcat",
    "nc.openbsd",
    "nc.traditional",
    "socat",
    "telnet",
];

/// Folders on which programs are looked for: a document named `sh` is no shell.
const PROGRAMS: &[&str] =
    &["bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "opt", "tmp"];

fn assert_hardened(blobs: &[BlobListing], forbidden_contents: &BTreeSet<String>) {
    let mut faults = Vec::new();
    for blob in blobs {
        for entry in &blob.entries {
            let folder = entry.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let mut fault =
                |why: &str| faults.push(format!("{} in {}: {why}", entry.path, blob.digest));
            if entry.kind.is_file() && entry.mode & 0o6000 != 0 {
                fault("setuid or setgid");
            }
            if entry.xattrs.contains_key("security.capability") {
                fault("has file capabilities");
            }
            if FORBIDDEN.contains(&entry.name()) && PROGRAMS.contains(&folder) {
                fault("a shell or network tool");
            }
            if forbidden_contents.contains(&entry.digest) {
                fault("the contents of a shell or network tool under another name");
            }
            let target =
                entry.link.as_deref().map(|link| link.rsplit('/').next().unwrap_or_default());
            if target.is_some_and(|name| FORBIDDEN.contains(&name)) {
                fault("a link to a shell or network tool");
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Digests of the files in the base image that are shells or network tools.
fn forbidden_in(base: &[BlobListing]) -> BTreeSet<String> {
    let entries = base.iter().flat_map(|blob| &blob.entries);
    let guilty = entries.filter(|entry| {
        let folder = entry.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        entry.kind.is_file() && FORBIDDEN.contains(&entry.name()) && PROGRAMS.contains(&folder)
    });
    guilty.map(|entry| entry.digest.clone()).collect()
}

#[test]
fn the_example_on_debian_is_hardened_in_every_blob() {
    let example = Example::pushed();
    let base = blobs::unpack_every_blob(&example.registry, "library/debian", "bookworm");
    let forbidden = forbidden_in(&base);
    assert!(
        forbidden.len() >= 2,
        "the base has bash and dash, or this test proves nothing: {forbidden:?}"
    );
    assert!(base.iter().flat_map(|blob| &blob.entries).any(|entry| entry.mode & 0o4000 != 0));
    let image = blobs::unpack_every_blob(&example.registry, example::REPOSITORY, "1");
    assert_hardened(&image, &forbidden);
    let hello = blobs::topmost(&image, "usr/local/bin/hello").expect("the program is there");
    assert_eq!(hello.mode, 0o755);
}

#[test]
fn copies_links_and_deleted_shells_are_in_no_blob() {
    let scene = Scene::new();
    scene.dockerfile(
        "FROM busybox AS image\n\
         RUN mkdir -p /opt && cp /bin/busybox /opt/innocent && ln /bin/busybox /opt/hard && ln -s /bin/sh /opt/soft\n\
         RUN cp /bin/busybox /opt/program && chmod 4755 /opt/program && echo data > /opt/data && chmod 6755 /opt/data\n\
         RUN mkdir -p /tmp/a && cp /bin/busybox /tmp/a/copy\n\
         RUN rm -rf /tmp/a /opt/hard /opt/soft\n",
    );
    let _ = scene.push_unsigned(&[]).succeeded();
    let base = blobs::unpack_every_blob(&scene.registry, "library/busybox", "latest");
    let image = blobs::unpack_every_blob(&scene.registry, "app", "1");
    assert_hardened(&image, &forbidden_in(&base));
    let data = blobs::topmost(&image, "opt/data").expect("what is no shell stays");
    assert_eq!((data.mode, data.contents.as_slice()), (0o755, &b"data\n"[..]));
}

#[test]
fn hardening_off_leaves_the_image_alone() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN echo data > /data && chmod 4755 /data\n");
    let _ = scene.push_unsigned(&["--harden", "off"]).succeeded();
    let image = blobs::unpack_every_blob(&scene.registry, "app", "1");
    assert_eq!(blobs::topmost(&image, "data").unwrap().mode, 0o4755);
    assert!(blobs::topmost(&image, "bin/sh").is_some());
}

#[test]
fn an_exception_is_kept_and_reported() {
    let scene = Scene::with_policy("[harden]\nkeep = [\"/bin/busybox\", \"/bin/sh\"]\n");
    scene.home.make_keys();
    scene.dockerfile("FROM busybox\nENTRYPOINT [\"/bin/sh\"]\n");
    let _ = scene.push_signed(&[]).succeeded();
    let image = blobs::unpack_every_blob(&scene.registry, "app", "1");
    assert!(blobs::topmost(&image, "bin/busybox").is_some());
    let digest = scene.registry.tag("app", "1").unwrap();
    let provenance = referrers::predicate(&scene.registry, "app", &digest, referrers::PROVENANCE);
    let byproducts = provenance["runDetails"]["byproducts"].to_string();
    assert!(byproducts.contains("hardening"), "the report is a byproduct: {provenance:#}");
}

#[test]
fn an_entry_point_that_loses_its_shell_stops_the_build() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN true\nENTRYPOINT echo \"$HOME\" | cat\n");
    let output = scene.push_unsigned(&[]).returned(1);
    assert!(output.mentions("Dockerfile:3") && output.mentions("keep"), "{output:?}");
    assert_eq!(scene.registry.tags("app"), Vec::<String>::new(), "nothing was pushed");
    touchmark_tests::snapshot::assert("harden-entrypoint", &scene.home.told(&output));
}

#[test]
fn the_sbom_lists_what_is_there_and_nothing_else() {
    let example = Example::pushed();
    let sbom = referrers::predicate(
        &example.registry,
        example::REPOSITORY,
        &example.digest(),
        referrers::SBOM,
    );
    assert_eq!(sbom["spdxVersion"], "SPDX-2.3");
    let listed = debian_packages(&sbom);
    for gone in ["bash", "dash"] {
        assert!(!listed.contains_key(gone), "{gone} was removed and is listed");
    }
    let image = blobs::unpack_every_blob(&example.registry, example::REPOSITORY, "1");
    let status = blobs::topmost(&image, "var/lib/dpkg/status").expect("the package database stays");
    let installed = stanzas(&String::from_utf8_lossy(&status.contents));
    assert!(installed.len() > 50, "a Debian base has packages: {installed:?}");
    assert_eq!(listed, installed, "SBOM and package database differ");
}

/// Name → version of each package with a Debian purl.
fn debian_packages(sbom: &Value) -> BTreeMap<String, String> {
    let packages = sbom["packages"].as_array().expect("packages");
    let debian = packages.iter().filter(|package| {
        let references = package["externalRefs"].as_array().cloned().unwrap_or_default();
        references
            .iter()
            .any(|one| one["referenceLocator"].as_str().is_some_and(|l| l.starts_with("pkg:deb/")))
    });
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    debian.map(|package| (text(package, "name"), text(package, "versionInfo"))).collect()
}

/// Name → version of each installed package of a dpkg database.
fn stanzas(status: &str) -> BTreeMap<String, String> {
    let field = |stanza: &str, name: &str| {
        stanza.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    let installed =
        status.split("\n\n").filter(|stanza| stanza.contains("Status: install ok installed"));
    installed
        .filter_map(|stanza| Some((field(stanza, "Package:")?, field(stanza, "Version:")?)))
        .collect()
}
