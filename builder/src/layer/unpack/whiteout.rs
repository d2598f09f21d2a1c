//! Whiteouts while unpacking. They hide what the layers below hold and never what their own layer
//! brings, wherever in the archive they stand.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{self, AtFlags, FileType, Mode, XattrFlags},
    io::Errno,
};

use super::{UnpackError, Unpacker, Whiteouts, refusal};
use crate::layer::{
    member::{Member, OPAQUE_NAME, WHITEOUT_PREFIX},
    root::{names, open_directory, remove_all},
};

/// What follows the prefix in the name of an opaque mark.
const OPAQUE_REST: &[u8] = OPAQUE_NAME.split_at(WHITEOUT_PREFIX.len()).1.as_bytes();

/// Marks a directory of an overlay's upper tree as opaque, in the form of the `userxattr` mount
/// option (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories").
pub(super) fn mark_opaque(directory: impl AsFd) -> io::Result<()> {
    Ok(fs::fsetxattr(directory, "user.overlay.opaque", b"y", XattrFlags::empty())?)
}

impl Unpacker {
    pub(super) fn whiteout(
        &mut self,
        member: &Member,
        parents: &[&[u8]],
        hidden: &[u8],
        parent: &OwnedFd,
    ) -> Result<(), UnpackError> {
        let within = parents.join(&b'/');
        self.root.forget();
        let overlay = self.options.whiteouts == Whiteouts::Overlay;
        let done = if hidden == OPAQUE_REST && overlay {
            self.note(parents);
            open_directory(parent.as_fd(), b"").and_then(mark_opaque)
        } else if hidden == OPAQUE_REST {
            self.clear(parent, b"", &within)
        } else if hidden.is_empty() || matches!(hidden, b"." | b"..") {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "the whiteout names nothing"))
        } else if overlay {
            self.hide(parent, hidden, &within)
        } else {
            self.remove(parent, hidden, &within)
        };
        done.map_err(refusal(member))
    }

    /// In a merged root: removes the name, unless this archive made it.
    fn remove(&self, parent: &OwnedFd, hidden: &[u8], within: &[u8]) -> io::Result<()> {
        let path = joined(within, hidden);
        if !self.made.contains(&path) {
            return remove_all(parent, hidden);
        }
        match open_directory(parent.as_fd(), hidden) {
            Ok(_) => self.clear(parent, hidden, &path),
            // Made by this archive, and no directory: the layer below is hidden already.
            Err(_) => Ok(()),
        }
    }

    /// Removes what this archive did not make from a directory, at any depth. `at` is its path from
    /// `parent`, `path` from the root.
    fn clear(&self, parent: &OwnedFd, at: &[u8], path: &[u8]) -> io::Result<()> {
        let mut directories = vec![(at.to_vec(), path.to_vec())];
        while let Some((at, path)) = directories.pop() {
            let directory = open_directory(parent.as_fd(), &at)?;
            for (name, kind) in names(&directory)? {
                let inner = joined(&path, name.to_bytes());
                if !self.made.contains(&inner) {
                    remove_all(&directory, name.to_bytes())?;
                } else if kind == FileType::Directory {
                    directories.push((joined(&at, name.to_bytes()), inner));
                }
            }
        }
        Ok(())
    }

    /// In an upper directory: a 0:0 device, or an opaque mark on a directory that is there.
    fn hide(&self, parent: &OwnedFd, hidden: &[u8], within: &[u8]) -> io::Result<()> {
        if self.made.contains(&joined(within, hidden)) {
            return match open_directory(parent.as_fd(), hidden) {
                Ok(directory) => mark_opaque(directory),
                Err(_) => Ok(()),
            };
        }
        let device = || fs::mknodat(parent, hidden, FileType::CharacterDevice, Mode::empty(), 0);
        match device() {
            Err(Errno::EXIST) => {
                fs::unlinkat(parent, hidden, AtFlags::empty())?;
                Ok(device()?)
            }
            other => Ok(other?),
        }
    }
}

fn joined(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() {
        return name.to_vec();
    }
    if name.is_empty() {
        return parent.to_vec();
    }
    [parent, b"/", name].concat()
}
