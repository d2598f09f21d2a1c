//! The upper directory that a real overlay makes, where this process may mount one.

use std::{ffi::CString, fs, path::Path};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::{PackOptions, lines, options, packed};
use crate::layer::{UnpackOptions, unpack};

struct Overlay<'a>(&'a Path);

impl<'a> Overlay<'a> {
    fn mount(root: &'a Path, at: &'a Path) -> Option<Self> {
        let data = format!(
            "lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work,userxattr",
            root.display()
        );
        let data = CString::new(data).unwrap();
        match mount("overlay", at, "overlay", MountFlags::empty(), data.as_c_str()) {
            Ok(()) => Some(Self(at)),
            Err(fault) => {
                eprintln!("skipped: cannot mount an overlay here: {fault}");
                None
            }
        }
    }
}

impl Drop for Overlay<'_> {
    fn drop(&mut self) {
        let _ = unmount(self.0, UnmountFlags::DETACH);
    }
}

#[test]
fn what_a_step_does_in_an_overlay_is_what_the_layer_says() {
    let root = tempfile::tempdir().unwrap();
    for name in ["lower/etc/old", "lower/gone", "upper", "work", "merged"] {
        fs::create_dir_all(root.path().join(name)).unwrap();
    }
    for name in ["lower/etc/motd", "lower/etc/hosts", "lower/gone/x", "lower/etc/old/deep"] {
        fs::write(root.path().join(name), "lower").unwrap();
    }
    let merged = root.path().join("merged");
    let Some(mounted) = Overlay::mount(root.path(), &merged) else { return };
    fs::remove_file(merged.join("etc/motd")).unwrap();
    fs::write(merged.join("etc/hosts"), "upper").unwrap();
    fs::remove_dir_all(merged.join("gone")).unwrap();
    fs::remove_dir_all(merged.join("etc/old")).unwrap();
    fs::create_dir(merged.join("etc/old")).unwrap();
    fs::write(merged.join("etc/old/new"), "new").unwrap();
    let lower = root.path().join("lower");
    let options = PackOptions { below: Some(&lower), ..options() };
    let archive = packed(&root.path().join("upper"), options);
    let names: Vec<String> = lines(&archive)
        .iter()
        .map(|line| line.split(' ').skip(4).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        names,
        [
            "etc/ ",
            "etc/hosts upper",
            "etc/.wh.motd ",
            "etc/old/ ",
            "etc/old/.wh.deep ",
            "etc/old/new new",
            ".wh.gone ",
        ]
    );
    drop(mounted);
    the_layer_replays_in_another_overlay(root.path(), &archive);
}

/// Unpacked into the merged view of a fresh overlay, the layer gives the same merged tree.
fn the_layer_replays_in_another_overlay(root: &Path, archive: &[u8]) {
    for name in ["upper", "work"] {
        fs::remove_dir_all(root.join(name)).unwrap();
        fs::create_dir(root.join(name)).unwrap();
    }
    let merged = root.join("merged");
    let Some(_mounted) = Overlay::mount(root, &merged) else { return };
    unpack(archive, &merged, UnpackOptions::default()).unwrap();
    assert!(!merged.join("etc/motd").exists() && !merged.join("gone").exists());
    assert_eq!(fs::read_to_string(merged.join("etc/hosts")).unwrap(), "upper");
    let old: Vec<_> = fs::read_dir(merged.join("etc/old")).unwrap().flatten().collect();
    assert_eq!(old.len(), 1, "the opaque directory shows only what is new");
}
