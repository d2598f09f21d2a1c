//! What is in each layer when hardening is done with it. It was read once already, so that who takes the
//! inventory need not read it again.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    facts::{Facts, Wanted},
    plan::Change,
};
use crate::{
    layer::{
        member::{CAPABILITY_XATTR, Kind},
        tree::{Contents, Entry, LayerIndex},
    },
    oci::digest::Digest,
};

/// One layer as it is in the hardened image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Digest of its archive.
    pub diff_id: Digest,
    /// What it holds: as a scan of it would tell.
    pub index: LayerIndex,
    /// The contents of the files that the caller wanted, by path.
    pub contents: Contents,
}

/// What `facts` become by these `changes`; none where something that is wanted was not kept.
pub(super) fn look(
    facts: Arc<Facts>,
    changes: &BTreeMap<usize, Change>,
    diff_id: Digest,
    (epoch, wanted): (i64, Wanted),
) -> Option<Look> {
    let Facts { index, contents, extra, incomplete, .. } = Arc::unwrap_or_clone(facts);
    if incomplete {
        return None;
    }
    let mut kept: BTreeMap<usize, Vec<u8>> = contents;
    kept.extend(extra);
    let (mut entries, mut contents) = (Vec::with_capacity(index.entries.len()), Contents::new());
    for (position, entry) in index.entries.into_iter().enumerate() {
        let change = changes.get(&position);
        let content = match change {
            Some(Change::Content(bytes)) => Some(bytes.clone()),
            _ => kept.remove(&position),
        };
        let Some(mut entry) = changed(entry, change, epoch) else { continue };
        entry.position = Some(entries.len());
        if entry.kind == Kind::File && wanted(&entry.path) {
            contents.extend(content.map(|content| (entry.path.clone(), content)));
        }
        entries.push(entry);
    }
    // A rewritten layer has nothing after its end.
    Some(Look { diff_id, index: LayerIndex { entries, trailing: false }, contents })
}

fn changed(mut entry: Entry, change: Option<&Change>, epoch: i64) -> Option<Entry> {
    match change {
        None => {}
        Some(Change::Remove) => return None,
        Some(Change::Hide) => {
            entry = Entry {
                kind: Kind::Whiteout,
                mode: 0,
                uid: 0,
                gid: 0,
                size: 0,
                digest: Some(Digest::of(b"")),
                link: None,
                mtime: entry.mtime.min(epoch).max(0),
                xattrs: BTreeMap::new(),
                ..entry
            };
        }
        Some(Change::Edit { mode, drop_capability }) => {
            entry.mode = *mode;
            if *drop_capability {
                entry.xattrs.remove(CAPABILITY_XATTR);
            }
        }
        Some(Change::Content(bytes)) => {
            entry.size = bytes.len() as u64;
            entry.digest = Some(Digest::of(bytes));
            entry.mtime = entry.mtime.min(epoch);
        }
    }
    Some(entry)
}
