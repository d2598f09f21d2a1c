//! Whatever a tar says, also over what it has left there before, nothing is written beside the root.

use std::{fs, os::unix::fs::MetadataExt as _};

use touchmark_builder::layer::{UnpackOptions, unpack};

/// Tries one input.
pub fn run(tar: &[u8]) {
    let tar = super::checksums::repair(tar);
    let outer = tempfile::tempdir().expect("a scratch directory");
    let root = outer.path().join("a/b/root");
    fs::create_dir_all(&root).expect("own directory");
    let beside = outer.path().join("a/b/beside");
    fs::write(&beside, "as it was").expect("own file");
    let own = fs::metadata(&beside).expect("own file");
    let ids = u16::try_from(own.uid()).ok().zip(u16::try_from(own.gid()).ok());
    let owner = ids.map(|(uid, gid)| (uid.into(), gid.into()));
    let options = UnpackOptions { max_bytes: 1 << 20, owner, ..UnpackOptions::default() };
    for _ in 0..2 {
        let _ = unpack(&tar[..], &root, options);
    }
    for (folder, expected) in [("", &["a"][..]), ("a", &["b"]), ("a/b", &["beside", "root"])] {
        let names = fs::read_dir(outer.path().join(folder)).expect("still there");
        let mut names: Vec<_> = names.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, expected, "something was written outside the root");
    }
    let after = fs::metadata(&beside).expect("still there");
    assert_eq!(fs::read(&beside).expect("still there"), b"as it was");
    assert_eq!(
        (after.mode(), after.nlink(), after.ctime_nsec()),
        (own.mode(), 1, own.ctime_nsec())
    );
}
