use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};

use super::{super::ignore::Ignore, *};

/// A source tree and a target root.
struct Case {
    source: tempfile::TempDir,
    target: tempfile::TempDir,
}

impl Case {
    fn new(files: &[&str]) -> Self {
        let case =
            Self { source: tempfile::tempdir().unwrap(), target: tempfile::tempdir().unwrap() };
        for file in files {
            let path = case.source(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        case
    }

    fn source(&self, path: &str) -> PathBuf {
        self.source.path().join(path)
    }

    fn target(&self, path: &str) -> PathBuf {
        self.target.path().join(path)
    }

    fn run(&self, spec: &CopySpec) -> Result<Copied, String> {
        let root = SourceRoot::context(self.source.path(), None).unwrap();
        copy(&root, spec, self.target.path()).map_err(|error| error.to_string())
    }

    fn copy(&self, sources: &[&str], dest: &str) -> Result<Copied, String> {
        self.run(&spec(sources, dest))
    }

    /// Path and mode of everything in the target, and the contents of files and links.
    fn list(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut todo = vec![self.target.path().to_owned()];
        while let Some(folder) = todo.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.target.path()).unwrap().display().to_string();
                let meta = path.symlink_metadata().unwrap();
                if meta.is_dir() {
                    found.push(format!("{name}/ {:o}", meta.mode() & 0o7777));
                    todo.push(path);
                } else if meta.is_symlink() {
                    found.push(format!("{name} -> {}", fs::read_link(path).unwrap().display()));
                } else {
                    found.push(format!("{name}={}", fs::read_to_string(path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }
}

fn spec(sources: &[&str], dest: &str) -> CopySpec {
    let sources = sources.iter().map(|s| (*s).to_owned()).collect();
    let selection = Selection { sources, ..Selection::default() };
    CopySpec { selection, dest: dest.into(), ..CopySpec::default() }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_to_a_name_or_into_a_directory() {
    let case = Case::new(&["a"]);
    case.copy(&["a"], "/x").unwrap();
    case.copy(&["a"], "/d/e/").unwrap();
    case.copy(&["a"], "/d").unwrap();
    case.copy(&["./a/"], "/deep/new/name").unwrap();
    assert_eq!(
        case.list(),
        [
            "d/ 755",
            "d/a=a",
            "d/e/ 755",
            "d/e/a=a",
            "deep/ 755",
            "deep/new/ 755",
            "deep/new/name=a",
            "x=a"
        ]
    );
}

#[test]
fn a_directory_gives_its_contents_and_merges() {
    let case = Case::new(&["src/a", "src/sub/b"]);
    chmod(&case.source("src"), 0o700);
    chmod(&case.source("src/sub"), 0o711);
    fs::create_dir_all(case.target("old/sub")).unwrap();
    chmod(&case.target("old"), 0o750);
    fs::write(case.target("old/sub/kept"), "kept").unwrap();
    case.copy(&["src"], "/new").unwrap();
    case.copy(&["src/"], "/old").unwrap();
    assert_eq!(
        case.list(),
        [
            "new/ 755",
            "new/a=src/a",
            "new/sub/ 711",
            "new/sub/b=src/sub/b",
            "old/ 750",
            "old/a=src/a",
            "old/sub/ 711",
            "old/sub/b=src/sub/b",
            "old/sub/kept=kept"
        ],
        "the destination keeps its mode, folders below take the source's"
    );
}

#[test]
fn the_whole_context_respects_the_ignore_file() {
    let case = Case::new(&["a", "b/c", "node_modules/m"]);
    let ignore = Ignore::parse("node_modules", ".dockerignore").unwrap();
    let root = SourceRoot::context(case.source.path(), Some(&ignore)).unwrap();
    copy(&root, &spec(&["."], "/app/"), case.target.path()).unwrap();
    assert_eq!(case.list(), ["app/ 755", "app/a=a", "app/b/ 755", "app/b/c=b/c"]);
    let error = copy(&root, &spec(&["node_modules"], "/x"), case.target.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "'node_modules' is hidden by the rule 'node_modules' in line 1 of .dockerignore"
    );
    assert_eq!(error.help(), Some("add an exception ('!' and the path) below that rule"));
}

#[test]
fn of_several_files_for_one_name_the_last_stays() {
    let case = Case::new(&["a", "b", "d/c"]);
    case.copy(&["a", "b"], "/x").unwrap();
    case.copy(&["d"], "/w").unwrap();
    case.copy(&["a", "b"], "/z/").unwrap();
    case.copy(&["d", "a"], "/y").unwrap();
    let expected = ["w/ 755", "w/c=d/c", "x=b", "y/ 755", "y/a=a", "y/c=d/c", "z/ 755"];
    assert_eq!(case.list()[..7], expected);
    let error = case.copy(&["a", "d"], "/v").unwrap_err();
    assert_eq!(error, "'/v' is not a directory, so nothing can be copied into it");
}

#[test]
fn a_wildcard_without_a_match_copies_nothing() {
    let case = Case::new(&["a"]);
    let copied = case.copy(&["*.none", "a"], "/x").unwrap();
    assert_eq!((copied.files, copied.unmatched), (1, vec!["*.none".to_owned()]));
    assert_eq!(case.copy(&["b"], "/").unwrap_err(), "'b' was not found in the build context");
}

#[test]
fn links_in_the_source_are_kept_unless_named() {
    let case = Case::new(&["d/f"]);
    symlink("f", case.source("d/rel")).unwrap();
    symlink("/etc/passwd", case.source("d/abs")).unwrap();
    symlink("d", case.source("dir")).unwrap();
    case.copy(&["d"], "/all").unwrap();
    case.copy(&["d/rel"], "/one/").unwrap();
    case.copy(&["dir/f", "dir"], "/via/").unwrap();
    assert_eq!(
        case.list(),
        [
            "all/ 755",
            "all/abs -> /etc/passwd",
            "all/f=d/f",
            "all/rel -> f",
            "one/ 755",
            "one/rel=d/f",
            "via/ 755",
            "via/abs -> /etc/passwd",
            "via/f=d/f",
            "via/rel -> f"
        ]
    );
    assert_eq!(
        case.copy(&["d/abs"], "/").unwrap_err(),
        "'d/abs' is a symbolic link to '/etc/passwd', which was not found in the build context"
    );
}

#[test]
fn links_in_the_destination_stay_inside_the_root() {
    let case = Case::new(&["a", "s/lib/x"]);
    symlink("/usr/bin", case.target("bin")).unwrap();
    symlink("../../../../out", case.target("up")).unwrap();
    symlink("usr/file", case.target("direct")).unwrap();
    case.copy(&["a"], "/bin/").unwrap();
    case.copy(&["a"], "/up/b").unwrap();
    case.copy(&["a"], "/direct").unwrap();
    assert_eq!(
        case.list(),
        [
            "bin -> /usr/bin",
            "direct -> usr/file",
            "out/ 755",
            "out/b=a",
            "up -> ../../../../out",
            "usr/ 755",
            "usr/bin/ 755",
            "usr/bin/a=a",
            "usr/file=a"
        ]
    );
    symlink("usr", case.target("lib")).unwrap();
    assert_eq!(
        case.copy(&["s"], "/").unwrap_err(),
        "'/lib' is not a directory, so nothing can be copied into it"
    );
}

#[test]
fn a_file_replaces_a_file_or_a_link_but_no_directory() {
    let case = Case::new(&["a", "s/d"]);
    fs::write(case.target("keep"), "keep").unwrap();
    symlink("keep", case.target("a")).unwrap();
    case.copy(&["a"], "/").unwrap();
    assert_eq!(case.list(), ["a=a", "keep=keep"], "the link itself is replaced");
    fs::create_dir(case.target("d")).unwrap();
    assert_eq!(
        case.copy(&["s"], "/").unwrap_err(),
        "the file 's/d' cannot replace the directory '/d'"
    );
    assert_eq!(
        case.copy(&["s"], "/a").unwrap_err(),
        "'/a' is not a directory, so nothing can be copied into it"
    );
    assert_eq!(
        case.copy(&["a"], "/keep/x").unwrap_err(),
        "'/keep' is not a directory, so nothing can be copied into it"
    );
}

#[test]
fn modes_times_hard_links_and_attributes_are_kept() {
    let case = Case::new(&["d/one"]);
    chmod(&case.source("d/one"), 0o4751);
    fs::hard_link(case.source("d/one"), case.source("d/two")).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 5);
    File::options().write(true).open(case.source("d/one")).unwrap().set_modified(time).unwrap();
    let attributes = xattr::set(case.source("d/one"), "user.mark", b"1").is_ok();
    case.copy(&["d"], "/").unwrap();
    let (one, two) =
        (fs::metadata(case.target("one")).unwrap(), fs::metadata(case.target("two")).unwrap());
    assert_eq!((one.ino(), one.nlink()), (two.ino(), 2));
    assert_eq!(one.mode() & 0o7777, 0o4751);
    assert_eq!(one.modified().unwrap(), time);
    if attributes {
        assert_eq!(xattr::get(case.target("one"), "user.mark").unwrap(), Some(b"1".to_vec()));
    }
}

#[test]
fn an_octal_chmod_is_also_for_what_is_made_on_the_way() {
    let case = Case::new(&["s/d/f"]);
    let mut spec = spec(&["s"], "/x/y");
    spec.chmod = Some("0750".parse().unwrap());
    case.run(&spec).unwrap();
    assert_eq!(case.list(), ["x/ 750", "x/y/ 750", "x/y/d/ 750", "x/y/d/f=s/d/f"]);
    assert_eq!(fs::metadata(case.target("x/y/d/f")).unwrap().mode() & 0o7777, 0o750);
}

#[test]
fn owners_shift_and_chown_covers_the_way() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs to be root, in a user namespace or not");
        return;
    }
    let case = Case::new(&["d/f"]);
    std::os::unix::fs::chown(case.source("d/f"), Some(6), Some(8)).unwrap();
    let owner = |path: &str| {
        let meta = fs::symlink_metadata(case.target(path)).unwrap();
        (meta.uid(), meta.gid())
    };
    case.run(&CopySpec { shift: 1, ..spec(&["d"], "/context") }).unwrap();
    assert_eq!((owner("context"), owner("context/f")), ((1, 1), (1, 1)));
    case.run(&CopySpec { shift: 1, owner: Some((10, 20)), ..spec(&["d"], "/chown/sub/") }).unwrap();
    assert_eq!(
        (owner("chown"), owner("chown/sub"), owner("chown/sub/f")),
        ((11, 21), (11, 21), (11, 21))
    );
    let stage = SourceRoot::stage(case.source.path(), 1, "stage 'build'").unwrap();
    copy(&stage, &CopySpec { shift: 1, ..spec(&["d"], "/stage") }, case.target.path()).unwrap();
    assert_eq!((owner("stage"), owner("stage/f")), ((1, 1), (6, 8)));
    make_dir(case.target.path(), "/work/dir", Some((3, 4)), 1).unwrap();
    make_dir(case.target.path(), "context/", Some((3, 4)), 1).unwrap();
    assert_eq!((owner("work"), owner("work/dir"), owner("context")), ((4, 5), (4, 5), (1, 1)));
}

#[test]
fn parents_keep_the_path_from_the_pivot() {
    let case = Case::new(&["a/b/c/f", "a/b/g", "a/x/f"]);
    chmod(&case.source("a/b"), 0o711);
    let mut spec = spec(&["a/b/c/f", "./a/./*/g"], "/out/");
    spec.selection.parents = true;
    case.run(&spec).unwrap();
    assert_eq!(
        case.list(),
        [
            "out/ 755",
            "out/a/ 755",
            "out/a/b/ 711",
            "out/a/b/c/ 755",
            "out/a/b/c/f=a/b/c/f",
            "out/b/ 711",
            "out/b/g=a/b/g"
        ]
    );
    spec.selection.sources = vec!["a/none".into()];
    assert_eq!(case.run(&spec).unwrap_err(), "'a/none' was not found in the build context");
}

#[test]
fn exclude_takes_out_by_path_below_the_source() {
    let case = Case::new(&["d/a.txt", "d/b.c", "d/e/a.txt", "home.txt", "home.c"]);
    let mut spec = spec(&["d", "home*"], "/");
    spec.selection.exclude = vec!["*.txt".into()];
    case.run(&spec).unwrap();
    assert_eq!(
        case.list(),
        ["b.c=d/b.c", "e/ 755", "e/a.txt=d/e/a.txt", "home.c=home.c", "home.txt=home.txt"]
    );
}

#[test]
fn inline_documents_are_files_of_mode_644() {
    let case = Case::new(&["a"]);
    let mut spec = spec(&["a"], "/etc/");
    spec.selection.inline = vec![("motd".into(), b"hello\n".to_vec())];
    let copied = case.run(&spec).unwrap();
    assert_eq!((copied.files, copied.bytes), (2, 7));
    assert_eq!(fs::metadata(case.target("etc/motd")).unwrap().mode() & 0o7777, 0o644);
    assert_eq!(fs::read_to_string(case.target("etc/motd")).unwrap(), "hello\n");
}

#[test]
fn fifos_are_kept_and_sockets_left_out() {
    let case = Case::new(&["d/f"]);
    let fifo = case.source("d/pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(case.source("d/socket")).unwrap();
    case.copy(&["d"], "/x").unwrap();
    assert!(case.target("x/pipe").exists() && !case.target("x/socket").exists());
}

#[test]
fn the_depth_of_a_tree_does_not_matter_until_the_system_refuses() {
    let case = Case::new(&["f"]);
    let deep = "d/".repeat(1_000);
    fs::create_dir_all(case.source(&deep)).unwrap();
    case.copy(&["."], "/x").unwrap();
    assert!(case.target(&format!("x/{deep}")).is_dir());
}

#[test]
fn a_file_that_may_not_be_read_is_named_with_the_way_out() {
    let cause = io::Error::from_raw_os_error(13);
    let error = SourceError::io("read", "/context/secret")(cause);
    assert_eq!(error.to_string(), "cannot read '/context/secret': permission denied");
    assert_eq!(
        error.help(),
        Some("make it readable for the user who builds, or add it to .dockerignore")
    );
}
