//! Takes the certificate out of what a step wrote: out of bundles that were made anew, out of Java's lists, and every
//! link that leads to it. What it cannot be taken out of is not kept.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{TrustError, java_store, lower::set_time, needle::Needle, pem, places::ANCHOR};

/// The certificate that must not stay.
#[derive(Debug)]
pub(super) struct Scrub<'a> {
    pub(super) certificate: &'a [u8],
    pub(super) name: &'a str,
    pub(super) needle: &'a Needle,
}

/// Files that it can be taken out of are read whole, up to this size; larger ones are only looked through.
const WHOLE: u64 = 64 << 20;
/// No certificate is smaller.
const SMALLEST: u64 = 128;
const PIECE: usize = 256 << 10;

impl Scrub<'_> {
    /// Cleans everything below `upper` and returns the files that were changed, relative to it.
    pub(super) fn clean(&self, upper: &Path) -> Result<Vec<PathBuf>, TrustError> {
        let mut changed = Vec::new();
        let mut buffer = vec![0; PIECE];
        let mut pending = vec![PathBuf::new()];
        while let Some(directory) = pending.pop() {
            let own = upper.join(&directory);
            let listed = fs::read_dir(&own).map_err(TrustError::file(&own))?;
            for entry in listed {
                let entry = entry.map_err(TrustError::file(&own))?;
                let (path, own) = (directory.join(entry.file_name()), entry.path());
                let kind = entry.file_type().map_err(TrustError::file(&own))?;
                if kind.is_dir() {
                    pending.push(path);
                } else if kind.is_symlink() {
                    self.link(&own).map_err(TrustError::file(&own))?;
                } else if kind.is_file()
                    && self.holds(&own, &mut buffer).map_err(TrustError::file(&own))?
                {
                    self.file(&own, &path)?;
                    changed.push(path);
                }
            }
        }
        Ok(changed)
    }

    /// Removes a link that is named after the anchor or leads to it.
    fn link(&self, own: &Path) -> io::Result<()> {
        let target = fs::read_link(own)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        if name.contains(ANCHOR) { fs::remove_file(own) } else { Ok(()) }
    }

    /// Is the certificate anywhere in the file?
    fn holds(&self, own: &Path, buffer: &mut [u8]) -> io::Result<bool> {
        let mut file = File::open(own)?;
        if file.metadata()?.len() < SMALLEST {
            return Ok(false);
        }
        let mut kept = 0;
        loop {
            let length = file.read(&mut buffer[kept..])?;
            if length == 0 {
                return Ok(false);
            }
            let filled = kept + length;
            if self.needle.is_in(&buffer[..filled]) {
                return Ok(true);
            }
            kept = filled.min(Needle::OVERLAP);
            buffer.copy_within(filled - kept..filled, 0);
        }
    }

    fn file(&self, own: &Path, path: &Path) -> Result<(), TrustError> {
        let left = || TrustError::Left { path: path.to_owned() };
        let before = fs::symlink_metadata(own).map_err(TrustError::file(own))?;
        if before.size() > WHOLE {
            return Err(left());
        }
        let content = fs::read(own).map_err(TrustError::file(own))?;
        let clean = java_store::without(&content, self.certificate)
            .unwrap_or_else(|| pem::without(&content, self.certificate, self.name));
        if self.needle.is_in(&clean) {
            return Err(left());
        }
        let write = || match clean.trim_ascii().is_empty() {
            true => fs::remove_file(own),
            false => {
                // In place: other names of the same file stay such.
                fs::write(own, &clean)?;
                set_time(own, &before)
            }
        };
        write().map_err(TrustError::file(own))
    }
}
