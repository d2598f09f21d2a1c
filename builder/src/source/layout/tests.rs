//! The same COPY in both ways: into the merged view of a real overlay, whose upper directory is packed, and
//! written straight. The bytes must be the same.

use std::{
    ffi::CString,
    fs,
    os::unix::fs::{PermissionsExt, chown, lchown, symlink},
};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::*;
use crate::{
    layer::{
        PackOptions, member, pack,
        tree::{self, Entry, LayerIndex},
    },
    source::{copy::copy, selection::Selection},
};

const EPOCH: i64 = 1_500_000_000;

struct Case {
    root: tempfile::TempDir,
}

impl Case {
    /// A base with a bit of everything, and files to copy; none where no overlay can be mounted.
    fn new() -> Option<Self> {
        let case = Self { root: tempfile::tempdir().unwrap() };
        for name in ["lower/etc/app", "lower/usr/bin", "lower/data", "upper", "work", "merged"] {
            fs::create_dir_all(case.at(name)).unwrap();
        }
        for (file, text) in [("etc/passwd", "root"), ("etc/app/old", "old"), ("data/a", "x")] {
            fs::write(case.at("lower").join(file), text).unwrap();
        }
        symlink("usr/bin", case.at("lower/sbin")).unwrap();
        symlink("/data/deep", case.at("lower/dangling")).unwrap();
        fs::set_permissions(case.at("lower/data"), fs::Permissions::from_mode(0o2775)).unwrap();
        for folder in ["src/sub/empty", "src/bin", "src/many"] {
            fs::create_dir_all(case.at(folder)).unwrap();
        }
        for file in ["src/a", "src/sub/b", "src/bin/tool", "src/a-b", "src/a.b", "src/sub/a"] {
            fs::write(case.at(file), file.repeat(100)).unwrap();
        }
        (0..40).for_each(|n| fs::write(case.at(&format!("src/many/{n}")), [n; 700]).unwrap());
        fs::hard_link(case.at("src/a"), case.at("src/sub/again")).unwrap();
        fs::set_permissions(case.at("src/bin/tool"), fs::Permissions::from_mode(0o4711)).unwrap();
        fs::set_permissions(case.at("src/sub"), fs::Permissions::from_mode(0o1700)).unwrap();
        symlink("a", case.at("src/sub/link")).unwrap();
        Case::overlay(&case).then(|| {
            unmount(case.at("merged"), UnmountFlags::DETACH).unwrap();
            case
        })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn overlay(&self) -> bool {
        let root = self.root.path().display();
        let data = format!("lowerdir={root}/lower,upperdir={root}/upper,workdir={root}/work");
        let data = CString::new(data + ",userxattr").unwrap();
        let merged = self.at("merged");
        mount("overlay", &merged, "overlay", MountFlags::empty(), data.as_c_str()).is_ok()
    }

    /// The layer by way of a snapshot.
    fn packed(&self, specs: &[CopySpec]) -> Vec<u8> {
        for name in ["upper", "work"] {
            fs::remove_dir_all(self.at(name)).unwrap();
            fs::create_dir(self.at(name)).unwrap();
        }
        assert!(self.overlay());
        let source = SourceRoot::context(&self.at("src"), None).unwrap();
        for spec in specs {
            copy(&source, spec, &self.at("merged")).unwrap();
        }
        unmount(self.at("merged"), UnmountFlags::DETACH).unwrap();
        let lower = self.at("lower");
        let options = PackOptions { shift: 0, epoch: EPOCH, below: Some(&lower), copied: true };
        pack(&self.at("upper"), options, Vec::new()).unwrap()
    }

    fn laid(
        &self,
        spec: &CopySpec,
        laid: Vec<std::sync::Arc<Laid>>,
    ) -> Result<(Vec<u8>, Laid), SourceError> {
        let source = SourceRoot::context(&self.at("src"), None).unwrap();
        let below = Below::open(&self.at("lower"), laid).unwrap();
        lay(&source, spec, below)?.write(&source, EPOCH, Vec::new())
    }

    /// The lower tree as its archive tells it.
    fn ground(&self) -> std::sync::Arc<Ground> {
        let options = PackOptions { shift: 0, epoch: i64::MAX, below: None, copied: false };
        let archive = pack(&self.at("lower"), options, Vec::new()).unwrap();
        let (index, _) = tree::scan(&archive[..], |_| false, 0).unwrap();
        let mut ground = Ground::new(0);
        ground.push(&index);
        std::sync::Arc::new(ground)
    }
}

fn spec(sources: &[&str], dest: &str) -> CopySpec {
    let sources = sources.iter().map(|source| (*source).to_owned()).collect();
    let selection = Selection { sources, ..Selection::default() };
    CopySpec { selection, dest: dest.into(), epoch: EPOCH, ..CopySpec::default() }
}

#[test]
fn a_copy_without_a_snapshot_gives_the_same_bytes() {
    let Some(case) = Case::new() else { return };
    let owned = |spec: CopySpec| CopySpec { owner: Some((7, 8)), ..spec };
    let moded = |spec: CopySpec, mode: &str| CopySpec { chmod: mode.parse().ok(), ..spec };
    let mut excluding = spec(&["."], "/x/");
    excluding.selection.exclude = vec!["sub/b".into(), "many".into()];
    let mut parents = spec(&["sub/./b", "bin/tool"], "/x/");
    parents.selection.parents = true;
    let mut inline = spec(&["a"], "/etc/app/");
    inline.selection.inline = vec![("hello".into(), b"text".to_vec())];
    let specs = [
        spec(&["."], "/"),
        spec(&["."], "/usr/local/share"),
        spec(&["a"], "/etc/app/"),
        spec(&["a"], "/etc/app/old"),
        spec(&["a"], "/data/a"),
        spec(&["a", "a-b", "a.b"], "/new/deep/"),
        spec(&["a", "sub/a"], "/data/"),
        spec(&["bin/"], "/sbin"),
        spec(&["bin/tool"], "/sbin/"),
        spec(&["bin"], "/sbin/../lib/"),
        spec(&["a"], "/dangling/"),
        spec(&["sub", "bin"], "/data"),
        spec(&["sub/link"], "/data/"),
        spec(&["*"], "/etc/../x/"),
        owned(spec(&["."], "/x/y/")),
        owned(spec(&["sub"], "/etc")),
        moded(spec(&["."], "/data"), "u=rwX,go=rX"),
        moded(spec(&["a"], "/p/q/r"), "0640"),
        excluding,
        parents,
        inline,
    ];
    for (number, spec) in specs.iter().enumerate() {
        let laid = case.laid(spec, Vec::new()).unwrap().0;
        assert!(case.packed(std::slice::from_ref(spec)) == laid, "{number}: {spec:?}");
        let source = SourceRoot::context(&case.at("src"), None).unwrap();
        let below = Below::over(case.ground(), Vec::new());
        let grounded = lay(&source, spec, below).unwrap().write(&source, EPOCH, Vec::new());
        assert!(grounded.unwrap().0 == laid, "{number}, not unpacked: {spec:?}");
    }
}

#[test]
fn an_archive_that_does_not_tell_is_not_asked() {
    let entry = |path: &str, kind, link: Option<&str>| Entry {
        kind,
        link: link.map(Into::into),
        position: Some(0),
        ..Entry::implied_directory(path, 0)
    };
    let directory = |path| entry(path, member::Kind::Directory, None);
    let file = |path| entry(path, member::Kind::File, None);
    let mut ground = Ground::new(1);
    let lower =
        [directory("etc"), directory("usr"), file("etc/a"), directory("opt"), file("opt/b/c")];
    let upper = [file("etc/x"), entry("usr/y", member::Kind::Hardlink, Some("etc/a"))];
    for entries in [lower.to_vec(), upper.to_vec()] {
        ground.push(&LayerIndex { entries, trailing: false });
    }
    let told = |path: &str| ground.lstat(Path::new(path));
    assert_eq!(told("none").unwrap(), None);
    assert_eq!(told("opt").unwrap().unwrap().uid, 1);
    assert!(told("etc").is_err(), "its time is that of when it was unpacked");
    assert!(told("opt/b").is_err(), "no archive says what it is like");
    for link in ["usr/y", "etc/a"] {
        assert!(told(link).is_err(), "{link} has two names");
    }
    assert!(told("etc/x/under").is_err(), "below a file");
    assert!(told("odd\\x80").is_err(), "a name that the index writes in another form");
    assert!(ground.read_link(Path::new("etc")).is_err());
}

#[test]
fn what_lies_on_a_laid_layer_is_as_on_its_snapshot() {
    let Some(case) = Case::new() else { return };
    let first = spec(&["sub", "a"], "/opt/app/");
    let (bytes, laid) = case.laid(&first, Vec::new()).unwrap();
    assert!(case.packed(&[first]) == bytes);
    // The upper directory of the first becomes part of the lower tree of the second.
    let mut cp = std::process::Command::new("cp");
    cp.arg("-a").arg(case.at("upper/.")).arg(case.at("lower"));
    assert!(cp.status().unwrap().success());
    let base = Case::new().unwrap();
    let laid = std::sync::Arc::new(laid);
    for spec in
        [spec(&["bin"], "/opt/app/"), spec(&["bin/tool"], "/opt/app/a"), spec(&["many"], "/opt")]
    {
        let source = SourceRoot::context(&case.at("src"), None).unwrap();
        let below = Below::open(&base.at("lower"), vec![laid.clone()]).unwrap();
        let straight = lay(&source, &spec, below).unwrap().write(&source, EPOCH, Vec::new());
        assert!(case.packed(std::slice::from_ref(&spec)) == straight.unwrap().0, "{spec:?}");
    }
    // What may be there already is not told without its contents.
    assert!(case.laid(&spec(&["a"], "/opt/app/"), vec![laid]).is_err());
}

#[test]
fn what_only_a_snapshot_tells_is_refused() {
    let Some(case) = Case::new() else { return };
    let far = CopySpec { owner: Some((70_000, 0)), ..spec(&["a"], "/x") };
    assert!(case.laid(&far, Vec::new()).is_err());
    assert!(case.laid(&spec(&["a"], "/usr/bin/../../etc"), Vec::new()).is_ok(), "into a directory");
    assert!(case.laid(&spec(&["sub"], "/etc/passwd"), Vec::new()).is_err(), "a file is in the way");
    fs::write(case.at("src/.wh.a"), "").unwrap();
    assert!(case.laid(&spec(&["."], "/x"), Vec::new()).is_err());
    chown(case.at("lower/data/a"), Some(5), None).unwrap();
    lchown(case.at("lower/sbin"), Some(5), None).unwrap();
    assert!(case.laid(&spec(&["many"], "/sbin/x"), Vec::new()).is_ok());
}

#[test]
fn a_file_that_changes_after_it_was_listed_is_no_layer() {
    let Some(case) = Case::new() else { return };
    let source = SourceRoot::context(&case.at("src"), None).unwrap();
    let below = Below::open(&case.at("lower"), Vec::new()).unwrap();
    let layout = lay(&source, &spec(&["a"], "/x"), below).unwrap();
    fs::write(case.at("src/a"), "other").unwrap();
    let error = layout.write(&source, EPOCH, Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "'a' changed while it was being read");
}
