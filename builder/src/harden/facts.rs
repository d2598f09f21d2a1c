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
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) index: LayerIndex,
    pub(super) programs: BTreeMap<usize, Program>,
    pub(super) contents: BTreeMap<usize, Vec<u8>>,
    /// What of it the caller wants too, as far as it is not among `contents`.
    pub(super) extra: BTreeMap<usize, Vec<u8>>,
    /// Something that the caller wants is too large to be kept.
    pub(super) incomplete: bool,
}

/// Which contents the caller wants beside those that hardening needs, by path.
pub type Wanted = fn(&str) -> bool;

impl Facts {
    /// Reads an uncompressed layer to its end.
    pub(super) fn of(archive: impl Read, wanted: Wanted) -> Result<Self, ScanError> {
        let mut gathering = Gathering { facts: Self::default(), wanted };
        let index = scan_with(archive, &mut gathering)?;
        Ok(Self { index, ..gathering.facts })
    }
}

struct Gathering {
    facts: Facts,
    wanted: Wanted,
}

impl Visitor for Gathering {
    fn file(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), ScanError> {
        let Some(position) = entry.position else { return Ok(()) };
        if packages::is_database(&entry.path) || is_loader_configuration(&entry.path) {
            self.facts.contents.insert(position, read_whole(entry, content, MAX_DATABASE)?);
            return Ok(());
        }
        let is_wanted = (self.wanted)(&entry.path);
        let fits = entry.size <= MAX_DATABASE;
        self.facts.incomplete |= is_wanted && !fits;
        let failed = |cause: io::Error| ScanError::Content { entry: entry.path.clone(), cause };
        let program = if is_wanted && fits {
            let bytes = read_whole(entry, content, MAX_DATABASE)?;
            let program = program::probe(&mut &bytes[..]).map_err(failed)?;
            self.facts.extra.insert(position, bytes);
            program
        } else {
            program::probe(content).map_err(failed)?
        };
        self.facts.programs.extend(program.map(|program| (position, program)));
        Ok(())
    }
}

/// Files that name library directories, of glibc and of musl.
pub(super) fn is_loader_configuration(path: &str) -> bool {
    path == "etc/ld.so.conf"
        || (path.starts_with("etc/ld.so.conf.d/") && path.ends_with(".conf"))
        || (path.starts_with("etc/ld-musl-") && path.ends_with(".path"))
}
