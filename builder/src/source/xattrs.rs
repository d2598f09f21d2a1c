//! Extended attributes that belong to a file's contents, as opposed to its place on this machine.

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::PathBuf,
};

/// The attribute that holds file capabilities.
const CAPABILITY: &str = "security.capability";
/// Revision 2 of the capability attribute: no owner of the namespace in it (capability.h).
const REVISION_2: u32 = 0x0200_0000;
/// Revision 3: 24 bytes, the last four are the uid that is root in the namespace.
const REVISION_3: u32 = 0x0300_0000;
/// The flags bit that revisions share.
const REVISION_MASK: u32 = 0xff00_0000;

/// One attribute.
pub(super) type Xattr = (String, Vec<u8>);

/// The attributes of `name` in `dir`, sorted: `user.*` except those of overlayfs, and file
/// capabilities in the form they have in a layer (revision 2). Labels and ACLs of this machine are
/// left out.
pub(super) fn read(dir: &OwnedFd, name: &OsStr) -> io::Result<Vec<Xattr>> {
    let path = through(dir, name);
    let names = match xattr::list(&path) {
        Ok(names) => names,
        Err(cause) if unsupported(&cause) => return Ok(Vec::new()),
        Err(cause) => return Err(cause),
    };
    let mut found = Vec::new();
    for key in names {
        let Some(key) = key.to_str().filter(|key| wanted(key)) else { continue };
        if let Some(value) = xattr::get(&path, key)? {
            let value = if key == CAPABILITY { without_root(value) } else { value };
            found.push((key.to_owned(), value));
        }
    }
    found.sort();
    Ok(found)
}

/// Sets the attributes; those that the file system does not take are left out, except file
/// capabilities, without which the image would be another one. `shift` is the uid on disk of the
/// image's root.
pub(super) fn write(dir: &OwnedFd, name: &OsStr, xattrs: &[Xattr], shift: u32) -> io::Result<()> {
    let path = through(dir, name);
    for (key, value) in xattrs {
        if key == CAPABILITY {
            xattr::set(&path, key, &with_root(value, shift))?;
        } else if let Err(cause) = xattr::set(&path, key, value)
            && !unsupported(&cause)
        {
            return Err(cause);
        }
    }
    Ok(())
}

/// A path for the calls that know no directory descriptor; the last name is not followed.
fn through(dir: &OwnedFd, name: &OsStr) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()))
        .join(OsStr::from_bytes(name.as_bytes()))
}

fn wanted(key: &str) -> bool {
    key == CAPABILITY || (key.starts_with("user.") && !key.starts_with("user.overlay."))
}

fn unsupported(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied)
}

fn word(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// Revision 3 → 2.
fn without_root(mut value: Vec<u8>) -> Vec<u8> {
    if let Some(magic) = word(&value)
        && magic & REVISION_MASK == REVISION_3
        && value.len() == 24
    {
        value.truncate(20);
        value[..4].copy_from_slice(&(magic & !REVISION_MASK | REVISION_2).to_le_bytes());
    }
    value
}

/// Revision 2 → 3 when the image's root is not the root of this namespace.
fn with_root(value: &[u8], shift: u32) -> Vec<u8> {
    let mut value = value.to_vec();
    if let Some(magic) = word(&value)
        && magic & REVISION_MASK == REVISION_2
        && value.len() == 20
        && shift != 0
    {
        value[..4].copy_from_slice(&(magic & !REVISION_MASK | REVISION_3).to_le_bytes());
        value.extend(shift.to_le_bytes());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_change_form_with_the_owner_of_the_namespace() {
        let mut layer = (REVISION_2 | 1).to_le_bytes().to_vec();
        layer.extend([0; 16]);
        let disk = with_root(&layer, 1);
        assert_eq!((disk.len(), disk[20]), (24, 1));
        assert_eq!(without_root(disk), layer);
        assert_eq!(with_root(&layer, 0), layer);
    }

    #[test]
    fn only_what_belongs_to_the_contents() {
        assert!(wanted("user.mime") && wanted("security.capability"));
        for key in ["user.overlay.opaque", "security.selinux", "system.posix_acl_access"] {
            assert!(!wanted(key), "{key}");
        }
    }
}
