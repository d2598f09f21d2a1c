//! Layouts that somebody else made, and not with good intent. Each message whole.

use std::{fs, os::unix::fs::symlink, path::Path};

use super::*;
use crate::{
    export::layout_writer::tests::{Sample, open},
    oci::media_type,
};

fn address(path: &Path) -> LayoutAddress {
    let form = if path.is_dir() { LayoutForm::Directory } else { LayoutForm::Archive };
    LayoutAddress { form, path: path.into(), image: None }
}

/// What opening, resolving and reading the layer of the only image says; `DIR` stands for the path.
fn message(path: &Path) -> String {
    let read = || {
        let layout = OciLayout::open(&address(path))?;
        let image = layout.resolve(None)?;
        for layer in &image.manifest().unwrap().layers {
            layout.read(layer, 1 << 20)?;
        }
        layout.referrers(image.descriptor.digest)
    };
    read().unwrap_err().to_string().replace(&path.display().to_string(), "DIR")
}

fn sample() -> (tempfile::TempDir, Sample) {
    let (home, sample) = (tempfile::tempdir().unwrap(), Sample::new("a"));
    sample.write("app:1", &home.path().join("layout")).unwrap();
    (home, sample)
}

const WHAT_A_LAYOUT_IS: &str = "help: a layout is what 'touchmark build -o type=oci' writes: oci-layout, index.json and blobs/";
const DO_NOT_USE: &str =
    "help: the layout is damaged or forged: do not use it, copy or export it again";

#[test]
fn no_layout_at_all() {
    let home = tempfile::tempdir().unwrap();
    let expected = |reason| format!("oci:DIR is not an OCI layout: {reason}\n{WHAT_A_LAYOUT_IS}");
    assert_eq!(message(home.path()), expected("it has no oci-layout"));
    fs::write(home.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert_eq!(message(home.path()), expected("its oci-layout does not say version 1.0.0"));
    fs::write(home.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    assert_eq!(message(home.path()), expected("it has no index.json"));
    fs::create_dir(home.path().join("index.json")).unwrap();
    assert_eq!(
        message(home.path()),
        expected("its index.json cannot be read: it is not a regular file")
    );
}

#[test]
fn missing_blob() {
    let (home, sample) = sample();
    let dir = home.path().join("layout");
    fs::remove_file(dir.join("blobs/sha256").join(sample.layer.digest.hex())).unwrap();
    assert_eq!(
        message(&dir),
        format!(
            "oci:DIR lacks the blob {}, which one of its manifests names\n\
             help: the layout is incomplete: copy or export it again",
            sample.layer.digest
        )
    );
}

#[test]
fn blob_with_other_bytes() {
    let (home, sample) = sample();
    let dir = home.path().join("layout");
    let path = dir.join("blobs/sha256").join(sample.layer.digest.hex());
    let evil = Digest::of(b"evil! a");
    for (bytes, reason) in [
        ("evil! a", format!("its bytes have the digest {evil}")),
        ("layer", "it has 5 bytes, but its descriptor says 7".into()),
        ("layer and more", "it has more than the 7 bytes that its descriptor says".into()),
    ] {
        fs::write(&path, bytes).unwrap();
        let digest = sample.layer.digest;
        assert_eq!(
            message(&dir),
            format!("oci:DIR: the blob {digest} is broken: {reason}\n{DO_NOT_USE}")
        );
    }
    // A layout is not ours: nothing in it is removed.
    assert!(path.exists());
}

#[test]
fn forged_manifest() {
    let (home, sample) = sample();
    let dir = home.path().join("layout");
    let path = dir.join("blobs/sha256").join(sample.image.digest.hex());
    let text = fs::read_to_string(&path).unwrap().replace("layer.v1.tar", "layer.v1.taR");
    fs::write(&path, &text).unwrap();
    assert_eq!(
        message(&dir),
        format!(
            "oci:DIR: the blob {} is broken: its bytes have the digest {}\n{DO_NOT_USE}",
            sample.image.digest,
            Digest::of(text.as_bytes())
        )
    );
}

fn entry(extra: &str) -> String {
    let digest = Digest::of(b"nothing");
    let kind = media_type::MANIFEST;
    format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":1{extra}}}"#)
}

fn index(entries: &[String]) -> String {
    format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","))
}

#[test]
fn hostile_index() {
    let (home, _sample) = sample();
    let dir = home.path().join("layout");
    let after = |text: &str| {
        fs::write(dir.join("index.json"), text).unwrap();
        message(&dir)
    };
    assert_eq!(
        after(&" ".repeat((4 << 20) + 1)),
        "oci:DIR: index.json is larger than 4194304 bytes and was not read\n\
         help: no honest layout needs one so large: do not use it"
    );
    assert_eq!(
        after("[]"),
        format!(
            "oci:DIR: index.json is broken: invalid length 0, expected struct Index with 4 elements \
             at line 1 column 2\n{DO_NOT_USE}"
        )
    );
    let tricks = entry("").replace("sha256:", "sha256:../../../etc/passwd");
    let tricks = after(&index(&[tricks]));
    assert!(tricks.contains("is not a digest of the form sha256:<64 hex digits>"), "{tricks}");
    assert_eq!(
        after(&index(&vec![entry(""); 5000])),
        format!("oci:DIR: index.json is broken: it has more than 4096 entries\n{DO_NOT_USE}")
    );
    assert_eq!(
        after(&index(&[entry("").replace("size\":1", "size\":104857600")])),
        format!(
            "oci:DIR: the blob {} is larger than 4194304 bytes and was not read\n\
             help: no honest layout needs one so large: do not use it",
            Digest::of(b"nothing")
        )
    );
    assert_eq!(
        after(&index(&[])),
        "oci:DIR has no image '*'; it has none at all\n\
         help: name one of these after the path, as in oci:DIR:TAG or oci:DIR@sha256:…"
    );
}

#[test]
fn several_images_and_unknown_names() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("layout");
    let [first, second] = ["a", "b"].map(Sample::new);
    first.write("app:1", &dir).unwrap();
    second.write("app:2", &dir).unwrap();
    let help = "help: name one of these after the path, as in oci:DIR:TAG or oci:DIR@sha256:…";
    let layout = open(&dir);
    let show = |error: LayoutError| error.to_string().replace(&dir.display().to_string(), "DIR");
    assert_eq!(
        show(layout.resolve(None).unwrap_err()),
        format!("oci:DIR holds 2 images: 2, 1\n{help}")
    );
    let unknown = ImageSelector::Name("3".into());
    assert_eq!(
        show(layout.resolve(Some(&unknown)).unwrap_err()),
        format!("oci:DIR has no image '3'; it has 2, 1\n{help}")
    );
    let by_digest = ImageSelector::Digest(first.image.digest);
    assert_eq!(layout.resolve(Some(&by_digest)).unwrap().descriptor.digest, first.image.digest);
    let unknown = ImageSelector::Digest(Digest::of(b"x"));
    assert!(layout.resolve(Some(&unknown)).is_err());
}

#[test]
fn a_platform_inside_an_index_and_a_fallback_list() {
    let (home, sample) = sample();
    let dir = home.path().join("layout");
    let write = |media_type: &str, text: String| {
        let blob = Descriptor::of(media_type, text.as_bytes());
        fs::write(dir.join("blobs/sha256").join(blob.digest.hex()), text).unwrap();
        blob
    };
    let mut child = sample.image.clone();
    child.platform = "linux/amd64".parse().ok();
    let image = serde_json::to_string(&Index::new(vec![child])).unwrap();
    let image = write(media_type::INDEX, image);
    let list = serde_json::to_string(&Index::new(vec![sample.referrer.clone()])).unwrap();
    let mut list = write(media_type::INDEX, list);
    let tag = format!("sha256-{}", sample.image.digest.hex());
    list.annotations.insert(REF_NAME.into(), tag);
    let index = serde_json::to_string(&Index::new(vec![image.clone(), list])).unwrap();
    fs::write(dir.join("index.json"), index).unwrap();

    let layout = open(&dir);
    assert_eq!(layout.resolve(None).unwrap().descriptor.digest, image.digest);
    let amd64 = layout.resolve_platform(None, &"linux/amd64".parse().unwrap()).unwrap();
    assert_eq!(amd64.descriptor.digest, sample.image.digest);
    let child = ImageSelector::Digest(sample.image.digest);
    assert_eq!(layout.resolve(Some(&child)).unwrap().descriptor.digest, sample.image.digest);
    assert_eq!(layout.referrers(sample.image.digest).unwrap().len(), 1);
    let error = layout.resolve_platform(None, &"linux/arm64".parse().unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "oci:{} has no manifest for linux/arm64, only for linux/amd64\n\
             help: choose one of these with --platform",
            dir.display()
        )
    );
}

#[test]
fn pipes_and_links_do_not_hold_us_up() {
    let (home, sample) = sample();
    let dir = home.path().join("layout");
    let path = dir.join("blobs/sha256").join(sample.layer.digest.hex());
    fs::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    assert_eq!(
        message(&dir),
        format!(
            "oci:DIR: the blob {} is broken: it is not a regular file\n{DO_NOT_USE}",
            sample.layer.digest
        )
    );
}

/// An archive of these entries: name, type, content.
fn archive(path: &Path, entries: &[(&str, tar::EntryType, &[u8])]) {
    let mut builder = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.finish().unwrap();
}

#[test]
fn hostile_archives() {
    use tar::EntryType as T;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.tar");
    let version = &br#"{"imageLayoutVersion":"1.0.0"}"#[..];
    let expected =
        |reason| format!("oci-archive:DIR is not an OCI layout: {reason}\n{WHAT_A_LAYOUT_IS}");
    let after = |entries: &[(&str, T, &[u8])]| {
        archive(&path, entries);
        message(&path)
    };
    let elsewhere = [("../oci-layout", T::Regular, version), ("/oci-layout", T::Regular, version)];
    assert_eq!(after(&elsewhere), expected("it has no oci-layout"));
    let twice = [("oci-layout", T::Regular, version), ("./oci-layout", T::Regular, version)];
    assert_eq!(after(&twice), expected("it has two files oci-layout"));
    let link = [("index.json", T::Symlink, &b""[..])];
    assert_eq!(after(&link), expected("its index.json is not a regular file"));
    let long = vec![b'x'; 1 << 20];
    let long = [("pax", T::XHeader, &long[..])];
    assert_eq!(
        after(&long),
        expected("the archive's entry at byte 512 has a name of more than 64 KiB")
    );
    let pax = [("pax", T::XHeader, &b"9 size=x\n"[..]), ("f", T::Regular, b"")];
    assert_eq!(after(&pax), expected("the archive's entry at byte 1024 has no size"));
    for broken in [&b"99 path=x\n"[..], b"x", b"0 ", b"3 \n", b"18446744073709551615 a=b\n"] {
        let pax = [("pax", T::XHeader, broken)];
        assert_eq!(
            after(&pax),
            expected("the archive's entry at byte 1024 has a broken pax header")
        );
    }
    archive(&path, &[("oci-layout", T::Regular, version)]);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..520]).unwrap();
    assert_eq!(message(&path), expected("the archive's entry at byte 512 is cut off"));
    fs::write(&path, [0x1f, 0x8b].repeat(400)).unwrap();
    assert_eq!(message(&path), expected("it is compressed; decompress it first"));
    fs::write(&path, "text".repeat(400)).unwrap();
    assert_eq!(message(&path), expected("it is not a tar archive"));
}

#[test]
fn archives_of_other_tools_with_long_names_and_pax_headers() {
    use tar::EntryType as T;
    let (home, sample) = sample();
    let dir = home.path().join("layout");
    let path = home.path().join("a.tar");
    let read = |name: &str| fs::read(dir.join(name)).unwrap();
    let (layout, index) = (read("oci-layout"), read("index.json"));
    let mut blobs = Vec::new();
    for blob in fs::read_dir(dir.join("blobs/sha256")).unwrap() {
        let name = format!("blobs/sha256/{}", blob.unwrap().file_name().to_str().unwrap());
        blobs.push((read(&name), name));
    }
    let record = "19 path=oci-layout\n16 mtime=1.25e0\n";
    let mut entries: Vec<(&str, T, &[u8])> = vec![
        ("blobs/", T::Directory, b""),
        ("pax", T::XHeader, record.as_bytes()),
        ("short", T::Regular, &layout),
        ("@LongLink", T::GNULongName, b"./index.json\0"),
        ("short", T::Regular, &index),
        ("global", T::XGlobalHeader, b"9 a=bcde\n"),
    ];
    entries.extend(blobs.iter().map(|(bytes, name)| (name.as_str(), T::Regular, &bytes[..])));
    archive(&path, &entries);
    let layout = open(&path);
    assert_eq!(layout.resolve(None).unwrap().descriptor.digest, sample.image.digest);
    assert_eq!(layout.read(&sample.layer, 7).unwrap(), b"layer a");
}
