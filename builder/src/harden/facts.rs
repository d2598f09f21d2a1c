//! What one pass over a layer tells: its index, the programs in it, and the contents of its package
//! databases and loader configuration. All by position in the archive, because a layer may hold a
//! path twice and write it through a linked directory.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use super::{
    packages,
    program::{self, Program},
};
use crate::layer::tree::{Entry, LayerIndex, ScanError, Visitor, read_whole, scan_with};

/// The most that is read of one package database, in bytes.
const MAX_DATABASE: u64 = 64 * 1024 * 1024;

/// An entry by layer number and position in that layer's archive.
pub(super) type Id = (usize, usize);

/// What is known of one layer.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) index: LayerIndex,
    pub(super) programs: BTreeMap<usize, Program>,
    pub(super) contents: BTreeMap<usize, Vec<u8>>,
}

impl Facts {
    /// Reads an uncompressed layer to its end.
    pub(super) fn of(archive: impl Read) -> Result<Self, ScanError> {
        let mut facts = Self::default();
        facts.index = scan_with(archive, &mut facts)?;
        Ok(facts)
    }
}

impl Visitor for Facts {
    fn file(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), ScanError> {
        let Some(position) = entry.position else { return Ok(()) };
        if packages::is_database(&entry.path) || is_loader_configuration(&entry.path) {
            self.contents.insert(position, read_whole(entry, content, MAX_DATABASE)?);
            return Ok(());
        }
        let failed = |cause: io::Error| ScanError::Content { entry: entry.path.clone(), cause };
        if let Some(program) = program::probe(content).map_err(failed)? {
            self.programs.insert(position, program);
        }
        Ok(())
    }
}

/// Files that name library directories, of glibc and of musl.
pub(super) fn is_loader_configuration(path: &str) -> bool {
    path == "etc/ld.so.conf"
        || (path.starts_with("etc/ld.so.conf.d/") && path.ends_with(".conf"))
        || (path.starts_with("etc/ld-musl-") && path.ends_with(".path"))
}
