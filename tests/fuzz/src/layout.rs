//! Any bytes are an OCI layout's archive or an error. `oci-layout` and `index.json` have no digest, so
//! whatever they say is believed that far.

use std::{fs, sync::OnceLock};

use touchmark_builder::export::{layout::OciLayout, layout_address::LayoutAddress};

static SCRATCH: OnceLock<tempfile::TempDir> = OnceLock::new();

/// Tries one input.
pub fn run(tar: &[u8]) {
    let scratch = SCRATCH.get_or_init(|| tempfile::tempdir().expect("a scratch directory"));
    let path = scratch.path().join("layout.tar");
    fs::write(&path, super::checksums::repair(tar)).expect("own file");
    let address = format!("oci-archive:{}", path.display());
    let address = LayoutAddress::parse(&address).expect("an address");
    let layout = match OciLayout::open(&address) {
        Ok(layout) => layout,
        Err(error) => return drop(error.to_string()),
    };
    let _ = layout.resolve_platform(None, &"linux/amd64".parse().expect("a platform"));
    for entry in layout.entries().iter().take(16) {
        if let Ok(bytes) = layout.read(entry, 1 << 16) {
            assert_eq!(bytes.len() as u64, entry.size);
        }
        if let Err(error) = layout.referrers(entry.digest) {
            drop(error.to_string());
        }
    }
}
