//! A binfmt_misc of the worker's user namespace, from Linux 6.7 on. Steps run in namespaces below it, so
//! its handlers are theirs. It is there as long as some process has it mounted.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::Path,
};

use tempfile::TempDir;

use super::machine::Machine;
use crate::snapshot::{Mount, Mounted};

/// The mounted file system; with it go the handlers, unless another build has it mounted as well.
#[derive(Debug)]
pub(super) struct Namespace {
    // Unmounted before its directory is removed: fields are dropped in this order.
    mounted: Mounted,
    #[allow(dead_code, reason = "held for its Drop")]
    dir: TempDir,
}

impl Namespace {
    /// Mounts it in this process's mount namespace, below `scratch`.
    ///
    /// # Errors
    /// When the kernel refuses: it is older, or the process is not root in its user namespace.
    pub(super) fn mount(scratch: &Path) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("binfmt-").tempdir_in(scratch)?;
        let kind = "binfmt_misc".to_owned();
        let mount = Mount { source: kind.clone().into(), kind, options: Vec::new() };
        let mounted = Mounted::mount(&[mount], dir.path()).map_err(io::Error::other)?;
        Ok(Self { mounted, dir })
    }

    /// Lets `interpreter` run the machine's programs. It is opened now (F), so that no step needs it in its
    /// image; it is told the name by which a program was called (P), gets the program opened (O), and setuid
    /// programs stay what they are (C).
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub(super) fn register(&self, machine: &Machine, interpreter: &Path) -> io::Result<()> {
        let name = format!("touchmark-{}", machine.qemu);
        let root = self.mounted.root();
        let (magic, mask) = machine.magic();
        let bytes = |bytes: &[u8]| bytes.iter().map(|b| format!("\\x{b:02x}")).collect::<String>();
        let (magic, mask, interpreter) = (bytes(&magic), bytes(&mask), interpreter.display());
        let line = format!(":{name}:M:0:{magic}:{mask}:{interpreter}:POCF");
        // In one call, or the kernel takes each part for a line of its own.
        let written =
            File::options().write(true).open(root.join("register"))?.write(line.as_bytes());
        match written {
            // Another build on this worker was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            // It was switched off as a whole, or the line is not understood.
            Err(error) => Err(error),
            Ok(_) => fs::metadata(root.join(name)).map(drop),
        }
    }
}
