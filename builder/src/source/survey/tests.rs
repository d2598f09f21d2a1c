use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    sync::Arc,
};

use super::{
    super::{
        context::Context,
        copy::{CopySpec, copy},
        error::SourceError,
        layout::{Below, lay},
        rooted::Kind,
        selection::Selection,
        tree_digest::digest,
    },
    *,
};

fn tree(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    dir
}

fn survey(dir: &tempfile::TempDir, ignore: &str, threads: usize) -> Survey {
    let ignore = Ignore::parse(ignore, ".dockerignore").unwrap();
    Survey::by(threads, &Rooted::open(dir.path()).unwrap(), Some(&ignore)).unwrap()
}

/// All paths, depth first; those that are hidden in brackets.
fn paths(survey: &Survey) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), survey.find(Path::new("")).unwrap())];
    while let Some((path, item)) = open.pop() {
        let items = survey.items(item).unwrap();
        for item in items.iter().rev() {
            open.push((format!("{path}/{}", item.name().to_str().unwrap()), item));
        }
        found.push(if item.is_hidden() { format!("[{path}]") } else { path });
    }
    found
}

#[test]
fn however_many_threads_look_they_see_the_same() {
    let names: Vec<String> = (0..600).map(|n| format!("d{}/e{}/f{n}", n % 7, n % 31)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let dir = tree(&names);
    let one = survey(&dir, "", 1);
    let mut sorted = paths(&one);
    assert_eq!(sorted.len(), 1 + 7 + 7 * 31 + 600);
    for threads in [2, 4, 9] {
        let several = survey(&dir, "", threads);
        assert_eq!(paths(&several), sorted);
        for path in &sorted {
            let path = Path::new(path.trim_start_matches('/'));
            let meta = |survey: &Survey| survey.find(path).unwrap().meta().unwrap();
            assert_eq!(meta(&several), meta(&one), "{path:?}");
        }
    }
    sorted.sort_by_key(|path| path.split('/').map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(paths(&one), sorted, "by the bytes of names, each folder before its next sibling");
}

#[test]
fn links_and_special_files_are_what_they_are() {
    let dir = tree(&["folder/file"]);
    let at = |name: &str| dir.path().join(name);
    symlink("folder/file", at("to file")).unwrap();
    symlink("folder", at("to folder")).unwrap();
    symlink("/outside", at("nowhere")).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RWXU).unwrap();
    let survey = survey(&dir, "", 2);
    let find = |name: &str| survey.find(Path::new(name));
    let kind = |name: &str| find(name).unwrap().meta().unwrap().kind;
    let kinds = [kind("folder"), kind("folder/file"), kind("socket"), kind("pipe")];
    assert_eq!(kinds, [Kind::Directory, Kind::File, Kind::Socket, Kind::Fifo]);
    for (name, to) in [("to file", "folder/file"), ("to folder", "folder"), ("nowhere", "/outside")]
    {
        assert_eq!(kind(name), Kind::Link);
        assert_eq!(find(name).unwrap().link(), Some(Path::new(to)));
    }
    assert!(find("to folder/file").is_none(), "no link is followed");
    assert!(find("folder/none").is_none() && find("../x").is_none());
}

#[test]
fn what_the_ignore_file_hides_is_not_looked_at() {
    let dir = tree(&["a.log", "a.c", "out/x/y", "deep/keep/k", "deep/other/o"]);
    let seen = |ignore: &str| paths(&survey(&dir, ignore, 2));
    assert_eq!(
        seen("*.log\nout\ndeep\n!deep/keep"),
        ["", "/a.c", "[/deep]", "/deep/keep", "/deep/keep/k", "[/deep/other]", "[/out]"]
    );
    assert_eq!(seen("*"), ["", "[/deep]", "[/out]"], "folders are known, but not what is in them");
}

#[test]
fn a_folder_that_cannot_be_read_is_a_fault_of_its_own() {
    // Whoever runs the test may read everything, but nothing lists a folder that became another thing.
    let dir = tree(&["open/file"]);
    let rooted = Rooted::open(dir.path()).unwrap();
    let mut survey = Survey::of(&rooted, None).unwrap();
    let number = survey.find(Path::new("open")).unwrap().folder.unwrap();
    survey.folders[number as usize] = Err(Errno::ACCESS);
    let folder = survey.find(Path::new("open")).unwrap();
    assert_eq!(folder.meta().unwrap().kind, Kind::Directory);
    let fault = survey.items(folder).unwrap_err();
    assert_eq!(fault.kind(), io::ErrorKind::PermissionDenied);
    assert!(survey.find(Path::new("open/file")).is_none());
    assert!(rooted.open_dir(Path::new("open/file")).is_err());
}

#[test]
fn what_is_found_out_about_a_file_is_found_out_once() {
    let dir = tree(&["file"]);
    let survey = survey(&dir, "", 1);
    let item = survey.find(Path::new("file")).unwrap();
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    assert_eq!(item.digest(), None);
    assert_eq!((item.keep(one), item.keep(two), item.digest()), (one, one, Some(one)));
    let read = || Ok::<_, ()>(vec![("user.a".to_owned(), vec![1])]);
    assert_eq!(item.xattrs(read), read());
    assert_eq!(item.xattrs(|| Err(())), read());
}

#[test]
fn only_what_was_left_alone_for_a_while_has_settled() {
    let dir = tree(&["file"]);
    let survey = survey(&dir, "", 1);
    let now = survey.find(Path::new("file")).unwrap().meta().unwrap();
    assert!(!survey.has_settled(&now));
    let old = Meta { mtime: (survey.taken - 9, 0), ctime: (survey.taken - 3, 0), ..now };
    assert!(survey.has_settled(&old));
    assert!(!survey.has_settled(&Meta { ctime: (survey.taken - 2, 0), ..old }));
    assert!(!survey.has_settled(&Meta { mtime: (survey.taken + 9, 0), ..old }));
}

/// A context and a root to copy it into, by way of a look whose digest was taken.
struct Copied {
    context: Context,
    survey: Arc<Survey>,
    dir: tempfile::TempDir,
    root: tempfile::TempDir,
}

impl Copied {
    fn new() -> Self {
        let (dir, root) = (tree(&["a", "sub/b"]), tempfile::tempdir().unwrap());
        let context = Context::open(dir.path(), None).unwrap();
        let survey = context.survey().unwrap();
        digest(&context.at(&survey).unwrap(), &Self::spec().selection, None).unwrap();
        Self { context, survey, dir, root }
    }

    fn spec() -> CopySpec {
        let selection = Selection { sources: vec![".".into()], ..Selection::default() };
        CopySpec { selection, dest: "/".into(), ..CopySpec::default() }
    }

    /// By way of a snapshot, and straight into a layer.
    fn outcomes(&self) -> [Option<String>; 2] {
        let source = self.context.at(&self.survey).unwrap();
        let copied = copy(&source, &Self::spec(), self.root.path());
        let below = tempfile::tempdir().unwrap();
        let below = Below::open(below.path(), Vec::new()).unwrap();
        let laid = lay(&source, &Self::spec(), below);
        let laid = laid.and_then(|laid| laid.write(&source, 1, Vec::new()));
        let message = |error: SourceError| error.to_string();
        [copied.err().map(message), laid.err().map(message)]
    }
}

#[test]
fn a_hidden_file_is_passed_over_by_a_wildcard_and_explained_by_its_name() {
    let dir = tree(&["a.txt", "b.txt"]);
    let ignore = Ignore::parse("b.txt\n", ".dockerignore").unwrap();
    let context = Context::open(dir.path(), Some(ignore)).unwrap();
    let survey = context.survey().unwrap();
    let source = context.at(&survey).unwrap();
    let pick = |source_of: &str| {
        let selection = Selection { sources: vec![source_of.into()], ..Selection::default() };
        digest(&source, &selection, None).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(pick("*.txt"), Ok(()));
    let told = pick("b.txt").unwrap_err();
    assert!(told.contains(".dockerignore"), "{told}");
}

#[test]
fn what_is_not_as_it_was_when_the_digest_was_taken_is_not_copied() {
    let changed = |path: &str| {
        let message = Some(format!("'{path}' changed while it was being read"));
        [message.clone(), message]
    };
    assert_eq!(Copied::new().outcomes(), [None, None]);
    let case = Copied::new();
    fs::write(case.dir.path().join("sub/b"), "other").unwrap();
    assert_eq!(case.outcomes(), changed("sub/b"));
    let case = Copied::new();
    fs::remove_file(case.dir.path().join("a")).unwrap();
    assert_eq!(case.outcomes(), changed("a"), "gone");
    let case = Copied::new();
    fs::remove_file(case.dir.path().join("a")).unwrap();
    symlink("sub/b", case.dir.path().join("a")).unwrap();
    assert_eq!(case.outcomes(), changed("a"), "a link instead");
    let case = Copied::new();
    fs::rename(case.dir.path().join("sub"), case.dir.path().join("moved")).unwrap();
    symlink("moved", case.dir.path().join("sub")).unwrap();
    assert_eq!(case.outcomes(), changed("sub/b"), "a link on the way");
    let case = Copied::new();
    fs::write(case.dir.path().join("new"), "new").unwrap();
    assert_eq!(case.outcomes(), [None, None]);
    assert!(!case.root.path().join("new").exists(), "it is not in the digest");
}

#[test]
fn a_file_that_changed_within_one_tick_of_the_clock_is_told_by_its_contents() {
    let mut case = Copied::new();
    let look = Survey::of(&Rooted::open(case.dir.path()).unwrap(), None).unwrap();
    // As if the digest were of what stood there before, with the same times.
    look.find(Path::new("a")).unwrap().keep(Digest::of(b"before"));
    case.survey = Arc::new(look);
    let message = Some("'a' changed while it was being read".to_owned());
    assert_eq!(case.outcomes(), [message.clone(), message]);
}
