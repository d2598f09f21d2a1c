//! A file system of a few megabytes, which can be filled.

use std::{
    fs::{self, File},
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use nix::{
    fcntl::posix_fallocate,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::statvfs::statvfs,
};

/// Mounted in a mount namespace of the calling thread, of which every process that it starts from then on is a part:
/// nothing outlives them. Filled with one file, which makes room when it is removed.
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// An ext4 file system of `size` bytes in a file beside `at`, mounted at `at`; where there are no loop devices, a
    /// file system in memory. Root only.
    #[track_caller]
    #[must_use]
    pub fn mounted(at: &Path, size: u64) -> Self {
        unshare(CloneFlags::CLONE_NEWNS).expect("root makes mount namespaces");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("own mounts");
        if !with_ext4(at, size) {
            let options = format!("size={size},mode=755");
            mount(Some("small"), at, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
                .expect("a file system in memory");
        }
        Self { at: at.to_owned() }
    }

    /// Leaves `free` bytes, more or less a block.
    pub fn leave(&self, free: u64) {
        self.make_room();
        let mut filler = File::create(self.filler()).expect("room for an empty file");
        // Most of it at once, the rest block by block: the file itself needs some blocks.
        let most = self.free().saturating_sub(free + (1 << 20));
        if most > 0 {
            posix_fallocate(&filler, 0, most as i64).expect("room for most of the file");
            filler.seek(SeekFrom::End(0)).expect("own file");
        }
        let block = vec![0xa5; 64 << 10];
        while self.free() > free {
            let want = (self.free() - free).min(block.len() as u64) as usize;
            if filler.write_all(&block[..want]).is_err() || filler.sync_data().is_err() {
                break;
            }
        }
    }

    /// Removes what [`Self::leave`] wrote.
    pub fn make_room(&self) {
        let _ = fs::remove_file(self.filler());
    }

    fn free(&self) -> u64 {
        let disk = statvfs(&self.at).expect("a file system");
        disk.blocks_available() * disk.fragment_size()
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}

fn with_ext4(at: &Path, size: u64) -> bool {
    let image = at.with_extension("ext4");
    let file = File::create(&image).expect("a file beside the directory");
    file.set_len(size).expect("a sparse file");
    let ran = |program: &str, args: &[&str]| {
        let status = Command::new(program).args(args).arg(&image).output();
        status.is_ok_and(|output| output.status.success())
    };
    // Without a reserve for root and without a journal, so that its size is what can be written.
    let made = ran("mkfs.ext4", &["-q", "-F", "-m", "0", "-O", "^has_journal", "-N", "8192"]);
    let mut mount = Command::new("mount");
    mount.args(["-o", "loop"]).arg(&image).arg(at);
    let mounted = made && mount.output().is_ok_and(|output| output.status.success());
    // The mount keeps it.
    let _ = fs::remove_file(&image);
    mounted
}
