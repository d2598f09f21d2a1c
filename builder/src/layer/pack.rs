//! Packs an overlay's upper directory as a layer: sorted, numeric owners, clamped whole seconds, and
//! only what is new against the tree below, with the directories above it. The bytes follow from names,
//! contents, modes, owners and links alone, so the same step gives the same layer on every machine. As
//! in BuildKit's layers, file capabilities are the only extended attributes, a replaced directory is
//! told by the whiteouts of what it no longer holds, and sockets stay behind.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    rc::Rc,
};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};

use super::{
    below::{Below, is_whiteout, join, split},
    capability,
    emit::ArchiveWriter,
    member::{CAPABILITY_XATTR, Kind, Member, Mtime, WHITEOUT_PREFIX, printable},
    root::{names, open_directory},
};

/// How to pack.
#[derive(Debug, Clone, Copy, Default)]
pub struct PackOptions<'a> {
    /// Subtracted from each owner and group id. Ids below it (the builder's own root) become 0.
    pub shift: u32,
    /// Later times become this one; seconds since 1970.
    pub epoch: i64,
    /// The merged tree below the layer; none for the lowest one, where there is nothing to hide.
    pub below: Option<&'a Path>,
    /// The builder copied these files itself: one is the same as below when it would be in the layer, whose
    /// times are whole seconds and no later than `epoch`. What a program wrote anew is new.
    pub copied: bool,
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
        below: options
            .below
            .map(|below| Below::open(below, options.copied.then_some(options.epoch)))
            .transpose()
            .map_err(read)?,
        archive: ArchiveWriter::new(out),
        links: HashMap::new(),
        last: None,
        above: Vec::new(),
    };
    // Directories are opened by path, one at a time: a deep tree exhausts no descriptors.
    let mut pending = packer.children(b"", false)?;
    while let Some(Pending { path, replaces, gone }) = pending.pop() {
        packer.above.retain(|(directory, _)| {
            path.strip_prefix(&directory.path[..]).is_some_and(|rest| rest.starts_with(b"/"))
        });
        if gone {
            packer.hide(&path)?;
        } else if let Some(opaque) = packer.entry(&path)? {
            pending.append(&mut packer.children(&path, opaque || replaces)?);
        }
    }
    packer.archive.finish().map_err(|cause| PackError::Write { path: String::new(), cause })
}

/// A path to look at.
struct Pending {
    path: Vec<u8>,
    /// It is in a directory that hides the one below it.
    replaces: bool,
    /// It is not in the layer's directory but below.
    gone: bool,
}

struct Packer<'a, W: Write> {
    root: OwnedFd,
    options: PackOptions<'a>,
    below: Option<Below>,
    archive: ArchiveWriter<W>,
    /// Path in the archive of each file with more than one name, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
    /// The directories above the current path, and whether they were written.
    above: Vec<(Member, bool)>,
}

/// Attributes of overlayfs that hold nothing an image needs.
const HARMLESS: [&str; 5] = ["origin", "impure", "nlink", "uuid", "upper"];

/// What overlayfs says about an upper file.
#[derive(Default)]
struct Marks {
    opaque: bool,
    whiteout: bool,
}

impl<W: Write> Packer<'_, W> {
    /// The paths in a directory, last first, because they are taken from the end. Of a directory that
    /// `replaces` the one below also those that it no longer has.
    fn children(&mut self, path: &[u8], replaces: bool) -> Result<Vec<Pending>, PackError> {
        let read = |cause| PackError::Read { path: printable(path), cause };
        let listed = open_directory(self.root.as_fd(), path).and_then(names).map_err(read)?;
        let mut children: BTreeMap<Vec<u8>, bool> =
            listed.into_iter().map(|(name, _)| (join(path, name.to_bytes()), false)).collect();
        if let Some(below) = self.below.as_mut().filter(|_| replaces) {
            for name in below.names(path).map_err(read)? {
                children.entry(join(path, name.to_bytes())).or_insert(true);
            }
        }
        let pending = |(path, gone)| Pending { path, replaces, gone };
        Ok(children.into_iter().rev().map(pending).collect())
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

    /// Writes what stands at a path if it is new; of a directory it tells whether it hides the one
    /// below.
    fn entry(&mut self, path: &[u8]) -> Result<Option<bool>, PackError> {
        let read = |cause| PackError::Read { path: printable(path), cause };
        let (parent, name) = split(path);
        let parent = self.directory(parent).map_err(read)?;
        let stat = fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|fault| read(fault.into()))?;
        if is_whiteout(&stat) {
            return self.hide(path).map(|()| None);
        }
        if name.starts_with(WHITEOUT_PREFIX.as_bytes()) {
            return Err(PackError::Name { path: printable(path) });
        }
        let Some(mut member) = self.member(path, &stat) else { return Ok(None) };
        if member.kind == Kind::Symlink {
            let target = fs::readlinkat(&parent, name, Vec::new());
            member.link = target.map_err(|fault| read(fault.into()))?.into_bytes();
        }
        let mut file = None;
        let mut marks = Marks::default();
        if matches!(member.kind, Kind::File | Kind::Directory) {
            let opened = open(&parent, name, member.kind).map_err(read)?;
            marks = self.attributes(&mut member, &opened)?;
            file = Some(opened);
        }
        if marks.whiteout && member.size == 0 {
            return self.hide(path).map(|()| None);
        }
        let same = match &mut self.below {
            Some(below) => below.is_same(path, &parent, name, &stat).map_err(read)?,
            None => false,
        };
        if !same {
            self.announce()?;
            self.write(&member, &stat, file)?;
        }
        let is_directory = member.kind == Kind::Directory;
        if is_directory {
            self.above.push((member, !same));
        }
        Ok(is_directory.then_some(marks.opaque))
    }

    /// Writes the directories above the current path that are not written yet.
    fn announce(&mut self) -> Result<(), PackError> {
        for (directory, written) in self.above.iter_mut().filter(|(_, written)| !written) {
            *written = true;
            let done = self.archive.append(directory, io::empty());
            let path = &directory.path;
            done.map_err(|cause| PackError::Write { path: printable(path), cause })?;
        }
        Ok(())
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
                self.archive.append(member, file).map_err(write)
            }
            _ => self.archive.append(member, io::empty()).map_err(write),
        }
    }

    /// Writes the whiteout of a path, where there is something to hide.
    fn hide(&mut self, path: &[u8]) -> Result<(), PackError> {
        let Some(below) = &mut self.below else { return Ok(()) };
        let there = below.stat(path);
        if there.map_err(|cause| PackError::Read { path: printable(path), cause })?.is_none() {
            return Ok(());
        }
        self.announce()?;
        let (parent, name) = split(path);
        let mark = join(parent, &[WHITEOUT_PREFIX.as_bytes(), name].concat());
        // An empty file whose owner, mode and time say nothing.
        let mut mark = Member::new(mark, Kind::File, 0);
        mark.mtime = Mtime { seconds: self.options.epoch.max(0), nanos: 0 };
        let written = self.archive.append(&mark, io::empty());
        written.map_err(|cause| PackError::Write { path: printable(&mark.path), cause })
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
