use std::{fs, os::unix::fs::PermissionsExt};

use super::{super::ignore::Ignore, *};

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for file in ["src/main.c", "src/deep/x.h", "README"] {
            tree.write(file, file);
        }
        tree
    }

    fn write(&self, file: &str, contents: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    fn digest(&self, source: &str) -> Digest {
        let root = SourceRoot::context(self.0.path(), None).unwrap();
        let selection = Selection { sources: vec![source.into()], ..Selection::default() };
        digest(&root, &selection, None).unwrap().digest
    }
}

#[test]
fn the_same_tree_elsewhere_and_later_has_the_same_digest() {
    let (one, two) = (Tree::new(), Tree::new());
    let old = fs::File::options().write(true).open(two.0.path().join("README")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH).unwrap();
    for source in [".", "src", "README", "*"] {
        assert_eq!(one.digest(source), two.digest(source), "{source}");
    }
}

#[test]
fn each_change_that_a_layer_would_show_changes_the_digest() {
    let tree = Tree::new();
    let mut seen = vec![tree.digest("src")];
    let mut change = |what: &str| {
        let now = tree.digest("src");
        assert!(!seen.contains(&now), "{what}");
        seen.push(now);
    };
    let at = |file: &str| tree.0.path().join(file);
    tree.write("src/main.c", "changed");
    change("contents");
    fs::set_permissions(at("src/main.c"), fs::Permissions::from_mode(0o755)).unwrap();
    change("mode");
    fs::rename(at("src/main.c"), at("src/main.d")).unwrap();
    change("name");
    fs::create_dir(at("src/empty")).unwrap();
    change("empty folder");
    fs::hard_link(at("src/main.d"), at("src/main.e")).unwrap();
    change("hard link");
    fs::remove_file(at("src/main.e")).unwrap();
    fs::copy(at("src/main.d"), at("src/main.e")).unwrap();
    change("copy instead of a hard link");
    std::os::unix::fs::symlink("main.d", at("src/link")).unwrap();
    change("link");
    tree.write("README", "elsewhere");
    assert_eq!(seen.last(), Some(&tree.digest("src")));
}

#[test]
fn the_mode_of_a_source_folder_and_ignored_files_do_not_count() {
    let tree = Tree::new();
    let before = tree.digest("src");
    fs::set_permissions(tree.0.path().join("src"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(tree.digest("src"), before);
    let ignore = Ignore::parse("*.log\n", ".dockerignore").unwrap();
    let context = Context::open(tree.0.path(), Some(ignore)).unwrap();
    let whole = context_digest(&context, None).unwrap();
    tree.write("x.log", "noise");
    assert_eq!(context_digest(&context, None).unwrap(), whole);
    assert_eq!((whole.files, whole.bytes), (3, 28));
}

#[test]
fn inline_documents_and_order_count() {
    let tree = Tree::new();
    let root = SourceRoot::context(tree.0.path(), None).unwrap();
    let of = |sources: &[&str], inline: &[(&str, &str)]| {
        let selection = Selection {
            sources: sources.iter().map(|s| (*s).to_owned()).collect(),
            inline: inline.iter().map(|(n, c)| ((*n).into(), (*c).into())).collect(),
            ..Selection::default()
        };
        digest(&root, &selection, None).unwrap().digest
    };
    assert_ne!(of(&["src", "README"], &[]), of(&["README", "src"], &[]));
    assert_ne!(of(&[], &[("a", "b")]), of(&[], &[("ab", "")]));
}

#[test]
fn a_cached_digest_is_the_same_and_reads_nothing() {
    let tree = Tree::new();
    let path = Path::new("README");
    let root = SourceRoot::context(tree.0.path(), None).unwrap();
    let meta = root.rooted.lstat(path).unwrap().unwrap();
    let selection = Selection { sources: vec!["README".into()], ..Selection::default() };
    // A cache that claims other contents shows that the file is not read.
    let settled = crate::source::rooted::Meta { ctime: (1, 0), mtime: (1, 0), ..meta };
    let mut cache = StatCache::default();
    cache.put(path, &settled, Digest::of(b"other"));
    assert_eq!(cache.get(path, &settled), Some(Digest::of(b"other")));
    assert_eq!(cache.get(path, &meta), None);
    let plain = digest(&root, &selection, None).unwrap();
    assert_eq!(digest(&root, &selection, Some(&mut cache)).unwrap(), plain);
}

#[test]
fn parents_needs_what_it_names() {
    let tree = Tree::new();
    let root = SourceRoot::context(tree.0.path(), None).unwrap();
    let of = |source: &str| {
        let sources = vec![source.to_owned()];
        digest(&root, &Selection { sources, parents: true, ..Selection::default() }, None)
    };
    assert!(of("src/deep/x.h").is_ok());
    assert!(of("src/*/none").is_ok());
    assert_eq!(
        of("src/none").unwrap_err().to_string(),
        "'src/none' was not found in the build context"
    );
}
