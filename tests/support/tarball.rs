//! Layers as tars, written entry by entry. Names go into the header as they are, also hostile ones.

use tar::{EntryType, Header};

/// A tar under construction.
pub struct Tarball {
    builder: tar::Builder<Vec<u8>>,
}

impl Tarball {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { builder: tar::Builder::new(Vec::new()) }
    }

    fn entry(mut self, kind: EntryType, name: &str, mode: u32, link: &str, data: &[u8]) -> Self {
        if name.len() > 100 || link.len() > 100 {
            self.pax(&[("path", name.as_bytes()), ("linkpath", link.as_bytes())]);
        }
        let mut header = Header::new_ustar();
        // Written by hand: the library's setters refuse `..` and absolute names, which is what we want here.
        let short = &name.as_bytes()[..name.len().min(100)];
        header.as_old_mut().name[..short.len()].copy_from_slice(short);
        let short = &link.as_bytes()[..link.len().min(100)];
        header.as_old_mut().linkname[..short.len()].copy_from_slice(short);
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.builder.append(&header, data).expect("a tar in memory");
        self
    }

    fn pax(&mut self, records: &[(&str, &[u8])]) {
        let filled = records.iter().filter(|(_, value)| !value.is_empty());
        self.builder
            .append_pax_extensions(filled.map(|(key, value)| (*key, *value)))
            .expect("a tar in memory");
    }

    /// A directory.
    #[must_use]
    pub fn dir(self, name: &str, mode: u32) -> Self {
        self.entry(EntryType::Directory, name, mode, "", &[])
    }

    /// A file.
    #[must_use]
    pub fn file(self, name: &str, mode: u32, data: impl AsRef<[u8]>) -> Self {
        self.entry(EntryType::Regular, name, mode, "", data.as_ref())
    }

    /// A file with an extended attribute.
    #[must_use]
    pub fn file_with_xattr(
        mut self,
        name: &str,
        mode: u32,
        data: &[u8],
        key: &str,
        value: &[u8],
    ) -> Self {
        self.pax(&[(&format!("SCHILY.xattr.{key}"), value)]);
        self.file(name, mode, data)
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, 0o777, target, &[])
    }

    /// A hard link.
    #[must_use]
    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name, 0o644, target, &[])
    }

    /// The tar's bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.builder.into_inner().expect("a tar in memory")
    }
}

impl Default for Tarball {
    fn default() -> Self {
        Self::new()
    }
}
