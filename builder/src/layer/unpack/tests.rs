use std::{fs as std_fs, os::unix::fs::MetadataExt as _};

use super::*;
use crate::layer::emit::ArchiveWriter;

fn file(path: &str, content: &'static str) -> (Member, &'static str) {
    let mut member = Member::new(path, Kind::File, 0o644);
    member.size = content.len() as u64;
    (member, content)
}

fn link(kind: Kind, path: &str, target: &str) -> (Member, &'static str) {
    let mut member = Member::new(path, kind, 0o777);
    member.link = target.into();
    (member, "")
}

fn archive(members: &[(Member, &str)]) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new());
    for (member, content) in members {
        writer.append(member, content.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

/// Owner 0 of the layer becomes whoever runs the test.
fn options() -> UnpackOptions {
    UnpackOptions { shift: rustix::process::geteuid().as_raw(), ..UnpackOptions::default() }
}

fn into(root: &Path, members: &[(Member, &str)]) -> Result<Unpacked, UnpackError> {
    unpack(&archive(members)[..], root, options())
}

/// Paths below `root`, sorted; directories end with a slash.
fn listing(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in std_fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(root).unwrap().display().to_string();
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
                found.push(name + "/");
            } else {
                found.push(name);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_kind_lands_with_its_metadata() {
    let root = tempfile::tempdir().unwrap();
    let mut directory = Member::new("opt/", Kind::Directory, 0o1751);
    directory.mtime = Mtime { seconds: 1_000, nanos: 7 };
    let mut program = file("/opt/run", "#!x");
    program.0.mode = 0o4755;
    program.0.mtime = Mtime { seconds: 2_000, nanos: 500_000_000 };
    program.0.xattrs.insert("user.note".into(), b"a\nb".to_vec());
    program.0.xattrs.insert("security.selinux".into(), b"label".to_vec());
    let mut null = Member::new("dev/null", Kind::Char, 0o666);
    null.device = (1, 3);
    let members = [
        (directory, ""),
        program,
        link(Kind::Hardlink, "opt/second", "opt/run"),
        link(Kind::Symlink, "opt/third", "/opt/run"),
        (Member::new("opt/pipe", Kind::Fifo, 0o620), ""),
        (null, ""),
        link(Kind::Hardlink, "dev/zero", "/dev/null"),
    ];
    let done = into(root.path(), &members).unwrap();
    assert_eq!(done, Unpacked { entries: 7, bytes: 3, devices: 1 });
    assert_eq!(
        listing(root.path()),
        ["dev/", "opt/", "opt/pipe", "opt/run", "opt/second", "opt/third"]
    );
    let stat = |path: &str| std_fs::symlink_metadata(root.path().join(path)).unwrap();
    let run = stat("opt/run");
    assert_eq!((run.mode() & 0o7777, run.mtime(), run.mtime_nsec()), (0o4755, 2_000, 500_000_000));
    assert_eq!(run.ino(), stat("opt/second").ino());
    assert_eq!((stat("opt").mode() & 0o7777, stat("opt").mtime()), (0o1751, 1_000));
    assert_eq!(stat("opt/pipe").mode() & 0o7777, 0o620);
    assert_eq!(std_fs::read_link(root.path().join("opt/third")).unwrap(), Path::new("/opt/run"));
    let note = xattr::get(root.path().join("opt/run"), "user.note").unwrap();
    assert_eq!(note.as_deref(), Some(&b"a\nb"[..]));
}

#[test]
fn a_later_entry_replaces_what_is_there() {
    let root = tempfile::tempdir().unwrap();
    let lower = [
        file("a", "old"),
        file("b/x", ""),
        file("b/y/z", ""),
        link(Kind::Symlink, "c", "a"),
        file("d/kept", ""),
    ];
    into(root.path(), &lower).unwrap();
    let upper = [
        (Member::new("a", Kind::Directory, 0o755), ""),
        file("b", "now a file"),
        file("c", "now a file"),
        (Member::new("d", Kind::Directory, 0o700), ""),
    ];
    into(root.path(), &upper).unwrap();
    assert_eq!(listing(root.path()), ["a/", "b", "c", "d/", "d/kept"]);
    assert_eq!(std_fs::read_to_string(root.path().join("c")).unwrap(), "now a file");
}

#[test]
fn links_of_lower_layers_lead_inside_the_root() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    std_fs::create_dir_all(root.join("usr/bin")).unwrap();
    std_fs::create_dir(outer.path().join("victim")).unwrap();
    let lower = [
        link(Kind::Symlink, "bin", "usr/bin"),
        link(Kind::Symlink, "up", "../victim"),
        link(Kind::Symlink, "top", outer.path().join("victim").to_str().unwrap()),
        (Member::new("victim", Kind::Directory, 0o755), ""),
    ];
    into(&root, &lower).unwrap();
    into(&root, &[file("bin/tool", ""), file("up/x", "")]).unwrap();
    assert!(root.join("usr/bin/tool").exists() && root.join("victim/x").exists());
    let fault = into(&root, &[file("top/x", "")]).unwrap_err();
    assert_eq!(fault.to_string(), "entry 'top/x' cannot be unpacked: File exists (os error 17)");
    assert_eq!(listing(&outer.path().join("victim")), Vec::<String>::new());
}

#[test]
fn a_thousand_deep_path_is_unpacked_and_replaced() {
    let root = tempfile::tempdir().unwrap();
    let deep = "d/".repeat(1_000);
    into(root.path(), &[file(&(deep.clone() + "x"), "deep")]).unwrap();
    let relative = Path::new(&deep).join("x");
    assert_eq!(std_fs::read_to_string(root.path().join(&relative)).unwrap(), "deep");
    into(root.path(), &[file("d", "shallow")]).unwrap();
    assert_eq!(listing(root.path()), ["d"]);
}

#[test]
fn whiteouts_remove_from_a_merged_root() {
    let root = tempfile::tempdir().unwrap();
    into(root.path(), &[file("a/one", ""), file("a/two", ""), file("b/x/y", ""), file("c", "")])
        .unwrap();
    let upper = [
        file("a/new/deep", ""),
        file("a/.wh..wh..opq", ""),
        file("b/.wh.x", ""),
        file("c", "new"),
        file(".wh.c", ""),
        file(".wh.missing", ""),
    ];
    into(root.path(), &upper).unwrap();
    assert_eq!(listing(root.path()), ["a/", "a/new/", "a/new/deep", "b/", "c"]);
}

#[test]
fn whiteouts_become_overlay_marks_in_an_upper_directory() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: a 0:0 device needs root, here or in a user namespace");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let upper = [
        file("a/.wh..wh..opq", ""),
        file("a/new", ""),
        file(".wh.gone", ""),
        file(".wh.again", ""),
        (Member::new("again", Kind::Directory, 0o755), ""),
    ];
    let options = UnpackOptions { whiteouts: Whiteouts::Overlay, ..options() };
    unpack(&archive(&upper)[..], root.path(), options).unwrap();
    let gone = std_fs::symlink_metadata(root.path().join("gone")).unwrap();
    assert_eq!((gone.mode() & 0o170_000, gone.rdev()), (0o020_000, 0));
    for path in ["a", "again"] {
        let mark = xattr::get(root.path().join(path), "user.overlay.opaque").unwrap();
        assert_eq!(mark.as_deref(), Some(&b"y"[..]), "{path}");
    }
}

#[test]
fn owners_are_shifted_and_capabilities_follow() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let mut member = file("ping", "");
    (member.0.uid, member.0.gid) = (0, 42);
    let mut value = vec![1, 0, 0, 2];
    value.resize(20, 0);
    value[5] = 0x20;
    member.0.xattrs.insert("security.capability".into(), value.clone());
    let options = UnpackOptions { shift: 1, ..UnpackOptions::default() };
    unpack(&archive(&[member])[..], root.path(), options).unwrap();
    let path = root.path().join("ping");
    let stat = std_fs::metadata(&path).unwrap();
    assert_eq!((stat.uid(), stat.gid()), (1, 43));
    let disk = xattr::get(&path, "security.capability").unwrap().unwrap();
    assert_eq!(capability::to_layer(&disk, 1), Some(value));
}

use super::super::capability;

#[test]
fn each_hostile_entry_has_its_message() {
    let mut owner = file("f", "");
    owner.0.uid = 70_000;
    let mut overlay = file("f", "");
    overlay.0.xattrs.insert("user.overlay.redirect".into(), b"/etc".to_vec());
    let mut capability = file("f", "");
    capability.0.xattrs.insert("security.capability".into(), vec![1, 0, 0, 3]);
    let through = || link(Kind::Symlink, "x", "/etc");
    let long = "n".repeat(255) + "/";
    let cases: Vec<(Vec<(Member, &str)>, String)> = vec![
        (
            vec![file("../../etc/passwd", "")],
            "entry '../../etc/passwd' is refused: its path climbs with '..'".into(),
        ),
        (
            vec![file("/a/../../b", "")],
            "entry '/a/../../b' is refused: its path climbs with '..'".into(),
        ),
        (
            vec![through(), file("x/passwd", "")],
            "entry 'x/passwd' is refused: 'x/passwd' leads through 'x', a symbolic link that this \
             layer itself makes"
                .into(),
        ),
        (
            vec![through(), link(Kind::Hardlink, "y", "x"), file("y/passwd", "")],
            "entry 'y/passwd' is refused: 'y/passwd' leads through 'y', a symbolic link that this \
             layer itself makes"
                .into(),
        ),
        (
            vec![through(), link(Kind::Hardlink, "shadow", "x/shadow")],
            "entry 'shadow' is refused: 'x/shadow' leads through 'x', a symbolic link that this \
             layer itself makes"
                .into(),
        ),
        (
            vec![link(Kind::Hardlink, "a", "../../etc/passwd")],
            "entry 'a' is refused: it is a hard link to '../../etc/passwd', and its path climbs \
             with '..'"
                .into(),
        ),
        (
            vec![link(Kind::Hardlink, "a", "/etc/passwd")],
            "entry 'a' is a hard link to '/etc/passwd', which is not in the image".into(),
        ),
        (vec![owner], "entry 'f' belongs to id 70000; ids above 65535 cannot be mapped".into()),
        (
            vec![overlay],
            "entry 'f' is refused: its attribute 'user.overlay.redirect' belongs to overlayfs"
                .into(),
        ),
        (
            vec![capability],
            "entry 'f' is refused: its attribute 'security.capability' is not a file capability \
             of revision 2"
                .into(),
        ),
        (
            vec![file(&long.repeat(17), "")],
            format!("entry '{}…' is refused: its path is longer than 4095 bytes", "n".repeat(200)),
        ),
        (
            vec![file("f", ""), file("f/x", "")],
            "entry 'f/x' cannot be unpacked: Not a directory (os error 20)".into(),
        ),
        (
            vec![file(".wh...", "")],
            "entry '.wh...' cannot be unpacked: the whiteout names nothing".into(),
        ),
    ];
    for (members, message) in cases {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(into(root.path(), &members).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_bomb_is_stopped() {
    let root = tempfile::tempdir().unwrap();
    let options = UnpackOptions { max_bytes: 5, ..options() };
    let bytes = archive(&[file("a", "1234"), file("b", "5678")]);
    let fault = unpack(&bytes[..], root.path(), options).unwrap_err();
    assert_eq!(fault.to_string(), "the layer unpacks to more than 5 bytes, at entry 'b'");
}

#[test]
fn a_truncated_content_is_said() {
    let root = tempfile::tempdir().unwrap();
    let bytes = archive(&[file("a", "1234")]);
    let fault = unpack(&bytes[..514], root.path(), options()).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "the layer cannot be read: the archive ends in the middle of 'a': it is truncated"
    );
}
