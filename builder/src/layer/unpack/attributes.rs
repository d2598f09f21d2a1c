//! Owners, modes, times and extended attributes while unpacking.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::fs::{self, AtFlags, FileType, Mode, Timespec, Timestamps, XattrFlags};

use super::{MAX_ID, UnpackError, Unpacker, refusal};
use crate::layer::{
    capability,
    member::{CAPABILITY_XATTR, Kind, Member, Mtime, printable},
    root::{gid, uid},
};

impl Unpacker {
    /// Refuses owners that no mapping has.
    pub(super) fn check_owner(&self, member: &Member) -> Result<(), UnpackError> {
        match [member.uid, member.gid].into_iter().find(|id| *id > MAX_ID) {
            Some(id) => Err(UnpackError::Owner { entry: member.display(), id }),
            None => Ok(()),
        }
    }

    /// Owner, then mode (a change of owner clears setuid), then attributes (it clears capabilities).
    pub(super) fn attributes(&self, member: &Member, fd: impl AsFd) -> Result<(), UnpackError> {
        let (owner, group) = self.owner(member);
        let set = fs::fchown(&fd, uid(owner), gid(group))
            .and_then(|()| fs::fchmod(&fd, Mode::from_raw_mode(member.mode & 0o7777)));
        set.map_err(|fault| refusal(member)(fault.into()))?;
        for (name, value) in &member.xattrs {
            let refuse = |fault| UnpackError::Attribute {
                entry: member.display(),
                name: printable(name.as_bytes()),
                fault,
            };
            if name.starts_with("user.overlay.") || name.starts_with("trusted.overlay.") {
                return Err(refuse("belongs to overlayfs"));
            }
            let disk = if name == CAPABILITY_XATTR {
                capability::to_disk(value, self.options.shift)
                    .ok_or_else(|| refuse("is not a file capability of revision 2"))?
            } else if name.starts_with("user.") {
                value.clone()
            } else {
                // Labels and lists of the host where the layer was made mean nothing on this one.
                continue;
            };
            fs::fsetxattr(&fd, name.as_str(), &disk, XattrFlags::empty())
                .map_err(|fault| refusal(member)(fault.into()))?;
        }
        Ok(())
    }

    /// Owner, mode and time of what cannot be opened.
    pub(super) fn bare_attributes(
        &self,
        member: &Member,
        name: &[u8],
        parent: &OwnedFd,
    ) -> io::Result<()> {
        let (owner, group) = self.owner(member);
        fs::chownat(parent, name, uid(owner), gid(group), AtFlags::SYMLINK_NOFOLLOW)?;
        if member.kind == Kind::Fifo {
            fs::chmodat(parent, name, Mode::from_raw_mode(member.mode & 0o7777), AtFlags::empty())?;
        }
        Ok(fs::utimensat(parent, name, &times(member.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// A hard link's entry says owner, mode and time once more; where it says something else, the last
    /// word counts, as with other unpackers.
    pub(super) fn shared_attributes(
        &self,
        member: &Member,
        name: &[u8],
        parent: &OwnedFd,
    ) -> io::Result<()> {
        let stat = fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        let (owner, group) = self.owner(member);
        if (stat.st_uid, stat.st_gid) != (owner, group) {
            fs::chownat(parent, name, uid(owner), gid(group), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        fs::chmodat(parent, name, Mode::from_raw_mode(member.mode & 0o7777), AtFlags::empty())?;
        Ok(fs::utimensat(parent, name, &times(member.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn owner(&self, member: &Member) -> (u32, u32) {
        let shifted = |id: u64| u32::try_from(id).unwrap_or(0).saturating_add(self.options.shift);
        (shifted(member.uid), shifted(member.gid))
    }
}

/// Both times of a file.
pub(super) fn times(mtime: Mtime) -> Timestamps {
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: i64::from(mtime.nanos) };
    Timestamps { last_access: time, last_modification: time }
}
