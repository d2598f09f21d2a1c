//! A stage's file system without an image around it, as a tar archive.

use std::{
    collections::HashMap,
    io::{self, BufReader, BufWriter, Read, Write},
    path::PathBuf,
    sync::Arc,
    thread,
};

use crate::{
    layer::{
        PackOptions,
        archive::{Archive, ArchiveError},
        emit::ArchiveWriter,
        member::{CAPABILITY_XATTR, Kind, Member, Mtime, text_of},
        pack::{PackError, pack},
        unpack::UnpackError,
    },
    oci::{
        digest::{Digest, Hashing},
        platform::Platform,
    },
    snapshot::OWNER_SHIFT,
    solver::chain::View,
};

/// The file system of one platform, with documents beside it.
#[derive(Debug, Clone)]
pub struct FileTree {
    /// For this platform.
    pub platform: Platform,
    /// Where it is mounted.
    pub view: Arc<View>,
    /// No time stamp is later; seconds since 1970.
    pub epoch: i64,
    /// Files that are laid beside it: name and content.
    pub documents: Vec<(String, Vec<u8>)>,
}

/// Why files are not where they should be.
#[derive(Debug, thiserror::Error)]
pub enum FileTreeError {
    /// The snapshot cannot be read.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// What was packed cannot be read again.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The directory cannot be written.
    #[error("the files cannot be written to {}: {cause}\nhelp: check dest=, the free space and your rights", dest.display())]
    Unpack {
        /// The directory.
        dest: PathBuf,
        /// What happened.
        cause: UnpackError,
    },
    /// The destination cannot be written.
    #[error("the files cannot be written: {0}\nhelp: check dest=, the free space and your rights")]
    Write(#[from] io::Error),
    /// Two platforms have a file of one name.
    #[error(
        "'/{path}' is a file of {first} and of {second}, and only one of them can be there\n\
         help: leave platform-split=false out, so that each platform has a directory of its own"
    )]
    Twice {
        /// The path.
        path: String,
        /// The platform that was written first.
        first: String,
        /// The other.
        second: String,
    },
    /// The thread that reads the snapshot ended early.
    #[error("the files could not be read to the end")]
    Reader,
}

impl FileTree {
    /// The directory for this platform where there are several: `linux_amd64`, `linux_arm_v7`.
    #[must_use]
    pub fn directory(&self) -> String {
        self.platform.to_string().replace('/', "_")
    }

    /// The digest of every file, by its name, in the order of names.
    ///
    /// # Errors
    /// When the snapshot cannot be read.
    pub fn digests(&self) -> Result<Vec<(String, Digest)>, FileTreeError> {
        let mut files: Vec<(String, Digest)> = Vec::new();
        let mut known: HashMap<Vec<u8>, Digest> = HashMap::new();
        self.each(&mut |member, content| {
            let digest = match member.kind {
                Kind::File => {
                    let mut hashing = Hashing::new(io::sink());
                    io::copy(content, &mut hashing)?;
                    hashing.finish().1
                }
                Kind::Hardlink => match known.get(&member.link) {
                    Some(digest) => *digest,
                    None => return Ok(()),
                },
                _ => return Ok(()),
            };
            files.push((text_of(&member.path), digest));
            known.insert(member.path, digest);
            Ok(())
        })?;
        Ok(files)
    }

    /// Hands each entry to `take`, in the order of names.
    fn each(
        &self,
        take: &mut dyn FnMut(Member, &mut dyn Read) -> Result<(), FileTreeError>,
    ) -> Result<(), FileTreeError> {
        let (reader, writer) = io::pipe()?;
        let view = self.view.clone();
        let options =
            PackOptions { shift: OWNER_SHIFT, epoch: self.epoch, ..PackOptions::default() };
        let packer = thread::spawn(move || {
            let out = BufWriter::with_capacity(128 * 1024, writer);
            let mut out = pack(view.path(), options, out)?;
            out.flush().map_err(|cause| PackError::Write { path: String::new(), cause })
        });
        let mut archive = Archive::new(BufReader::with_capacity(128 * 1024, reader));
        let mut taken = Ok(());
        while taken.is_ok() {
            taken = match archive.next() {
                Ok(Some(member)) => take(member, &mut archive),
                Ok(None) => break,
                Err(fault) => Err(fault.into()),
            };
        }
        drop(archive);
        let packed = packer.join().map_err(|_| FileTreeError::Reader)?;
        match taken {
            // An archive that ends early is what a fault of the packer looks like from here.
            Err(FileTreeError::Archive(_)) if packed.is_err() => Ok(packed?),
            Err(fault) => Err(fault),
            Ok(()) => Ok(packed?),
        }
    }
}

/// Whom an archive is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// Anybody: it says everything.
    Anybody,
    /// The user's own directory, in which no file capability can be given away.
    User,
}

/// Writes all trees as one archive: side by side in directories of their own, or over each other.
pub(super) fn write_tar(
    trees: &[FileTree],
    split: bool,
    reader: Reader,
    out: impl Write,
) -> Result<(), FileTreeError> {
    let mut archive = ArchiveWriter::new(out);
    let mut owners: HashMap<Vec<u8>, &Platform> = HashMap::new();
    for tree in trees {
        let prefix = if split { format!("{}/", tree.directory()) } else { String::new() };
        if split {
            let mut own = Member::new(prefix.as_bytes(), Kind::Directory, 0o755);
            own.mtime = Mtime { seconds: tree.epoch.max(0), nanos: 0 };
            archive.append(&own, io::empty())?;
        }
        tree.each(&mut |mut member, content| {
            if !split && trees.len() > 1 && member.kind != Kind::Directory {
                let first = *owners.entry(member.path.clone()).or_insert(&tree.platform);
                if *first != tree.platform {
                    let (first, second) = (first.to_string(), tree.platform.to_string());
                    return Err(FileTreeError::Twice { path: member.display(), first, second });
                }
            }
            let put = |name: &[u8]| [prefix.as_bytes(), name].concat();
            member.path = put(&member.path);
            if member.kind == Kind::Hardlink {
                member.link = put(&member.link);
            }
            if reader == Reader::User {
                member.xattrs.remove(CAPABILITY_XATTR);
            }
            Ok(archive.append(&member, content)?)
        })?;
        for (name, bytes) in &tree.documents {
            let mut file = Member::new(format!("{prefix}{name}"), Kind::File, 0o644);
            file.size = bytes.len() as u64;
            file.mtime = Mtime { seconds: tree.epoch.max(0), nanos: 0 };
            archive.append(&file, &bytes[..])?;
        }
    }
    archive.finish()?.flush()?;
    Ok(())
}
