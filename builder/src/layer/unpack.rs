//! Unpacks a layer into a directory, hardened: whatever the archive says, nothing outside the
//! directory is read, written, linked or changed. The path rules are the kernel's ([`super::root`]);
//! what is refused here in addition is what no honest archiver writes.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    rc::Rc,
};

use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags},
    io::Errno,
};

use super::{
    archive::{Archive, ArchiveError},
    member::{self, Kind, Member, Mtime, printable},
    root::{Root, open_directory, remove_all},
};

mod attributes;
mod error;
mod whiteout;

use attributes::times;
pub use error::UnpackError;

/// The largest owner id of an image, before the shift.
pub const MAX_ID: u64 = 65_535;

/// How whiteouts become true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Whiteouts {
    /// The root shows the layers below (a mounted snapshot): what is hidden is removed from it.
    #[default]
    Remove,
    /// The root is an overlay's upper directory: what is hidden gets a 0:0 device or an opaque mark.
    /// Links of the layers below are not seen then, so a path through one makes a directory instead.
    Overlay,
}

/// How to unpack.
#[derive(Debug, Clone, Copy)]
pub struct UnpackOptions {
    /// Added to each owner and group id.
    pub shift: u32,
    /// How whiteouts become true.
    pub whiteouts: Whiteouts,
    /// The most bytes of content that are written.
    pub max_bytes: u64,
    /// Everything belongs to these ids (before the shift) instead of the archive's.
    pub owner: Option<(u32, u32)>,
    /// Unpack an archive of a user's, no layer: the root stays as it is, and what comes after the
    /// archive's end does not matter.
    pub added: bool,
}

impl Default for UnpackOptions {
    fn default() -> Self {
        let (whiteouts, max_bytes) = (Whiteouts::Remove, 1 << 40);
        Self { shift: 0, whiteouts, max_bytes, owner: None, added: false }
    }
}

/// What was unpacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of content written.
    pub bytes: u64,
    /// Device nodes that were left out: a user namespace cannot make them.
    pub devices: u64,
}

/// Unpacks an uncompressed layer archive into `root` and reads it to its last byte, unless it is one
/// that a user adds.
///
/// # Errors
/// See [`UnpackError`]. What was unpacked until then stays: the caller throws the snapshot away.
pub fn unpack(
    tar: impl Read,
    root: &Path,
    options: UnpackOptions,
) -> Result<Unpacked, UnpackError> {
    let mut archive = Archive::new(tar);
    if options.added {
        archive = archive.without_tail();
    }
    let mut state = Unpacker {
        root: Root::open(root).map_err(UnpackError::Root)?,
        options,
        made: HashSet::new(),
        links: HashSet::new(),
        left_out: HashSet::new(),
        times: Vec::new(),
        done: Unpacked::default(),
        buffer: vec![0; 128 * 1024],
    };
    while let Some(mut member) = archive.next()? {
        if let Some((uid, gid)) = options.owner {
            (member.uid, member.gid) = (uid.into(), gid.into());
        }
        state.done.entries += 1;
        state.entry(&member, &mut archive)?;
    }
    state.finish()
}

struct Unpacker {
    root: Root,
    options: UnpackOptions,
    /// Paths of this archive with their parents: whiteouts do not touch them.
    made: HashSet<Vec<u8>>,
    /// Symbolic links of this archive.
    links: HashSet<Vec<u8>>,
    /// Device nodes of this archive.
    left_out: HashSet<Vec<u8>>,
    /// Directory times, set at the end because each new file changes them.
    times: Vec<(Vec<u8>, Mtime)>,
    done: Unpacked,
    buffer: Vec<u8>,
}

type Archived<'a> = &'a mut dyn Read;

impl Unpacker {
    fn entry(&mut self, member: &Member, content: Archived<'_>) -> Result<(), UnpackError> {
        let parts = member::components(&member.path)
            .map_err(|fault| UnpackError::Name { entry: member.display(), fault })?;
        let Some((name, parents)) = parts.split_last() else {
            return if member.kind == Kind::Directory { self.own_root(member) } else { Ok(()) };
        };
        self.check_way(member, &parts)?;
        self.check_owner(member)?;
        let parent = self.root.directory(parents, self.options.shift).map_err(refusal(member))?;
        if let Some(hidden) = name.strip_prefix(member::WHITEOUT_PREFIX.as_bytes()) {
            return self.whiteout(member, parents, hidden, &parent);
        }
        let path = parts.join(&b'/');
        self.links.remove(&path);
        self.left_out.remove(&path);
        match member.kind {
            Kind::Char | Kind::Block => {
                self.done.devices += 1;
                self.left_out.insert(path);
                return Ok(());
            }
            Kind::Hardlink => self.hard_link(member, &parts, &parent)?,
            Kind::Directory => self.directory(member, name, &path, &parent)?,
            _ => self.file(member, name, &parent, content)?,
        }
        if member.kind == Kind::Symlink {
            self.links.insert(path);
        }
        self.note(&parts);
        Ok(())
    }

    fn note(&mut self, parts: &[&[u8]]) {
        for length in (1..=parts.len()).rev() {
            if !self.made.insert(parts[..length].join(&b'/')) {
                return;
            }
        }
    }

    /// A symbolic link of a lower layer may lead on (`bin` of a merged /usr), one of this very layer
    /// not: no tree that was walked to make an archive has entries below a link.
    fn check_way(&self, member: &Member, parts: &[&[u8]]) -> Result<(), UnpackError> {
        if self.links.is_empty() {
            return Ok(());
        }
        let mut way = Vec::new();
        for part in &parts[..parts.len() - 1] {
            way.extend_from_slice(part);
            if self.links.contains(&way) {
                return Err(UnpackError::Through {
                    entry: member.display(),
                    path: printable(&parts.join(&b'/')),
                    link: printable(&way),
                });
            }
            way.push(b'/');
        }
        Ok(())
    }

    fn own_root(&mut self, member: &Member) -> Result<(), UnpackError> {
        if self.options.added {
            return Ok(());
        }
        self.check_owner(member)?;
        let root = self.root.directory(&[], 0).map_err(refusal(member))?;
        let fd = open_directory(root.as_fd(), b"").map_err(refusal(member))?;
        self.attributes(member, &fd)?;
        self.times.push((Vec::new(), member.mtime));
        Ok(())
    }

    fn directory(
        &mut self,
        member: &Member,
        name: &[u8],
        path: &[u8],
        parent: &Rc<OwnedFd>,
    ) -> Result<(), UnpackError> {
        let mode = Mode::from_raw_mode(0o700);
        let mut hides = false;
        if let Err(fault) = fs::mkdirat(parent, name, mode) {
            let stat = fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|_| refusal(member)(fault.into()))?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind != FileType::Directory {
                hides = kind == FileType::CharacterDevice;
                self.root.forget();
                remove_all(parent, name).map_err(refusal(member))?;
                fs::mkdirat(parent, name, mode).map_err(|e| refusal(member)(e.into()))?;
            }
        }
        let fd = open_directory(parent.as_fd(), name).map_err(refusal(member))?;
        self.attributes(member, &fd)?;
        if hides && self.options.whiteouts == Whiteouts::Overlay {
            whiteout::mark_opaque(&fd).map_err(refusal(member))?;
        }
        self.times.push((path.to_vec(), member.mtime));
        Ok(())
    }

    /// A regular file, a symbolic link or a named pipe: made new, in place of what stands there.
    fn file(
        &mut self,
        member: &Member,
        name: &[u8],
        parent: &Rc<OwnedFd>,
        content: Archived<'_>,
    ) -> Result<(), UnpackError> {
        let made = match make(member, name, parent) {
            Err(Errno::EXIST) => {
                self.root.forget();
                remove_all(parent, name).map_err(refusal(member))?;
                make(member, name, parent)
            }
            other => other,
        };
        match made.map_err(|fault| refusal(member)(fault.into()))? {
            Some(fd) => {
                let mut file = File::from(fd);
                self.write(member, &mut file, content)?;
                self.attributes(member, &file)?;
                fs::futimens(&file, &times(member.mtime)).map_err(|e| refusal(member)(e.into()))
            }
            None => self.bare_attributes(member, name, parent).map_err(refusal(member)),
        }
    }

    fn write(
        &mut self,
        member: &Member,
        file: &mut File,
        content: Archived<'_>,
    ) -> Result<(), UnpackError> {
        self.done.bytes = self.done.bytes.saturating_add(member.size);
        let limit = self.options.max_bytes;
        if self.done.bytes > limit {
            return Err(UnpackError::TooLarge { entry: member.display(), limit });
        }
        loop {
            match content.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => file.write_all(&self.buffer[..count]).map_err(refusal(member))?,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(ArchiveError::Read(fault).into()),
            }
        }
    }

    fn hard_link(
        &mut self,
        member: &Member,
        parts: &[&[u8]],
        parent: &Rc<OwnedFd>,
    ) -> Result<(), UnpackError> {
        let (entry, target) = (member.display(), printable(&member.link));
        let goal = match member::components(&member.link) {
            Ok(goal) => goal,
            Err(fault) => return Err(UnpackError::Target { entry, target, fault }),
        };
        let path = goal.join(&b'/');
        let Some((goal_name, goal_parents)) = goal.split_last() else {
            return Err(UnpackError::NoTarget { entry, target });
        };
        self.check_way(member, &goal)?;
        if self.left_out.contains(&path) {
            self.left_out.insert(parts.join(&b'/'));
            return Ok(());
        }
        let name = parts[parts.len() - 1];
        let from = match self.root.existing(&goal_parents.join(&b'/')) {
            Ok(from) => from,
            Err(_) => return Err(UnpackError::NoTarget { entry, target }),
        };
        // Flags 0: a link itself is linked, never what it leads to.
        let link = || fs::linkat(&from, *goal_name, parent, name, AtFlags::empty());
        let linked = match link() {
            Err(Errno::EXIST) if goal == parts => return Ok(()),
            Err(Errno::EXIST) => {
                self.root.forget();
                remove_all(parent, name).map_err(refusal(member))?;
                link()
            }
            other => other,
        };
        match linked {
            Ok(()) => {
                if self.links.contains(&path) {
                    self.links.insert(parts.join(&b'/'));
                }
                match self.options.added {
                    true => self.shared_attributes(member, name, parent).map_err(refusal(member)),
                    false => Ok(()),
                }
            }
            Err(Errno::NOENT | Errno::NOTDIR) => Err(UnpackError::NoTarget { entry, target }),
            Err(fault) => Err(refusal(member)(fault.into())),
        }
    }

    fn finish(self) -> Result<Unpacked, UnpackError> {
        for (path, mtime) in self.times {
            // A later entry of this archive may have replaced the directory.
            let Ok(parent) = self.root.existing(&path) else { continue };
            open_directory(parent.as_fd(), b"")
                .and_then(|fd| Ok(fs::futimens(&fd, &times(mtime))?))
                .map_err(|cause| UnpackError::Write { entry: printable(&path), cause })?;
        }
        Ok(self.done)
    }
}

/// Makes a file (and opens it), a symbolic link or a named pipe at a name that must be free.
fn make(member: &Member, name: &[u8], parent: &OwnedFd) -> Result<Option<OwnedFd>, Errno> {
    let private = Mode::from_raw_mode(0o600);
    match member.kind {
        Kind::Symlink => fs::symlinkat(&member.link[..], parent, name).map(|()| None),
        Kind::Fifo => fs::mknodat(parent, name, FileType::Fifo, private, 0).map(|()| None),
        _ => {
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            fs::openat(parent, name, flags, private).map(Some)
        }
    }
}

fn refusal(member: &Member) -> impl Fn(io::Error) -> UnpackError + '_ {
    |cause| UnpackError::Write { entry: member.display(), cause }
}

#[cfg(test)]
mod tests;
