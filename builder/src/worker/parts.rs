//! The programs that the worker is made of, and their versions. A program is asked for its version once: what
//! it said is kept until the file is another one.

use std::{
    fs,
    io::{Read, Write as _},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use serde::{Deserialize, Serialize};

use super::WorkerConfig;

/// One part that the worker is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The program.
    pub name: &'static str,
    /// Where it was found; `None` when it is not installed.
    pub path: Option<PathBuf>,
    /// The first line of what it says about its version.
    pub version: Option<String>,
}

/// What a program said, and which file said it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    path: PathBuf,
    file: Stamp,
    version: String,
}

/// Device, inode, size, and seconds and nanoseconds of both times: a program that was replaced differs in
/// one of them.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

/// A larger file of versions is not ours, in bytes.
const MAX_KNOWN: u64 = 64 << 10;

/// The programs that the worker is made of, with their versions. Those that were not asked before are, all at
/// once; that takes tens of milliseconds.
#[must_use]
pub fn parts(config: &WorkerConfig) -> Vec<Part> {
    let names = ["containerd", "runc", "rootlesskit", "crun"];
    let file = config.data_dir.join("versions");
    let known = read(&file);
    let found = names.map(|name| (name, config.find_program(name))).into_iter();
    // Takes less time than runc, where it is installed and works; nobody needs it.
    let found: Vec<_> = found.filter(|(name, path)| *name != "crun" || path.is_some()).collect();
    let said: Vec<Option<Said>> = thread::scope(|scope| {
        let ask = |path: &PathBuf| {
            let stamp = stamp(path)?;
            let same = |said: &&Said| said.path == *path && said.file == stamp;
            match known.iter().find(same) {
                Some(said) => Some(Ok(said.clone())),
                None => Some(Err(scope.spawn({
                    let path = path.clone();
                    move || Some(Said { version: first_line(&path)?, path, file: stamp })
                }))),
            }
        };
        let answers = found.iter().map(|(_, path)| path.as_ref().and_then(ask));
        let answers: Vec<_> = answers.collect();
        let wait = |answer| match answer {
            Some(Ok(said)) => Some(said),
            Some(Err(asked)) => asked_at_last(asked),
            None => None,
        };
        answers.into_iter().map(wait).collect()
    });
    let all: Vec<Said> = said.iter().flatten().cloned().collect();
    if all != known {
        write(&file, &all);
    }
    let part = |((name, path), said): ((&'static str, Option<PathBuf>), Option<Said>)| {
        let version = said.map(|said| said.version);
        Part { name, path, version }
    };
    found.into_iter().zip(said).map(part).collect()
}

fn asked_at_last(asked: thread::ScopedJoinHandle<'_, Option<Said>>) -> Option<Said> {
    asked.join().ok().flatten()
}

fn stamp(program: &Path) -> Option<Stamp> {
    let m = fs::metadata(program).ok()?;
    Some((m.dev(), m.ino(), m.size(), (m.mtime(), m.mtime_nsec()), (m.ctime(), m.ctime_nsec())))
}

/// What was said before; a file that is missing or damaged says nothing.
fn read(file: &Path) -> Vec<Said> {
    let mut bytes = Vec::new();
    let open = fs::File::open(file).and_then(|open| open.take(MAX_KNOWN).read_to_end(&mut bytes));
    open.ok().and_then(|_| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Written beside and renamed. What cannot be kept is asked again.
fn write(file: &Path, said: &[Said]) {
    let Some(dir) = file.parent() else { return };
    let write = || -> std::io::Result<()> {
        let mut fresh = tempfile::NamedTempFile::new_in(dir)?;
        fresh.write_all(&serde_json::to_vec(said)?)?;
        fresh.persist(file).map_err(|error| error.error)?;
        Ok(())
    };
    let _ = write();
}

/// The first line that a program prints about its version, at most 4 KiB of it.
fn first_line(program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut text = Vec::new();
    let read = child.stdout.take()?.take(4096).read_to_end(&mut text);
    let _ = child.wait();
    read.ok()?;
    String::from_utf8_lossy(&text).lines().next().map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::WorkerUser;

    #[test]
    fn a_version_is_one_line() {
        assert!(first_line(Path::new("/bin/ls")).unwrap().starts_with("ls "));
        assert_eq!(first_line(Path::new("/nowhere")), None);
    }

    #[test]
    fn a_program_is_asked_once_and_again_when_it_was_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("runc");
        let install = |version: &str| {
            let text =
                format!("#!/bin/sh\necho asked >> {}/log\necho {version}\n", dir.path().display());
            let (source, fresh) = (dir.path().join("text"), dir.path().join("fresh"));
            fs::write(&source, text).unwrap();
            // By another process: a file that this one wrote may still be open in a child of another test.
            let copied =
                Command::new("install").args(["-m", "755"]).args([&source, &fresh]).status();
            assert!(copied.unwrap().success());
            fs::rename(&fresh, &program).unwrap();
        };
        let config = WorkerConfig {
            data_dir: dir.path().into(),
            runtime_dir: dir.path().into(),
            search_path: vec![dir.path().into()],
            containerd: None,
            user: WorkerUser { name: "u".into(), uid: 1 },
        };
        let runc = || parts(&config)[1].version.clone();
        let asked = || fs::read_to_string(dir.path().join("log")).unwrap().lines().count();
        install("1.0");
        assert_eq!((runc(), runc(), asked()), (Some("1.0".into()), Some("1.0".into()), 1));
        install("1.1");
        assert_eq!((runc(), asked()), (Some("1.1".into()), 2));
        fs::write(dir.path().join("versions"), "{").unwrap();
        assert_eq!((runc(), asked()), (Some("1.1".into()), 3));
    }
}
