//! For tests: images from lines of text, in memory.

use std::{collections::BTreeMap, io, sync::Mutex};

use super::{HardenError, HardenOptions, Hardened, LayerStore, Level, Look, Seen, harden};
use crate::{
    layer::{
        Compression, Layer, LayerReader, LayerWriter,
        emit::ArchiveWriter,
        member::{CAPABILITY_XATTR, Kind, Member},
        tree::{LayerIndex, scan},
    },
    oci::{config::ImageConfig, descriptor::Descriptor, digest::Digest, platform::Platform},
    policy::glob::Glob,
};

/// An uncompressed layer.
#[derive(Clone)]
pub(super) struct LayerBytes(pub(super) Vec<u8>);

impl LayerBytes {
    pub(super) fn index(&self) -> LayerIndex {
        scan(&self.0[..], |_| false, 0).unwrap().0
    }

    /// `mode path` of each entry in the order of the archive; links with their target.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |entry: &crate::layer::tree::Entry| {
            let link = entry.link.as_ref().map(|link| format!(" -> {link}")).unwrap_or_default();
            let kind = match entry.kind {
                Kind::Whiteout => "hidden ",
                Kind::Directory => "dir ",
                _ => "",
            };
            let capable = if entry.xattrs.is_empty() { "" } else { " +caps" };
            format!("{kind}{:o} {}{link}{capable}", entry.mode, entry.path)
        };
        self.index().entries.iter().map(line).collect()
    }

    pub(super) fn content(&self, path: &str) -> String {
        let files = scan(&self.0[..], |found| found == path, 1 << 20).unwrap().1;
        String::from_utf8(files[path].clone()).unwrap()
    }
}

/// A layer from lines `KIND PATH REST`: `d` directory, `f` file, `x` program, `s` setuid program, `c`
/// program with capabilities, `l` and `h` links, `w` whiteout. `\n` in REST is a new line.
pub(super) fn layer(lines: &[&str]) -> LayerBytes {
    let mut writer = ArchiveWriter::new(Vec::new());
    for line in lines {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let rest = words.get(2).copied().unwrap_or_default().replace("\\n", "\n");
        let (kind, mode) = match words[0] {
            "d" => (Kind::Directory, 0o755),
            "l" => (Kind::Symlink, 0o777),
            "h" => (Kind::Hardlink, 0o755),
            "x" | "c" => (Kind::File, 0o755),
            "s" => (Kind::File, 0o6755),
            _ => (Kind::File, 0o644),
        };
        let mut member = Member::new(words[1], kind, mode);
        if kind == Kind::File {
            member.size = rest.len() as u64;
        } else {
            member.link = rest.clone().into_bytes();
        }
        if words[0] == "c" {
            member.xattrs.insert(CAPABILITY_XATTR.into(), vec![1, 0, 0, 2]);
            member.xattrs.insert("user.note".into(), b"stays".to_vec());
        }
        writer.append(&member, rest.as_bytes()).unwrap();
    }
    LayerBytes(writer.finish().unwrap())
}

/// Contents that are asked for: of files that hardening reads, and of one that it does not.
fn wanted(path: &str) -> bool {
    path.ends_with("/status") || path.ends_with("installed") || path.ends_with("motd")
}

/// Blobs by digest, and what is remembered.
#[derive(Default)]
pub(super) struct Memory {
    blobs: Mutex<BTreeMap<Digest, Vec<u8>>>,
    known: Mutex<BTreeMap<Digest, Layer>>,
}

impl Memory {
    /// How many layers were written.
    pub(super) fn written(&self) -> usize {
        self.known.lock().unwrap().len()
    }
}

impl LayerStore for Memory {
    type Blob = io::Cursor<Vec<u8>>;
    type Sink = Vec<u8>;

    fn open(&self, descriptor: &Descriptor) -> io::Result<Self::Blob> {
        let blobs = self.blobs.lock().unwrap();
        let blob = blobs.get(&descriptor.digest).ok_or(io::ErrorKind::NotFound)?;
        Ok(io::Cursor::new(blob.clone()))
    }

    fn create(&self) -> io::Result<Self::Sink> {
        Ok(Vec::new())
    }

    fn commit(&self, sink: Self::Sink, descriptor: &Descriptor) -> io::Result<()> {
        assert_eq!(Digest::of(&sink), descriptor.digest);
        self.blobs.lock().unwrap().insert(descriptor.digest, sink);
        Ok(())
    }

    fn known(&self, key: &Digest) -> Option<Layer> {
        self.known.lock().unwrap().get(key).cloned()
    }

    fn remember(&self, key: &Digest, layer: &Layer) -> io::Result<()> {
        assert!(self.known.lock().unwrap().insert(*key, layer.clone()).is_none(), "written twice");
        Ok(())
    }
}

/// An image in memory.
pub(super) struct Image {
    pub(super) store: Memory,
    pub(super) layers: Vec<Descriptor>,
    pub(super) config: ImageConfig,
    pub(super) options: HardenOptions,
}

impl Image {
    /// Every second layer in another compression: the rewritten one keeps it.
    pub(super) fn new(layers: &[LayerBytes]) -> Self {
        Self::compressed(layers, &[Compression::default(), Compression::Zstd { level: 3 }])
    }

    pub(super) fn plain(layers: &[LayerBytes]) -> Self {
        Self::compressed(layers, &[Compression::None])
    }

    fn compressed(layers: &[LayerBytes], compressions: &[Compression]) -> Self {
        let platform = Platform { architecture: "amd64".into(), os: "linux".into(), variant: None };
        let mut image = Self {
            store: Memory::default(),
            layers: Vec::new(),
            config: ImageConfig::scratch(&platform),
            options: HardenOptions { seen: Seen::wanting(wanted), ..HardenOptions::default() },
        };
        for (number, layer) in layers.iter().enumerate() {
            let compression = compressions[number % compressions.len()];
            let mut writer = LayerWriter::new(Vec::new(), compression).unwrap();
            io::Write::write_all(&mut writer, &layer.0).unwrap();
            let (layer, blob) = writer.finish().unwrap();
            image.store.commit(blob, &layer.descriptor).unwrap();
            image.layers.push(layer.descriptor);
            image.config.rootfs.diff_ids.push(layer.diff_id);
        }
        image
    }

    pub(super) fn keep(mut self, globs: &[&str]) -> Self {
        self.options.keep = globs.iter().map(|glob| Glob::new(glob).unwrap()).collect();
        self
    }

    pub(super) fn remove(mut self, globs: &[&str]) -> Self {
        self.options.remove = globs.iter().map(|glob| Glob::new(glob).unwrap()).collect();
        self
    }

    pub(super) fn cmd(mut self, words: &[&str]) -> Self {
        self.config.config.cmd = Some(words.iter().map(|word| (*word).into()).collect());
        self
    }

    pub(super) fn entrypoint(mut self, words: &[&str]) -> Self {
        self.config.config.entrypoint = Some(words.iter().map(|word| (*word).into()).collect());
        self
    }

    pub(super) fn harden(&self) -> Result<Hardened, HardenError> {
        let hardened = harden(&self.store, &self.layers, &self.config, &self.options)?;
        self.check_looks(&hardened);
        Ok(hardened)
    }

    /// Is what hardening says of its layers what is read in them?
    fn check_looks(&self, hardened: &Hardened) {
        if self.options.level == Level::Off {
            return;
        }
        assert_eq!(hardened.looks.len(), hardened.layers.len());
        let layers = self.read(hardened);
        for ((look, layer), id) in
            hardened.looks.iter().zip(&layers).zip(&hardened.config.rootfs.diff_ids)
        {
            let (index, contents) = scan(&layer.0[..], wanted, 1 << 20).unwrap();
            assert_eq!(look, &Look { diff_id: *id, index, contents });
        }
    }

    /// The uncompressed layers of a result; checks the digests on the way.
    pub(super) fn read(&self, hardened: &Hardened) -> Vec<LayerBytes> {
        let layers = hardened.layers.iter().zip(&hardened.config.rootfs.diff_ids);
        layers
            .map(|(descriptor, diff_id)| {
                let blob = self.store.open(descriptor).unwrap();
                let mut bytes = Vec::new();
                let mut reader = LayerReader::new(blob, Some(*diff_id)).unwrap();
                io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
                LayerBytes(bytes)
            })
            .collect()
    }

    /// The lines of every hardened layer.
    pub(super) fn lines(&self) -> Vec<Vec<String>> {
        let hardened = self.harden().unwrap();
        self.read(&hardened).iter().map(LayerBytes::lines).collect()
    }
}
