//! Images in memory that differ in one thing.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{self, Read},
};

use super::image::{Blobs, ImageSide, first_difference};
use crate::oci::{
    config::ImageConfig, descriptor::Descriptor, digest::Digest, manifest::Manifest, media_type,
};

#[derive(Default)]
struct Memory(RefCell<BTreeMap<Digest, Vec<u8>>>);

impl Memory {
    fn put(&self, kind: &str, bytes: &[u8]) -> Descriptor {
        let blob = Descriptor::of(kind, bytes);
        self.0.borrow_mut().insert(blob.digest, bytes.to_vec());
        blob
    }
}

impl Blobs for Memory {
    fn read(&self, blob: &Descriptor, _: u64) -> io::Result<Vec<u8>> {
        self.0.borrow().get(&blob.digest).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(io::Cursor::new(self.read(blob, 0)?)))
    }
}

/// A file of a layer: path, mode, contents.
type File<'a> = (&'a str, u32, &'a [u8]);

fn tar(files: &[File<'_>]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, mode, contents) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(contents.len() as u64);
        header.set_mode(*mode);
        header.set_mtime(7);
        archive.append_data(&mut header, path, *contents).unwrap();
    }
    archive.into_inner().unwrap()
}

fn image(memory: &Memory, layers: &[&[File<'_>]], env: &str, note: &str, zip: bool) -> Vec<u8> {
    let mut config = ImageConfig::scratch(&"linux/amd64".parse().unwrap());
    config.config.env = vec![env.into()];
    let mut blobs = Vec::new();
    for files in layers {
        let plain = tar(files);
        config.rootfs.diff_ids.push(Digest::of(&plain));
        let (kind, bytes) = match zip {
            true => (media_type::LAYER_ZSTD, zstd::encode_all(plain.as_slice(), 3).unwrap()),
            false => (media_type::LAYER_TAR, plain),
        };
        blobs.push(memory.put(kind, &bytes));
    }
    let config = memory.put(media_type::CONFIG, &serde_json::to_vec(&config).unwrap());
    let mut manifest = Manifest::image(config, blobs);
    manifest.annotations = BTreeMap::from([("note".to_owned(), note.to_owned())]);
    serde_json::to_vec(&manifest).unwrap()
}

const BASE: &[File<'_>] = &[("etc/a", 0o644, b"one"), ("etc/b", 0o644, b"two")];

/// What is said of the plain image and this one.
fn told(layers: &[&[File<'_>]], env: &str, note: &str, zip: bool) -> Option<String> {
    let memory = Memory::default();
    let old = image(&memory, &[BASE, BASE], "A=1", "n", false);
    let new = image(&memory, layers, env, note, zip);
    let side = |manifest| ImageSide { manifest, blobs: &memory };
    first_difference(&side(&old), &side(&new)).unwrap().map(|found| found.to_string())
}

#[test]
fn the_same_bytes_are_no_difference() {
    assert_eq!(told(&[BASE, BASE], "A=1", "n", false), None);
}

#[test]
fn the_first_difference_is_named_down_to_the_byte() {
    let second = |files: &[File<'_>]| told(&[BASE, files], "A=2", "other", false).unwrap();
    let a = BASE[0];
    assert_eq!(second(&[a, ("etc/b", 0o600, b"tWo")]), "layer 2, etc/b: byte 1: 0x77 became 0x57");
    assert_eq!(second(&[a, ("etc/b", 0o755, b"two")]), "layer 2, etc/b: mode: 0644 became 0755");
    assert_eq!(second(&[a, ("etc/b", 0o644, b"twofold")]), "layer 2, etc/b: size: 3 became 7");
    assert_eq!(second(&[a]), "layer 2, etc/b: it is no longer there");
    assert_eq!(second(&[a, ("etc/aa", 0o644, b""), BASE[1]]), "layer 2, etc/aa: it was not there");
    assert_eq!(second(&[a, BASE[1], ("etc/c", 0o644, b"")]), "layer 2, etc/c: it was not there");
    assert_eq!(told(&[BASE], "A=1", "n", false).unwrap(), "2 layers became 1");
}

#[test]
fn documents_are_compared_when_the_layers_hold_the_same() {
    assert_eq!(
        told(&[BASE, BASE], "A=2", "other", true).unwrap(),
        r#"configuration, field config.Env[0]: "A=1" became "A=2""#
    );
    let compressed = told(&[BASE, BASE], "A=1", "n", true).unwrap();
    assert!(compressed.starts_with("layer 1: the contents are the same, compressed otherwise"));
    assert_eq!(
        told(&[BASE, BASE], "A=1", "other", false).unwrap(),
        r#"manifest, field annotations.note: "n" became "other""#
    );
}
