//! Packs an overlay's upper directory as a layer: sorted, numeric owners, clamped whole seconds. The
//! bytes follow from names, contents, modes, owners and links alone, so the same step gives the same
//! layer on every machine. Extended attributes other than `user.*` and file capabilities are the
//! host's, not the image's, and stay behind; so do sockets.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, BufReader, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    rc::Rc,
};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};

use super::{
    capability,
    emit::ArchiveWriter,
    member::{CAPABILITY_XATTR, Kind, Member, Mtime, OPAQUE_NAME, WHITEOUT_PREFIX, printable},
    root::{names, open_directory},
};

/// How to pack.
#[derive(Debug, Clone, Copy)]
pub struct PackOptions {
    /// Subtracted from each owner and group id. Ids below it (the builder's own root) become 0.
    pub shift: u32,
    /// Later times become this one; seconds since 1970.
    pub epoch: i64,
    /// The directory is the lowest layer: there is nothing below it to hide, so whiteouts and opaque
    /// marks are left out.
    pub base: bool,
}

/// Why a directory was not packed. Each message names the path.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The directory or a file in it cannot be read.
    #[error("'/{path}' cannot be read for the layer: {cause}")]
    Read {
        /// Its path.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The archive cannot be written, or a file changed while it was read.
    #[error("'/{path}' cannot be written to the layer: {cause}")]
    Write {
        /// Its path.
        path: String,
        /// What the stream said.
        cause: io::Error,
    },
    /// A directory whose content is elsewhere: the overlay was mounted with `redirect_dir` or
    /// `metacopy`.
    #[error(
        "'/{path}' carries '{attribute}': its content is not in this layer's directory; mount the \
         snapshot with redirect_dir=off,metacopy=off"
    )]
    Elsewhere {
        /// Its path.
        path: String,
        /// Overlay's attribute.
        attribute: String,
    },
    /// A name that means something else in a layer.
    #[error(
        "'/{path}' cannot be in an image: names that begin with '.wh.' are deletions in a layer"
    )]
    Name {
        /// Its path.
        path: String,
    },
    /// Capabilities that hold for another user namespace.
    #[error("'/{path}' has file capabilities of a user namespace that is not this step's")]
    Capability {
        /// Its path.
        path: String,
    },
}

/// Writes the tree below `upper` as an uncompressed layer archive and gives the stream back. The
/// directory itself has no entry, as in BuildKit's layers.
///
/// # Errors
/// See [`PackError`].
pub fn pack<W: Write>(upper: &Path, options: PackOptions, out: W) -> Result<W, PackError> {
    let read = |cause: io::Error| PackError::Read {
        path: upper.display().to_string().trim_start_matches('/').into(),
        cause,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = fs::open(upper, flags, Mode::empty()).map_err(|fault| read(fault.into()))?;
    let mut packer = Packer {
        root,
        options,
        archive: ArchiveWriter::new(out),
        links: HashMap::new(),
        last: None,
    };
    // Directories are opened by path, one at a time: a deep tree exhausts no descriptors.
    let mut pending = packer.children(b"")?;
    while let Some(path) = pending.pop() {
        if packer.entry(&path)? == Kind::Directory {
            pending.append(&mut packer.children(&path)?);
        }
    }
    packer.archive.finish().map_err(|cause| PackError::Write { path: String::new(), cause })
}

struct Packer<W: Write> {
    root: OwnedFd,
    options: PackOptions,
    archive: ArchiveWriter<W>,
    /// Path in the archive of each file with more than one name, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
}

/// Attributes of overlayfs that hold nothing an image needs.
const HARMLESS: [&str; 5] = ["origin", "impure", "nlink", "uuid", "upper"];

/// What overlayfs says about an upper file.
#[derive(Default)]
struct Marks {
    opaque: bool,
    whiteout: bool,
}

impl<W: Write> Packer<W> {
    /// The paths in a directory, last first, because they are taken from the end.
    fn children(&self, path: &[u8]) -> Result<Vec<Vec<u8>>, PackError> {
        let listed = open_directory(self.root.as_fd(), path).and_then(names);
        let mut children: Vec<_> = listed
            .map_err(|cause| PackError::Read { path: printable(path), cause })?
            .into_iter()
            .map(|(name, _)| match path {
                b"" => name.to_bytes().to_vec(),
                _ => [path, b"/", name.to_bytes()].concat(),
            })
            .collect();
        children.sort_by(|left, right| right.cmp(left));
        Ok(children)
    }

    /// Opens the directory at a path; most often it is the one opened last.
    fn directory(&mut self, path: &[u8]) -> io::Result<Rc<OwnedFd>> {
        if let Some((_, fd)) = self.last.as_ref().filter(|(last, _)| last == path) {
            return Ok(Rc::clone(fd));
        }
        let fd = Rc::new(open_directory(self.root.as_fd(), path)?);
        self.last = Some((path.to_vec(), Rc::clone(&fd)));
        Ok(fd)
    }

    /// Writes what stands at a path and tells what it is.
    fn entry(&mut self, path: &[u8]) -> Result<Kind, PackError> {
        let read = |cause| PackError::Read { path: printable(path), cause };
        let (parent, name) = split(path);
        let parent = self.directory(parent).map_err(read)?;
        let stat = fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|fault| read(fault.into()))?;
        let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        if is_device && stat.st_rdev == 0 {
            self.hide(path, &stat)?;
            return Ok(Kind::Whiteout);
        }
        if name.starts_with(WHITEOUT_PREFIX.as_bytes()) {
            return Err(PackError::Name { path: printable(path) });
        }
        let Some(mut member) = self.member(path, &stat) else { return Ok(Kind::Whiteout) };
        if member.kind == Kind::Symlink {
            let target = fs::readlinkat(&parent, name, Vec::new());
            member.link = target.map_err(|fault| read(fault.into()))?.into_bytes();
        }
        let marks = match member.kind {
            Kind::File | Kind::Directory => {
                let file = open(&parent, name, member.kind).map_err(read)?;
                let marks = self.attributes(&mut member, &file)?;
                if marks.whiteout && member.size == 0 {
                    self.hide(path, &stat)?;
                    return Ok(Kind::Whiteout);
                }
                self.write(&member, &stat, Some(file))?;
                marks
            }
            _ => {
                self.write(&member, &stat, None)?;
                Marks::default()
            }
        };
        if marks.opaque && !self.options.base {
            let mark = [path, b"/", OPAQUE_NAME.as_bytes()].concat();
            self.mark(mark, member.mtime)?;
        }
        Ok(member.kind)
    }

    /// The metadata of a path; `None` for a socket.
    fn member(&self, path: &[u8], stat: &Stat) -> Option<Member> {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::Char,
            FileType::BlockDevice => Kind::Block,
            FileType::Fifo => Kind::Fifo,
            _ => return None,
        };
        let mut member = Member::new(path, kind, stat.st_mode & 0o7777);
        member.uid = u64::from(stat.st_uid.saturating_sub(self.options.shift));
        member.gid = u64::from(stat.st_gid.saturating_sub(self.options.shift));
        member.mtime = self.time(stat);
        if kind == Kind::File {
            member.size = u64::try_from(stat.st_size).unwrap_or(0);
        }
        if matches!(kind, Kind::Char | Kind::Block) {
            member.device = (fs::major(stat.st_rdev), fs::minor(stat.st_rdev));
        }
        Some(member)
    }

    fn time(&self, stat: &Stat) -> Mtime {
        Mtime { seconds: stat.st_mtime.min(self.options.epoch).max(0), nanos: 0 }
    }

    /// Takes over the image's attributes and reads overlayfs's.
    fn attributes(&self, member: &mut Member, file: &File) -> Result<Marks, PackError> {
        let read = |cause| PackError::Read { path: printable(&member.path), cause };
        let mut marks = Marks::default();
        let mut taken = BTreeMap::new();
        for name in xattr::FileExt::list_xattr(file).map_err(read)? {
            let Some(name) = name.to_str() else { continue };
            let value = xattr::FileExt::get_xattr(file, name).map_err(read)?;
            let Some(value) = value else { continue };
            let overlay = ["user.overlay.", "trusted.overlay."];
            if let Some(mark) = overlay.iter().find_map(|start| name.strip_prefix(start)) {
                match (mark, &value[..]) {
                    ("opaque", b"y") => marks.opaque = true,
                    // "x": the directory may hold whiteouts in their attribute form.
                    ("opaque", _) => {}
                    ("whiteout", _) => marks.whiteout = true,
                    _ if HARMLESS.contains(&mark) => {}
                    _ => {
                        return Err(PackError::Elsewhere {
                            path: printable(&member.path),
                            attribute: printable(name.as_bytes()),
                        });
                    }
                }
            } else if name == CAPABILITY_XATTR {
                let layer = capability::to_layer(&value, self.options.shift)
                    .ok_or_else(|| PackError::Capability { path: printable(&member.path) })?;
                taken.insert(name.to_owned(), layer);
            } else if name.starts_with("user.") {
                taken.insert(name.to_owned(), value);
            }
        }
        member.xattrs = taken;
        Ok(marks)
    }

    fn write(&mut self, member: &Member, stat: &Stat, file: Option<File>) -> Result<(), PackError> {
        let write = |cause| PackError::Write { path: printable(&member.path), cause };
        if member.kind != Kind::Directory && stat.st_nlink > 1 {
            let inode = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&inode) {
                let link = Member {
                    kind: Kind::Hardlink,
                    link: first.clone(),
                    size: 0,
                    device: (0, 0),
                    xattrs: BTreeMap::new(),
                    ..member.clone()
                };
                return self.archive.append(&link, io::empty()).map_err(write);
            }
            self.links.insert(inode, member.path.clone());
        }
        match file {
            Some(file) if member.kind == Kind::File => {
                let content = BufReader::with_capacity(128 * 1024, file);
                self.archive.append(member, content).map_err(write)
            }
            _ => self.archive.append(member, io::empty()).map_err(write),
        }
    }

    /// Writes the whiteout of a path.
    fn hide(&mut self, path: &[u8], stat: &Stat) -> Result<(), PackError> {
        if self.options.base {
            return Ok(());
        }
        let (parent, name) = split(path);
        let slash: &[u8] = if parent.is_empty() { b"" } else { b"/" };
        self.mark([parent, slash, WHITEOUT_PREFIX.as_bytes(), name].concat(), self.time(stat))
    }

    /// Writes an empty file that is a mark; its owner and mode say nothing.
    fn mark(&mut self, path: Vec<u8>, mtime: Mtime) -> Result<(), PackError> {
        let mut mark = Member::new(path, Kind::File, 0);
        mark.mtime = mtime;
        let written = self.archive.append(&mark, io::empty());
        written.map_err(|cause| PackError::Write { path: printable(&mark.path), cause })
    }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

fn open(parent: &OwnedFd, name: &[u8], kind: Kind) -> io::Result<File> {
    if kind == Kind::Directory {
        return Ok(File::from(open_directory(parent.as_fd(), name)?));
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(fs::openat(parent, name, flags, Mode::empty())?))
}

#[cfg(test)]
mod tests;
