//! The archive of a layout: the same bytes as packing the directory of an overlay into which the same was
//! copied (`layer::pack`). Only what is new is written, with the directories above it.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{
    super::{context::SourceRoot, error::SourceError, rooted::Kind, rooted::Meta, steady},
    Content, Inode, Layout,
    below::{Laid, Seen, key},
    unsuited,
};
use crate::{
    layer::{
        emit::ArchiveWriter,
        member::{self, CAPABILITY_XATTR, Member, Mtime, WHITEOUT_PREFIX},
    },
    oci::digest::{Digest, Hashing},
};

struct Writer<'a, W: Write> {
    source: &'a SourceRoot<'a>,
    shift: u32,
    epoch: i64,
    archive: ArchiveWriter<W>,
    laid: Laid,
    /// Path in the archive of each file with more than one name.
    links: HashMap<usize, PathBuf>,
    /// The directories above the current path, and whether they were written.
    above: Vec<(PathBuf, Member, Meta, bool)>,
}

impl Layout {
    /// Writes the layer's archive, whose files are read from `source` now. No time in it is later than
    /// `epoch`. Returns the stream and what the layer holds.
    ///
    /// # Errors
    /// The stream fails; a file changed since it was listed; or only a snapshot can tell what is new.
    pub fn write<W: Write>(
        self,
        source: &SourceRoot<'_>,
        epoch: i64,
        out: W,
    ) -> Result<(W, Laid), SourceError> {
        let state = self.state.into_inner();
        let mut writer = Writer {
            source,
            shift: self.shift,
            epoch,
            archive: ArchiveWriter::new(out),
            laid: Laid::default(),
            links: HashMap::new(),
            above: Vec::new(),
        };
        for (name, number) in &state.names {
            let name: Vec<u8> = name.iter().map(|b| if *b == 0 { b'/' } else { *b }).collect();
            let path = Path::new(OsStr::from_bytes(&name));
            let file_name = path.file_name().map_or(&b""[..], OsStr::as_bytes);
            if file_name.starts_with(WHITEOUT_PREFIX.as_bytes()) {
                return Err(unsuited(path));
            }
            let old = self.below.lstat(path).map_err(SourceError::io("read", path))?;
            writer.entry(path, *number, &state.inodes[*number], old.as_ref())?;
        }
        let out = writer.archive.finish().map_err(SourceError::io("write", "the layer"))?;
        Ok((out, writer.laid))
    }
}

impl<W: Write> Writer<'_, W> {
    fn entry(
        &mut self,
        path: &Path,
        number: usize,
        inode: &Inode,
        old: Option<&Meta>,
    ) -> Result<(), SourceError> {
        self.above.retain(|(directory, ..)| path.starts_with(directory));
        let (member, meta) = (self.member(path, inode), inode.meta());
        let facts = |meta: &Meta| (meta.kind, meta.mode, meta.uid, meta.gid);
        let alike = old.is_some_and(|old| facts(old) == facts(&meta));
        if meta.is_dir() {
            if !alike {
                self.announce()?;
                self.put(path, &member, &meta, Path::new(""))?;
            }
            self.above.push((path.to_owned(), member, meta, !alike));
            return Ok(());
        }
        let time = |meta: &Meta| meta.mtime.0.min(self.epoch).max(0);
        let now = Meta { mtime: (member.mtime.seconds, 0), ..meta };
        if alike && old.is_some_and(|old| (old.size, time(old)) == (now.size, time(&now))) {
            // Whether it is the same, the contents say, which may be anywhere.
            return Err(unsuited(path));
        }
        self.announce()?;
        if inode.names > 1 {
            if let Some(first) = self.links.get(&number) {
                let link = first.as_os_str().as_bytes().to_vec();
                let kind = member::Kind::Hardlink;
                let member = Member { kind, link, size: 0, xattrs: Default::default(), ..member };
                return self.put(path, &member, &meta, Path::new(""));
            }
            self.links.insert(number, path.to_owned());
        }
        match &inode.content {
            Content::File(from, listed, promised) => {
                self.note(path, &member, &meta, Path::new(""));
                self.file(&member, (from, listed), *promised)
            }
            Content::Text(bytes) => {
                self.note(path, &member, &meta, Path::new(""));
                self.append(path, &member, &bytes[..])
            }
            Content::Link(to) => self.put(path, &member, &meta, to),
            Content::Fifo | Content::Directory => self.put(path, &member, &meta, Path::new("")),
        }
    }

    /// Writes a file as it was listed; whoever changes it meanwhile is noticed.
    fn file(
        &mut self,
        member: &Member,
        (from, listed): (&Path, &Meta),
        promised: Option<Digest>,
    ) -> Result<(), SourceError> {
        let io = || SourceError::io("read", self.source.rooted.path().join(from));
        let (file, before) = steady::open(self.source, (from, listed))?;
        if before.kind != Kind::File || !before.same_content(listed) {
            return Err(steady::changed(from));
        }
        let copied = match promised {
            Some(promised) => {
                let mut hashing = Hashing::new(&file);
                self.archive.append(member, &mut hashing).map(|()| hashing.finish().1 == promised)
            }
            None => self.archive.append(member, &file).map(|()| true),
        };
        let copied = copied.map_err(SourceError::io("copy", from))?;
        match copied && steady::facts(&file).map_err(io())?.same_content(listed) {
            true => Ok(()),
            false => Err(steady::changed(from)),
        }
    }

    /// Writes the directories above the current path that are not written yet.
    fn announce(&mut self) -> Result<(), SourceError> {
        for at in 0..self.above.len() {
            if !self.above[at].3 {
                self.above[at].3 = true;
                let (path, member, meta, _) = self.above[at].clone();
                self.put(&path, &member, &meta, Path::new(""))?;
            }
        }
        Ok(())
    }

    /// Writes an entry without content.
    fn put(
        &mut self,
        path: &Path,
        member: &Member,
        meta: &Meta,
        link: &Path,
    ) -> Result<(), SourceError> {
        self.note(path, member, meta, link);
        self.append(path, member, io::empty())
    }

    fn append(
        &mut self,
        path: &Path,
        member: &Member,
        content: impl io::Read,
    ) -> Result<(), SourceError> {
        self.archive.append(member, content).map_err(SourceError::io("write to the layer", path))
    }

    /// Keeps what the layer holds, as who unpacks it finds it.
    fn note(&mut self, path: &Path, member: &Member, meta: &Meta, link: &Path) {
        let meta = Meta { mtime: (member.mtime.seconds, 0), ..*meta };
        self.laid.entries.insert(key(path), Seen { meta, link: link.to_owned() });
    }

    fn member(&self, path: &Path, inode: &Inode) -> Member {
        let kind = match inode.content {
            Content::Directory => member::Kind::Directory,
            Content::Link(_) => member::Kind::Symlink,
            Content::Fifo => member::Kind::Fifo,
            Content::File(..) | Content::Text(_) => member::Kind::File,
        };
        let mut member = Member::new(path.as_os_str().as_bytes(), kind, inode.mode & 0o7777);
        member.uid = u64::from(inode.owner.0.saturating_sub(self.shift));
        member.gid = u64::from(inode.owner.1.saturating_sub(self.shift));
        let seconds = inode.mtime.map_or(self.epoch, |(seconds, _)| seconds.min(self.epoch)).max(0);
        member.mtime = Mtime { seconds, nanos: 0 };
        match &inode.content {
            Content::File(_, meta, _) => member.size = meta.size,
            Content::Text(bytes) => member.size = bytes.len() as u64,
            Content::Link(to) => member.link = to.as_os_str().as_bytes().to_vec(),
            Content::Directory | Content::Fifo => {}
        }
        if let Some(value) = &inode.capability {
            member.xattrs.insert(CAPABILITY_XATTR.into(), value.clone());
        }
        member
    }
}
