use super::{super::wants, *};
use crate::layer::tree::{LayerIndex, scan};

/// An archive of these files (contents) and links (target after `->`).
fn layer(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, contents) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(if path.contains("bin/") { 0o755 } else { 0o644 });
        if let Some(target) = contents.strip_prefix("->") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, path, target).unwrap();
        } else {
            header.set_size(contents.len() as u64);
            builder.append_data(&mut header, path, contents.as_bytes()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn take(layers: &[&[(&str, &str)]]) -> Inventory {
    let mut indexes: Vec<LayerIndex> = Vec::new();
    let mut contents = BTreeMap::new();
    for entries in layers {
        let (index, kept) = scan(&layer(entries)[..], wants, 1 << 20).unwrap();
        indexes.push(index);
        contents.extend(kept);
    }
    inventory(&Tree::merge(&indexes), &contents)
}

fn names(packages: &[Package]) -> Vec<String> {
    packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect()
}

fn paths(files: &[FileEntry]) -> Vec<&str> {
    files.iter().map(|file| file.path.as_str()).collect()
}

const STATUS: &str = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\n\
    Source: bash-source (5.2)\nVersion: 5.2-1\nDepends: libc6 (>= 2.36) | musl, base\n\
    Maintainer: Jane Doe <jane@x.example>\nConffiles:\n /etc/bash.bashrc 0123\n\n\
    Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\n\
    Version: 1:2.36-9\n\n\
    Package: removed\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
    Package: meta\nStatus: install ok installed\nArchitecture: all\nVersion: 3\nProvides: base\n";

const BASE: &[(&str, &str)] = &[
    ("etc/os-release", "ID=debian\nVERSION_ID=12\nNAME=\"Debian GNU/Linux\"\n"),
    ("bin", "->usr/bin"),
    ("usr/bin/bash", "#!"),
    ("etc/bash.bashrc", "x"),
    ("usr/lib/libc.so.6", "elf"),
    ("usr/share/doc/libc6/copyright", "Format: x\n\nFiles: *\nLicense: LGPL-2.1+\n"),
    ("var/lib/dpkg/status", STATUS),
    (
        "var/lib/dpkg/info/bash.list",
        "/.\n/bin\n/bin/bash\n/etc\n/etc/bash.bashrc\n/usr/share/man/x\n",
    ),
    ("var/lib/dpkg/info/bash.md5sums", "0123  bin/bash\n0123  usr/share/man/x\n"),
    (
        "var/lib/dpkg/info/libc6:amd64.list",
        "/.\n/usr\n/usr/lib\n/usr/lib/libc.so.6\n/usr/share/doc/libc6/copyright\n",
    ),
    ("var/lib/dpkg/info/meta.list", "/.\n"),
    ("app/bin/server", "program"),
];

#[test]
fn packages_with_their_files_and_what_nobody_owns() {
    let inventory = take(&[BASE]);
    assert_eq!(names(&inventory.packages), ["bash 5.2-1", "libc6 1:2.36-9", "meta 3"]);
    let bash = &inventory.packages[0];
    assert_eq!(paths(&bash.files), ["etc/bash.bashrc", "usr/bin/bash"]);
    assert_eq!(bash.missing, ["usr/share/man/x"]);
    assert_eq!(
        bash.purl(inventory.os.as_ref()),
        "pkg:deb/debian/bash@5.2-1?arch=amd64&distro=debian-12&upstream=bash-source%405.2"
    );
    let libc = &inventory.packages[1];
    assert_eq!(libc.license.expression.as_deref(), Some("LGPL-2.1-or-later"));
    assert_eq!(
        libc.purl(inventory.os.as_ref()),
        "pkg:deb/debian/libc6@1:2.36-9?arch=amd64&distro=debian-12"
    );
    assert_eq!(paths(&inventory.unowned), ["app/bin/server", "etc/os-release"]);
    assert!(inventory.unowned[0].executable);
    assert_eq!(inventory.unowned[0].digest, Some(Digest::of(b"program")));
}

#[test]
fn a_package_whose_files_are_gone_is_not_there() {
    let upper: &[(&str, &str)] = &[("usr/bin/.wh.bash", ""), ("etc/.wh.bash.bashrc", "")];
    let inventory = take(&[BASE, upper]);
    assert_eq!(names(&inventory.packages), ["libc6 1:2.36-9", "meta 3"]);
    assert_eq!(names(&inventory.gone), ["bash 5.2-1"]);
    let half: &[(&str, &str)] = &[("usr/bin/.wh.bash", "")];
    let inventory = take(&[BASE, half]);
    assert_eq!(inventory.packages[0].missing, ["bin/bash", "usr/share/man/x"]);
}

#[test]
fn the_database_of_the_upper_layer_counts() {
    let upper: &[(&str, &str)] =
        &[("var/lib/dpkg/status", "Package: libc6\nVersion: 2\nStatus: install ok installed\n")];
    assert_eq!(names(&take(&[BASE, upper]).packages), ["libc6 2"]);
    let deleted: &[(&str, &str)] = &[("var/lib/.wh.dpkg", "")];
    assert!(take(&[BASE, deleted]).packages.is_empty(), "a kept content of a lower layer");
}

#[test]
fn distroless_and_alpine() {
    let distroless: &[(&str, &str)] = &[
        ("var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12\nArchitecture: amd64\n"),
        ("var/lib/dpkg/status.d/base.md5sums", "0123  usr/lib/base\n"),
        ("usr/lib/base", "x"),
        ("usr/lib/os-release", "ID=debian\nVERSION_CODENAME=trixie\n"),
    ];
    let inventory = take(&[distroless]);
    assert_eq!(names(&inventory.packages), ["base-files 12"]);
    assert_eq!(paths(&inventory.packages[0].files), ["usr/lib/base"]);
    let alpine: &[(&str, &str)] = &[
        (
            "lib/apk/db/installed",
            "P:musl\nV:1.2\nA:x86_64\nL:MIT\nF:lib\nR:ld.so\n\nP:gone\nV:1\nF:bin\nR:gone\n\n",
        ),
        ("lib/ld.so", "elf"),
        ("etc/os-release", "ID=alpine\nVERSION_ID=3.20.1\n"),
    ];
    let inventory = take(&[alpine]);
    assert_eq!(names(&inventory.packages), ["musl 1.2"]);
    assert_eq!(names(&inventory.gone), ["gone 1"]);
    assert_eq!(
        inventory.packages[0].purl(inventory.os.as_ref()),
        "pkg:apk/alpine/musl@1.2?arch=x86_64&distro=alpine-3.20.1"
    );
}

#[test]
fn a_tree_without_any_database() {
    let inventory = take(&[&[("app", "x")]]);
    assert_eq!((inventory.packages.len(), paths(&inventory.unowned)), (0, vec!["app"]));
    assert_eq!(take(&[]), Inventory::default());
}
