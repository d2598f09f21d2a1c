//! Writes a layer anew with its changes. What is not changed is copied block by block, header bytes
//! included, so the difference between two layers is exactly what the findings say.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use super::plan::Change;
use crate::{
    layer::{
        Compression,
        archive::{Archive, ArchiveError},
        emit::ArchiveWriter,
        member::{CAPABILITY_XATTR, Kind, Member, Mtime, WHITEOUT_PREFIX},
    },
    oci::digest::Digest,
};

/// Why a layer was not rewritten.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// The old layer cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The new layer cannot be written.
    #[error("the hardened layer cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Changes when the same changes give other bytes.
const VERSION: u32 = 1;

/// The digest of all that a layer with these changes follows from.
pub(super) fn key(
    diff_id: Digest,
    changes: &BTreeMap<usize, Change>,
    epoch: i64,
    compression: Compression,
) -> Digest {
    let mut text = format!(
        "hardened layer {VERSION} of {diff_id} at {epoch}, gzip members, {compression:?}\n"
    );
    for (position, change) in changes {
        text.push_str(&match change {
            Change::Remove => format!("{position} removed\n"),
            Change::Hide => format!("{position} hidden\n"),
            Change::Edit { mode, drop_capability } => {
                format!("{position} edited {mode:o} {drop_capability}\n")
            }
            Change::Content(bytes) => format!("{position} is {}\n", Digest::of(bytes)),
        });
    }
    Digest::of(text.as_bytes())
}

/// Copies an uncompressed archive with these changes, by position; `epoch` bounds the times of files
/// with new content.
pub(super) fn rewrite<W: Write>(
    from: impl Read,
    changes: &BTreeMap<usize, Change>,
    epoch: i64,
    to: W,
) -> Result<W, RewriteError> {
    let mut archive = Archive::new(from);
    let mut writer = ArchiveWriter::new(to);
    let mut position = 0;
    while let Some(member) = archive.next()? {
        match changes.get(&position) {
            None => {
                let headers = archive.raw().to_vec();
                writer.append_raw(&headers, &mut archive, member.size)?;
            }
            Some(Change::Remove) => {}
            Some(Change::Hide) => writer.append(&whiteout(&member, epoch), io::empty())?,
            Some(Change::Edit { mode, drop_capability }) => {
                let mut edited = Member { mode: *mode, ..member };
                if *drop_capability {
                    edited.xattrs.remove(CAPABILITY_XATTR);
                }
                writer.append(&edited, &mut archive)?;
            }
            Some(Change::Content(bytes)) => {
                let size = bytes.len() as u64;
                let mtime = Mtime { seconds: member.mtime.seconds.min(epoch), ..member.mtime };
                writer.append(&Member { size, mtime, ..member }, &bytes[..])?;
            }
        }
        position += 1;
    }
    Ok(writer.finish()?)
}

fn whiteout(member: &Member, epoch: i64) -> Member {
    let path = member.path.strip_suffix(b"/").unwrap_or(&member.path);
    let name = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let hidden = [&path[..name], WHITEOUT_PREFIX.as_bytes(), &path[name..]].concat();
    let mut whiteout = Member::new(hidden, Kind::File, 0);
    whiteout.mtime.seconds = member.mtime.seconds.min(epoch).max(0);
    whiteout
}
