//! Which processes wrote snapshots that the disk may not have yet.
//!
//! Bringing every file to the disk would take longer than most steps, so none is (overlayfs's `volatile`,
//! docs/decisions/0074): a process that ends, however it ends, loses nothing by that, a machine that goes down does. A
//! process that is about to write leaves a mark here first, an empty file whose name says who and when. A mark
//! of this boot whose process has ended goes once the file system was synced. One of another boot means that what
//! was written since then cannot be trusted.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::fs::FlockOperation;

use super::ProcessIdentity;

/// The marks of one data directory, seen by one process.
#[derive(Debug)]
pub struct Unsettled {
    marks: PathBuf,
    files: PathBuf,
    marked: OnceLock<()>,
}

/// A process that wrote, or was about to.
struct Mark {
    path: PathBuf,
    process: ProcessIdentity,
    // Seconds since 1970.
    since: i64,
}

/// What was written when the machine went down. While this lives, every other process that asks waits.
#[derive(Debug)]
pub struct Lost {
    /// When the first of those who wrote it began, in seconds since 1970.
    pub since: i64,
    marks: Vec<PathBuf>,
    _alone: File,
}

impl Unsettled {
    /// Marks in the directory `marks`, of what is written below `files`, which are on one file system.
    #[must_use]
    pub fn new(marks: PathBuf, files: PathBuf) -> Self {
        Self { marks, files, marked: OnceLock::new() }
    }

    /// The directory of the marks.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.marks
    }

    /// Has this process its mark already?
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.marked.get().is_some()
    }

    /// Marks the calling process. Afterwards the mark is on the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn mark(&self) -> io::Result<()> {
        if self.is_marked() {
            return Ok(());
        }
        let process = ProcessIdentity::current().map_err(io::Error::other)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        fs::create_dir_all(&self.marks)?;
        File::create(self.marks.join(format!("{process}@{now}")))?;
        File::open(&self.marks)?.sync_all()?;
        let _ = self.marked.set(());
        Ok(())
    }

    /// Brings to the disk what ended processes wrote, and removes their marks. Without any it does nothing.
    ///
    /// # Errors
    /// When a directory cannot be read, or the disk does not take what was written; then the marks stay.
    pub fn settle(&self) -> io::Result<()> {
        let ended = |mark: &Mark| mark.process.is_of_this_boot() && !mark.process.is_alive();
        // Listed before the disk is asked: who ends meanwhile may have written since.
        let ended: Vec<Mark> = self.list()?.into_iter().filter(ended).collect();
        if ended.is_empty() {
            return Ok(());
        }
        rustix::fs::syncfs(File::open(&self.files)?)?;
        ended.iter().for_each(|mark| drop(fs::remove_file(&mark.path)));
        Ok(())
    }

    /// What was not settled when the machine went down, if anything.
    ///
    /// # Errors
    /// When the marks cannot be read or locked.
    pub fn lost(&self) -> io::Result<Option<Lost>> {
        if !self.has_lost()? {
            return Ok(None);
        }
        let alone = File::create(self.marks.join("lock"))?;
        while let Err(errno) = rustix::fs::flock(&alone, FlockOperation::LockExclusive) {
            if errno != rustix::io::Errno::INTR {
                return Err(errno.into());
            }
        }
        // Another process may have dealt with them meanwhile.
        let marks = self.earlier()?;
        let since = marks.iter().map(|mark| mark.since).min();
        let marks = marks.into_iter().map(|mark| mark.path).collect();
        Ok(since.map(|since| Lost { since, marks, _alone: alone }))
    }

    /// Is there anything that was not settled when the machine went down?
    ///
    /// # Errors
    /// When the marks cannot be read.
    pub fn has_lost(&self) -> io::Result<bool> {
        Ok(!self.earlier()?.is_empty())
    }

    fn earlier(&self) -> io::Result<Vec<Mark>> {
        let all = self.list()?.into_iter();
        Ok(all.filter(|mark| !mark.process.is_of_this_boot()).collect())
    }

    fn list(&self) -> io::Result<Vec<Mark>> {
        let entries = match fs::read_dir(&self.marks) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        Ok(paths.into_iter().filter_map(Mark::read).collect())
    }
}

impl Mark {
    fn read(path: PathBuf) -> Option<Self> {
        let (process, since) = path.file_name()?.to_str()?.split_once('@')?;
        let (process, since) = (process.parse().ok()?, since.parse().ok()?);
        Some(Self { path, process, since })
    }
}

impl Lost {
    /// Nothing of it is left: the marks go.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn forget(self) -> io::Result<()> {
        self.marks.iter().try_for_each(fs::remove_file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(unsettled: &Unsettled) -> Vec<String> {
        let name = |mark: Mark| mark.path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<_> = unsettled.list().unwrap().into_iter().map(name).collect();
        names.sort();
        names
    }

    fn unsettled(dir: &Path) -> Unsettled {
        Unsettled::new(dir.join("marks"), dir.to_owned())
    }

    #[test]
    fn a_process_marks_itself_once_and_its_mark_stays_while_it_lives() {
        let dir = tempfile::tempdir().unwrap();
        let unsettled = unsettled(dir.path());
        unsettled.settle().unwrap();
        assert!(unsettled.lost().unwrap().is_none());
        unsettled.mark().unwrap();
        unsettled.mark().unwrap();
        unsettled.settle().unwrap();
        let own = format!("{}@", ProcessIdentity::current().unwrap());
        let names = names(&unsettled);
        assert!(names.len() == 1 && names[0].starts_with(&own), "{names:?}");
        assert!(unsettled.lost().unwrap().is_none());
    }

    #[test]
    fn what_an_ended_process_wrote_is_settled() {
        let dir = tempfile::tempdir().unwrap();
        let unsettled = unsettled(dir.path());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let ended = ProcessIdentity::of(child.id()).unwrap();
        child.wait().unwrap();
        fs::create_dir(dir.path().join("marks")).unwrap();
        File::create(dir.path().join(format!("marks/{ended}@17"))).unwrap();
        assert!(unsettled.lost().unwrap().is_none());
        unsettled.settle().unwrap();
        assert!(names(&unsettled).is_empty());
    }

    #[test]
    fn a_mark_of_another_boot_is_what_was_lost_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let unsettled = unsettled(dir.path());
        fs::create_dir(dir.path().join("marks")).unwrap();
        for name in ["7:8:00000000@1700000300", "7:9:00000001@1700000100", "no mark@x", "other"] {
            File::create(dir.path().join("marks").join(name)).unwrap();
        }
        unsettled.settle().unwrap();
        let lost = unsettled.lost().unwrap().unwrap();
        assert_eq!(lost.since, 1_700_000_100);
        lost.forget().unwrap();
        assert!(unsettled.lost().unwrap().is_none());
        assert!(dir.path().join("marks/other").exists());
    }
}
