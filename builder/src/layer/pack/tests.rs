#[path = "overlay.rs"]
mod overlay;

use std::{
    fs as std_fs,
    io::Read as _,
    os::unix::{fs::PermissionsExt as _, fs::symlink, net::UnixListener},
    process::Command,
};

use super::*;
use crate::layer::{archive::Archive, tree, unpack};

fn options() -> PackOptions<'static> {
    let shift = rustix::process::geteuid().as_raw();
    PackOptions { shift, epoch: 1_000, ..PackOptions::default() }
}

fn packed(root: &Path, options: PackOptions) -> Vec<u8> {
    pack(root, options, Vec::new()).unwrap()
}

/// One line per entry: kind, mode, owner, time, path, link or content.
fn lines(archive: &[u8]) -> Vec<String> {
    let mut archive = Archive::new(archive);
    let mut lines = Vec::new();
    while let Some(member) = archive.next().unwrap() {
        let mut content = String::new();
        archive.read_to_string(&mut content).unwrap();
        lines.push(format!(
            "{:?} {:o} {}:{} {} {} {}{}",
            member.kind,
            member.mode,
            member.uid,
            member.gid,
            member.mtime.seconds,
            String::from_utf8(member.path).unwrap(),
            String::from_utf8(member.link).unwrap(),
            content,
        ));
    }
    lines
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

#[test]
fn a_tree_becomes_sorted_clamped_entries() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    std_fs::create_dir_all(at("z/sub")).unwrap();
    std_fs::write(at("z/run"), "#!").unwrap();
    std_fs::set_permissions(at("z/run"), std_fs::Permissions::from_mode(0o2711)).unwrap();
    std_fs::hard_link(at("z/run"), at("z/also")).unwrap();
    symlink("../etc", at("z/link")).unwrap();
    std_fs::write(at("a.txt"), "text").unwrap();
    std_fs::write(at("a-b"), "").unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    let epoch = std_fs::FileTimes::new()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_millis(7_500));
    std_fs::File::open(at("a.txt")).unwrap().set_times(epoch).unwrap();
    for path in ["z", "z/sub"] {
        std_fs::set_permissions(at(path), std_fs::Permissions::from_mode(0o755)).unwrap();
    }
    for path in ["a.txt", "a-b"] {
        std_fs::set_permissions(at(path), std_fs::Permissions::from_mode(0o644)).unwrap();
    }
    let group = rustix::process::getegid().as_raw().saturating_sub(options().shift);
    let expected = [
        "File 644 0:G 1000 a-b ",
        "File 644 0:G 7 a.txt text",
        "Directory 755 0:G 1000 z/ ",
        "File 2711 0:G 1000 z/also #!",
        "Symlink 777 0:G 1000 z/link ../etc",
        "Hardlink 2711 0:G 1000 z/run z/also",
        "Directory 755 0:G 1000 z/sub/ ",
    ]
    .map(|line| line.replace('G', &group.to_string()));
    let bytes = packed(root.path(), options());
    assert_eq!(lines(&bytes), expected);
    assert_eq!(bytes, packed(root.path(), options()), "same input, same bytes");
}

#[test]
fn unpack_then_pack_gives_the_same_bytes() {
    let first = tempfile::tempdir().unwrap();
    std_fs::create_dir_all(first.path().join("d".repeat(120)).join("é")).unwrap();
    std_fs::write(first.path().join("d".repeat(120)).join("é/x"), "x").unwrap();
    let bytes = packed(first.path(), options());
    let second = tempfile::tempdir().unwrap();
    let unpacking = unpack::UnpackOptions { shift: options().shift, ..Default::default() };
    unpack::unpack(&bytes[..], second.path(), unpacking).unwrap();
    assert_eq!(packed(second.path(), options()), bytes);
}

#[test]
fn a_very_deep_tree_is_packed() {
    let root = tempfile::tempdir().unwrap();
    std_fs::create_dir_all(root.path().join("d/".repeat(1_500))).unwrap();
    let bytes = packed(root.path(), options());
    assert_eq!(lines(&bytes).len(), 1_500);
    let _ = Command::new("rm").arg("-rf").arg(root.path().join("d")).status();
}

#[test]
fn overlay_marks_become_whiteouts_unless_there_is_nothing_below() {
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    for path in ["d", "e"] {
        std_fs::create_dir(at(path)).unwrap();
        std_fs::set_permissions(at(path), std_fs::Permissions::from_mode(0o755)).unwrap();
    }
    xattr::set(at("d"), "user.overlay.opaque", b"y").unwrap();
    xattr::set(at("e"), "user.overlay.opaque", b"x").unwrap();
    xattr::set(at("e"), "user.overlay.origin", b"\0").unwrap();
    std_fs::write(at("d/kept"), "new").unwrap();
    std_fs::write(at("e/modern"), "").unwrap();
    xattr::set(at("e/modern"), "user.overlay.whiteout", b"y").unwrap();
    let device = FileType::CharacterDevice;
    for name in ["gone", "never-there"] {
        fs::mknodat(fs::CWD, at(name), device, Mode::empty(), 0).unwrap();
    }
    std_fs::set_permissions(at("d/kept"), std_fs::Permissions::from_mode(0o644)).unwrap();
    let below = tempfile::tempdir().unwrap();
    for path in ["d/kept", "d/sub/deep", "d/x", "e/modern", "gone"] {
        let path = below.path().join(path);
        std_fs::create_dir_all(path.parent().unwrap()).unwrap();
        std_fs::write(path, "old").unwrap();
    }
    let mode = std_fs::Permissions::from_mode(0o755);
    std_fs::set_permissions(below.path().join("e"), mode).unwrap();
    assert_eq!(
        lines(&packed(root.path(), PackOptions { below: Some(below.path()), ..options() })),
        [
            "Directory 755 0:0 1000 d/ ",
            "File 644 0:0 1000 d/kept new",
            "File 0 0:0 1000 d/.wh.sub ",
            "File 0 0:0 1000 d/.wh.x ",
            "Directory 755 0:0 1000 e/ ",
            "File 0 0:0 1000 e/.wh.modern ",
            "File 0 0:0 1000 .wh.gone ",
        ]
    );
    assert_eq!(
        lines(&packed(root.path(), options())),
        [
            "Directory 755 0:0 1000 d/ ",
            "File 644 0:0 1000 d/kept new",
            "Directory 755 0:0 1000 e/ "
        ]
    );
}

#[test]
fn what_says_nothing_new_is_left_out() {
    let (root, below) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(500);
    for dir in [root.path(), below.path()] {
        std_fs::create_dir_all(dir.join("d/same")).unwrap();
        for name in ["same", "mode", "time", "content", "link"] {
            std_fs::write(dir.join("d").join(name), "text").unwrap_or_default();
        }
        for name in ["mode", "time", "content", "link"] {
            let file = std_fs::File::open(dir.join("d").join(name)).unwrap();
            file.set_times(std_fs::FileTimes::new().set_modified(time)).unwrap();
        }
    }
    let at = |path: &str| root.path().join(path);
    let set_time = |path: &str, time| {
        let times = std_fs::FileTimes::new().set_modified(time);
        std_fs::File::open(at(path)).unwrap().set_times(times).unwrap();
    };
    std_fs::set_permissions(at("d/mode"), std_fs::Permissions::from_mode(0o700)).unwrap();
    set_time("d/time", time + std::time::Duration::from_secs(1));
    std_fs::write(at("d/content"), "TEXT").unwrap();
    set_time("d/content", time);
    let options = PackOptions { below: Some(below.path()), ..options() };
    let names = |bytes: &[u8]| {
        let name = |line: &String| line.split(' ').nth(4).unwrap().to_owned();
        lines(bytes).iter().map(name).collect::<Vec<_>>()
    };
    let expected = ["d/", "d/content", "d/mode", "d/time"];
    assert_eq!(names(&packed(root.path(), options)), expected);
    assert_eq!(names(&packed(below.path(), options)), Vec::<String>::new());
}

#[test]
fn owners_are_shifted_back_and_capabilities_follow() {
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("f");
    std_fs::write(&path, "").unwrap();
    std::os::unix::fs::chown(&path, Some(0), Some(43)).unwrap();
    let mut disk = vec![1, 0, 0, 3];
    disk.resize(20, 0);
    disk.extend_from_slice(&[1, 0, 0, 0]);
    xattr::set(&path, "security.capability", &disk).unwrap();
    let bytes = packed(root.path(), PackOptions { shift: 1, ..options() });
    let member = Archive::new(&bytes[..]).next().unwrap().unwrap();
    assert_eq!((member.uid, member.gid), (0, 42));
    assert_eq!(member.xattrs["security.capability"].len(), 20);
    let fault = pack(root.path(), PackOptions { shift: 2, ..options() }, Vec::new());
    assert_eq!(
        fault.unwrap_err().to_string(),
        "'/f' has file capabilities of a user namespace that is not this step's"
    );
}

#[test]
fn what_no_layer_can_say_is_refused() {
    let root = tempfile::tempdir().unwrap();
    std_fs::write(root.path().join(".wh.x"), "").unwrap();
    assert_eq!(
        pack(root.path(), options(), Vec::new()).unwrap_err().to_string(),
        "'/.wh.x' cannot be in an image: names that begin with '.wh.' are deletions in a layer"
    );
    std_fs::remove_file(root.path().join(".wh.x")).unwrap();
    std_fs::create_dir(root.path().join("moved")).unwrap();
    xattr::set(root.path().join("moved"), "user.overlay.redirect", b"/old").unwrap();
    assert_eq!(
        pack(root.path(), options(), Vec::new()).unwrap_err().to_string(),
        "'/moved' carries 'user.overlay.redirect': its content is not in this layer's directory; \
         mount the snapshot with redirect_dir=off,metacopy=off"
    );
    let fault = pack(&root.path().join("missing"), options(), Vec::new()).unwrap_err();
    let expected = format!(
        "'{}/missing' cannot be read for the layer: No such file or directory (os error 2)",
        root.path().display()
    );
    assert_eq!(fault.to_string(), expected);
}

/// The whole way with a real image: what is unpacked and packed again is the same tree.
#[test]
fn a_debian_base_survives_the_round_trip() {
    const BASE: &str = "/var/cache/touchmark-dev/base.tar";
    let Ok(base) = std_fs::read(BASE) else {
        eprintln!("skipped: there is no {BASE}");
        return;
    };
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let shift = 1;
    let started = std::time::Instant::now();
    let unpacking = unpack::UnpackOptions { shift, ..Default::default() };
    let done = unpack::unpack(&base[..], root.path(), unpacking).unwrap();
    eprintln!("unpacked {done:?} in {:?}", started.elapsed());
    let started = std::time::Instant::now();
    let packing = PackOptions { shift, epoch: i64::MAX, ..PackOptions::default() };
    let again = packed(root.path(), packing);
    eprintln!("packed {} bytes in {:?}", again.len(), started.elapsed());
    let tree = |bytes: &[u8]| {
        let index = tree::scan(bytes, |_| false, 0).unwrap().0;
        let entries = tree::Tree::merge(&[index]);
        let devices = |entry: &&tree::Entry| entry.kind != Kind::Char;
        let facts = |e: &tree::Entry| (e.path.clone(), e.mode, e.uid, e.gid, e.digest, e.kind);
        entries.iter().filter(devices).map(facts).collect::<Vec<_>>()
    };
    let (before, after) = (tree(&base), tree(&again));
    assert!(before.iter().zip(&after).all(|(old, new)| old == new));
    assert_eq!(before.len(), after.len());
}
