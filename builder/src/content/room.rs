//! Is there room on a disk?

use std::path::Path;

/// With less than this a file system counts as full, in bytes: what did not fit was larger.
const HARDLY_ANYTHING: u64 = 1024 * 1024;

/// Has the file system of `directory` hardly any room, or no place for another file? What cannot be asked is
/// not called full.
#[must_use]
pub fn is_full(directory: &Path) -> bool {
    rustix::fs::statvfs(directory).is_ok_and(|disk| {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        // Some file systems do not count files.
        let no_files = disk.f_files > 0 && disk.f_favail == 0;
        disk.f_blocks > 0 && (free < HARDLY_ANYTHING || no_files)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_and_what_has_no_blocks_is_not_full() {
        assert!(!is_full(Path::new("/proc")));
        assert!(!is_full(Path::new("/nowhere/at/all")));
    }
}
