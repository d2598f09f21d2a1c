//! The file operation of COPY, ADD and WORKDIR on a mounted root, as BuildKit does it:
//!
//! - a directory gives its contents, a file its name when the destination is a directory or ends in
//!   `/`, else it becomes the destination;
//! - links in the destination's path are followed inside the root; an entry that stands where a file
//!   is copied to is replaced, a directory is not;
//! - missing directories above the destination are made with mode 0755 (or an octal `--chmod`'s) and
//!   belong to `--chown`'s owner or root; the destination itself keeps its mode, directories below it
//!   take the source's;
//! - a directory takes the source's time, except one that is there only for what was selected in it;
//! - each source looks at the destination anew, so that of two files for one name the last stays;
//! - links in the source are kept, except one that is named itself;
//! - hard links are kept inside one source.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    archive::{is_archive, unpack_into},
    chmod::Chmod,
    context::SourceRoot,
    destination::{Destination, Facts, Made, not_a_directory},
    error::SourceError,
    path::{clean, text},
    rooted::{Kind, Meta},
    selection::{Picked, Picks, Selection},
    target::Target,
    tree_digest::entry_xattrs,
    walk::{Entry, Visitor, walk},
};
use crate::layer::UnpackOptions;

/// What to copy, where to, and what it becomes.
#[derive(Debug, Clone, Default)]
pub struct CopySpec {
    /// The sources.
    pub selection: Selection,
    /// Absolute path in the image; ends in `/` when it must be a directory.
    pub dest: String,
    /// `--chown`: ids in the image.
    pub owner: Option<(u32, u32)>,
    /// `--chmod`.
    pub chmod: Option<Chmod>,
    /// ADD: unpack local archives.
    pub unpack: bool,
    /// What is added to an id of the image on disk.
    pub shift: u32,
    /// Time of files that are given in the Dockerfile; seconds since 1970.
    pub epoch: i64,
}

/// What a copy did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Regular files written, hard links included.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Wildcard sources that matched nothing: no error, as in BuildKit, but worth a warning.
    pub unmatched: Vec<String>,
}

/// Copies what `spec` selects in `source` into the mounted root `target`.
///
/// A source that others may write to is a look at it ([`Context::at`](super::context::Context::at)): what is
/// copied is then what the digest of the same look was made of, or an error.
///
/// # Errors
/// See [`SourceError`]; the target may be half written then.
pub fn copy(
    source: &SourceRoot<'_>,
    spec: &CopySpec,
    target: &Path,
) -> Result<Copied, SourceError> {
    copy_to(source, spec, &Target::open(target, spec.shift)?)
}

/// Copies what `spec` selects in `source` to any destination.
pub(super) fn copy_to(
    source: &SourceRoot<'_>,
    spec: &CopySpec,
    target: &dyn Destination,
) -> Result<Copied, SourceError> {
    let Picks { picked, unmatched, exclude } = spec.selection.pick(source)?;
    let copied = Copied { unmatched, ..Copied::default() };
    let mut copier = Copier {
        source,
        target,
        spec,
        dest: PathBuf::new(),
        first_link: HashMap::new(),
        made: Vec::new(),
        copied,
        entries: 0,
    };
    for pick in &picked {
        let meta = source.meta(&pick.path)?;
        if spec.unpack && meta.kind == Kind::File && is_archive(source, &pick.path)? {
            copier.unpack(pick)?;
            continue;
        }
        copier.prepare(&pick.named, meta.is_dir())?;
        copier.first_link.clear();
        copier.entries = 0;
        walk(source, &pick.path, &pick.filter(&exclude), &mut copier)?;
        copier.check_required(pick)?;
    }
    for (name, contents) in &spec.selection.inline {
        copier.prepare(Path::new(name), false)?;
        copier.inline(name, contents)?;
    }
    Ok(copier.copied)
}

/// WORKDIR: makes the directory and what is missing above it, with mode 0755 and this owner (ids in
/// the image; root without). A directory that is there stays as it is.
///
/// # Errors
/// When something else stands in the way, or the system refuses.
pub fn make_dir(
    target: &Path,
    path: &str,
    owner: Option<(u32, u32)>,
    shift: u32,
) -> Result<(), SourceError> {
    let target = Target::open(target, shift)?;
    let path = target.resolve(&clean(&format!("/{path}")))?;
    target.ensure_dir(&path, Made { owner: owner.unwrap_or_default(), mode: 0o755 })
}

struct Copier<'a> {
    source: &'a SourceRoot<'a>,
    target: &'a dyn Destination,
    spec: &'a CopySpec,
    /// Where the current source goes, links resolved.
    dest: PathBuf,
    /// Path in the target of the first link to an inode of the source.
    first_link: HashMap<(u64, u64), PathBuf>,
    /// For each open directory: did this copy make it?
    made: Vec<bool>,
    copied: Copied,
    entries: u64,
}

impl Copier<'_> {
    /// Finds where a source of this name goes, and makes the directories for it.
    fn prepare(&mut self, named: &Path, is_dir: bool) -> Result<(), SourceError> {
        let made = self.parents();
        let written = &self.spec.dest;
        let slash = written.ends_with('/') || written.ends_with("/.");
        let cleaned = clean(&format!("/{written}"));
        let mut dest = self.target.resolve(&cleaned)?;
        if slash {
            self.target.ensure_dir(&dest, made)?;
        }
        let there = self.target.lstat(&dest)?;
        match there {
            Some(meta) if meta.is_dir() && !is_dir => {
                dest.push(named.file_name().unwrap_or_default());
            }
            Some(meta) if !meta.is_dir() && is_dir => return Err(not_a_directory(&dest)),
            _ => {}
        }
        let folder = if is_dir { Some(dest.as_path()) } else { dest.parent() };
        self.target.ensure_dir(folder.unwrap_or(Path::new("")), made)?;
        self.dest = dest;
        Ok(())
    }

    /// Owner and mode of the directories that are missing on the way to the destination.
    fn parents(&self) -> Made {
        let mode = self.spec.chmod.as_ref().map_or(0o755, Chmod::of_parents);
        Made { owner: self.spec.owner.unwrap_or_default(), mode }
    }

    /// ADD: the destination is a directory, made if need be; `--chmod` does not concern an archive.
    fn unpack(&mut self, pick: &Picked) -> Result<(), SourceError> {
        let into = self.target.resolve(&clean(&format!("/{}", self.spec.dest)))?;
        let owner = self.spec.owner.unwrap_or_default();
        self.target.ensure_dir(&into, Made { owner, mode: 0o755 })?;
        let (shift, owner) = (self.spec.shift, self.spec.owner);
        let options = UnpackOptions { shift, owner, added: true, ..UnpackOptions::default() };
        let on_disk = self.target.on_disk(&into)?;
        if let Some(done) = unpack_into(self.source, &pick.path, &on_disk, options)? {
            self.copied.files += done.entries;
            self.copied.bytes += done.bytes;
        }
        Ok(())
    }

    /// `--parents` without wildcards must have found something.
    fn check_required(&self, pick: &Picked) -> Result<(), SourceError> {
        let required = pick.include.as_ref().is_some_and(|(_, required)| *required);
        if required && self.entries == 0 {
            let (pattern, place) = (pick.pattern.clone(), self.source.place().to_owned());
            return Err(SourceError::NotFound { pattern, place });
        }
        Ok(())
    }

    fn inline(&mut self, name: &str, contents: &[u8]) -> Result<(), SourceError> {
        let dest = self.dest.clone();
        self.target.clear(&dest, Path::new(name))?;
        let facts = Facts {
            owner: self.spec.owner.unwrap_or_default(),
            mode: self.mode(0o644, false),
            mtime: Some((self.spec.epoch, 0)),
            xattrs: Vec::new(),
        };
        self.target.write(&dest, contents, &facts)?;
        self.copied.files += 1;
        self.copied.bytes += contents.len() as u64;
        Ok(())
    }

    /// The path in the target of an entry.
    fn place(&self, entry: &Entry<'_>) -> PathBuf {
        match entry.rel.as_os_str().is_empty() {
            true => self.dest.clone(),
            false => self.dest.join(entry.rel),
        }
    }

    fn mode(&self, mode: u32, is_dir: bool) -> u32 {
        self.spec.chmod.as_ref().map_or(mode, |chmod| chmod.apply(mode, is_dir))
    }

    fn facts(&self, entry: &Entry<'_>, meta: &Meta) -> Result<Facts, SourceError> {
        let xattrs = match meta.kind {
            Kind::Link => Vec::new(),
            _ => entry_xattrs(self.source, entry)?,
        };
        Ok(Facts {
            owner: self.spec.owner.unwrap_or_else(|| self.source.owner(meta.uid, meta.gid)),
            mode: self.mode(meta.mode, meta.is_dir()),
            mtime: Some(meta.mtime),
            xattrs,
        })
    }

    fn file(&mut self, entry: &Entry<'_>, place: &Path) -> Result<(), SourceError> {
        self.copied.files += 1;
        if entry.meta.links > 1 {
            if let Some(first) = self.first_link.get(&entry.meta.inode) {
                return self.target.hard_link(first, place);
            }
            self.first_link.insert(entry.meta.inode, place.to_owned());
        }
        let facts = |meta: &Meta| self.facts(entry, meta);
        let bytes = self.target.file(place, (self.source, entry), &facts)?;
        self.copied.bytes += bytes;
        Ok(())
    }
}

impl Visitor for Copier<'_> {
    fn enter(&mut self, entry: &Entry<'_>) -> Result<(), SourceError> {
        if entry.rel.as_os_str().is_empty() {
            self.made.push(false);
            return Ok(());
        }
        self.entries += 1;
        let place = self.place(entry);
        let there = self.target.lstat(&place)?;
        match there {
            None => self.target.make_dir(&place)?,
            Some(meta) if !meta.is_dir() => return Err(not_a_directory(&place)),
            // BuildKit gives a directory on the way to a selected file the source's mode.
            Some(_) if !entry.selected => self.target.chmod(&place, entry.meta.mode)?,
            Some(_) => {}
        }
        self.made.push(there.is_none());
        Ok(())
    }

    fn leaf(&mut self, entry: &Entry<'_>) -> Result<(), SourceError> {
        self.entries += 1;
        let place = self.place(entry);
        self.target.clear(&place, entry.path)?;
        match entry.meta.kind {
            Kind::File => return self.file(entry, &place),
            Kind::Link => {
                let to = entry.link(self.source)?;
                self.target.symlink(&place, &to)?;
            }
            Kind::Fifo => self.target.fifo(&place)?,
            Kind::Device | Kind::Socket | Kind::Directory => {
                let path = text(entry.path).into_owned();
                return Err(SourceError::Unsupported { path, kind: "device" });
            }
        }
        let facts = self.facts(entry, entry.meta)?;
        self.target.set_facts(&place, &facts, entry.meta.kind == Kind::Link)
    }

    fn leave(&mut self, entry: &Entry<'_>) -> Result<(), SourceError> {
        let made = self.made.pop().unwrap_or(false);
        let place = self.place(entry);
        if entry.rel.as_os_str().is_empty() {
            // The context's own folder has no time for BuildKit, which makes one to receive it.
            let is_context = self.source.owner_shift.is_none() && entry.path.as_os_str().is_empty();
            return if is_context {
                Ok(())
            } else {
                self.target.set_mtime(&place, entry.meta.mtime)
            };
        }
        let mut facts = self.facts(entry, entry.meta)?;
        if !entry.selected {
            facts.mtime = None;
        }
        if made || entry.selected {
            self.target.set_facts(&place, &facts, false)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
