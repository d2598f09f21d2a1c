//! What an image says of itself: package databases, copyright files, programs, its start command and
//! its configuration. Hardening and inventory come to an end with any of them. The input is the files
//! one after the other, parted by NUL; the last one, a program, may have NULs in it.

use std::{collections::BTreeMap, io, sync::Mutex};

use touchmark_builder::{
    harden::{HardenOptions, LayerStore, Level, Seen, harden},
    layer::{
        emit::ArchiveWriter,
        member::{CAPABILITY_XATTR, Kind, Member},
        tree::{Tree, scan},
    },
    oci::{
        config::{ContainerConfig, ImageConfig},
        descriptor::Descriptor,
        digest::Digest,
    },
    policy::glob::Glob,
    sbom::{inventory, spdx, wants},
};

const FILES: [&str; 7] = [
    "var/lib/dpkg/status",
    "var/lib/dpkg/info/a.list",
    "usr/share/doc/a/copyright",
    "etc/os-release",
    "lib/apk/db/installed",
    "etc/ld.so.conf",
    "usr/bin/app",
];
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

#[derive(Default)]
struct Memory(Mutex<BTreeMap<Digest, Vec<u8>>>);

impl LayerStore for Memory {
    type Blob = io::Cursor<Vec<u8>>;
    type Sink = Vec<u8>;

    fn open(&self, descriptor: &Descriptor) -> io::Result<Self::Blob> {
        let found = self.0.lock().expect("one thread").get(&descriptor.digest).cloned();
        found.map(io::Cursor::new).ok_or(io::ErrorKind::NotFound.into())
    }

    fn create(&self) -> io::Result<Self::Sink> {
        Ok(Vec::new())
    }

    fn commit(&self, sink: Self::Sink, descriptor: &Descriptor) -> io::Result<()> {
        assert_eq!(Digest::of(&sink), descriptor.digest);
        self.0.lock().expect("one thread").insert(descriptor.digest, sink);
        Ok(())
    }
}

fn layer(files: &[&[u8]], capability: &[u8]) -> io::Result<Vec<u8>> {
    let mut writer = ArchiveWriter::new(Vec::new());
    for (path, content) in FILES.iter().zip(files) {
        let mut member = Member::new(*path, Kind::File, 0o4755);
        member.size = content.len() as u64;
        if path.starts_with("usr/bin") {
            member.xattrs.insert(CAPABILITY_XATTR.into(), capability.to_vec());
        }
        writer.append(&member, *content)?;
    }
    for (path, target) in
        [("usr/bin/sh", "app"), ("bin", "usr/bin"), ("usr/bin/env", "../../bin/sh")]
    {
        let mut link = Member::new(path, Kind::Symlink, 0o777);
        link.link = target.into();
        writer.append(&link, io::empty())?;
    }
    writer.finish()
}

fn describe(tar: &[u8]) {
    let (index, contents) = scan(tar, wants, 1 << 20).expect("a layer of ours can be read");
    let inventory = inventory(&Tree::merge(&[index]), &contents);
    let facts = spdx::Facts {
        image: "registry.example/app",
        digest: Digest::of(b""),
        created: 0,
        version: "0",
        fetched: &BTreeMap::new(),
    };
    spdx::to_json(&inventory, &facts).expect("an inventory can be written");
}

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(FILES.len() + 2, |byte| *byte == 0);
    let start = parts.next().unwrap_or_default();
    let capability = parts.next().unwrap_or_default();
    let files: Vec<&[u8]> = parts.collect();
    let Ok(tar) = layer(&files, capability) else { return };
    describe(&tar);
    let mut config = ImageConfig::scratch(&"linux/amd64".parse().expect("a platform"));
    config.config = serde_json::from_slice(start).unwrap_or_else(|_| ContainerConfig {
        cmd: Some(String::from_utf8_lossy(start).lines().map(str::to_owned).collect()),
        ..ContainerConfig::default()
    });
    config.rootfs.diff_ids = vec![Digest::of(&tar)];
    let options = HardenOptions {
        level: Level::Baseline,
        keep: vec![Glob::new("/etc/**").expect("a pattern")],
        remove: vec![Glob::new("/**/a*p").expect("a pattern")],
        seen: Seen::wanting(wants),
        ..HardenOptions::default()
    };
    let layers = [Descriptor::of(LAYER, &tar)];
    let store = Memory::default();
    store.0.lock().expect("one thread").insert(layers[0].digest, tar);
    match harden(&store, &layers, &config, &options) {
        Ok(hardened) => {
            let kept = store.0.lock().expect("one thread").get(&hardened.layers[0].digest).cloned();
            describe(&kept.expect("the hardened layer is stored"));
        }
        Err(error) => drop(error.to_string()),
    }
}
