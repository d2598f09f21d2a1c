//! Any bytes are a layer blob or an error; what is a layer can be merged, walked, resolved and written
//! again.

use std::io::Read as _;

use touchmark_builder::layer::{
    LayerReader,
    archive::Archive,
    emit::ArchiveWriter,
    tree::{Tree, scan},
};

/// More would only measure how fast zeros decompress.
const MAX: u64 = 1 << 22;

fn copy(tar: &[u8]) -> std::io::Result<()> {
    let mut archive = Archive::new(tar);
    let mut writer = ArchiveWriter::new(std::io::sink());
    while let Ok(Some(member)) = archive.next() {
        writer.append(&member, &mut archive)?;
    }
    writer.finish().map(drop)
}

/// Tries one input.
pub fn run(blob: &[u8]) {
    let compressed = blob.starts_with(&[0x1f, 0x8b]) || blob.starts_with(&[0x28, 0xb5]);
    let blob = if compressed { blob.to_vec() } else { super::checksums::repair(blob) };
    let Ok(reader) = LayerReader::new(&blob[..], None) else { return };
    let mut tar = Vec::new();
    let _ = reader.take(MAX).read_to_end(&mut tar);
    let _ = copy(&tar);
    let index = match scan(&tar[..], |path| path.ends_with("status"), 1 << 16) {
        Ok((index, _)) => index,
        Err(error) => return drop(error.to_string()),
    };
    let tree = Tree::merge(&[index.clone(), index]);
    for entry in tree.iter() {
        let _ = tree.resolve(&entry.path);
        let _ = tree.target(entry);
        let _ = tree.next_path(entry);
        for below in tree.below(&entry.path) {
            assert!(below.path.starts_with(&entry.path));
        }
    }
}
