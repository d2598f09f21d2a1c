use std::{fs, os::unix::fs::PermissionsExt};

use super::{
    super::{context::Context, ignore::Ignore},
    *,
};

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
    let whole = context_digest(&context.root().unwrap(), None).unwrap();
    tree.write("x.log", "noise");
    assert_eq!(context_digest(&context.root().unwrap(), None).unwrap(), whole);
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

fn seen(tree: &Tree, selection: &Selection) -> Digest {
    let root = SourceRoot::context(tree.0.path(), None).unwrap();
    fingerprint(&root, selection, &selection.pick(&root).unwrap()).unwrap().0
}

#[test]
fn whatever_changes_a_tree_changes_its_fingerprint() {
    let tree = Tree::new();
    let at = |file: &str| tree.0.path().join(file);
    let selection =
        |source: &str| Selection { sources: vec![source.into()], ..Selection::default() };
    let whole = selection("src");
    let mut known = vec![seen(&tree, &whole)];
    assert_eq!(known[0], seen(&tree, &whole));
    let mut change = |what: &str| {
        let now = seen(&tree, &whole);
        assert!(!known.contains(&now), "{what}");
        known.push(now);
    };
    let time = fs::metadata(at("src/main.c")).unwrap().modified().unwrap();
    tree.write("src/main.c", "SRC/MAIN.C");
    fs::File::options().write(true).open(at("src/main.c")).unwrap().set_modified(time).unwrap();
    change("contents of the same size, with the old time");
    fs::set_permissions(at("src/main.c"), fs::Permissions::from_mode(0o755)).unwrap();
    change("mode");
    if xattr::set(at("src/main.c"), "user.note", b"x").is_ok() {
        change("attribute");
    }
    fs::rename(at("src/main.c"), at("src/main.d")).unwrap();
    change("name");
    std::os::unix::fs::symlink("main.d", at("src/link")).unwrap();
    change("link");
    let others = [
        selection("."),
        selection("src/*"),
        Selection { exclude: vec!["nothing".into()], ..whole.clone() },
        Selection { parents: true, ..whole.clone() },
        Selection { inline: vec![("a".into(), b"1".to_vec())], ..whole.clone() },
        Selection { inline: vec![("a".into(), b"2".to_vec())], ..whole.clone() },
    ];
    for other in &others {
        let now = seen(&tree, other);
        assert!(!known.contains(&now), "{other:?}");
        known.push(now);
    }
}

#[test]
fn a_tree_that_is_known_is_neither_read_nor_listed() {
    let tree = Tree::new();
    let selection = Selection { sources: vec!["src".into()], ..Selection::default() };
    let claimed = TreeDigest { digest: Digest::of(b"claimed"), files: 7, bytes: 8 };
    let file = tree.0.path().join("cache");
    let mut cache = StatCache::load(&file);
    let root = SourceRoot::context(tree.0.path(), None).unwrap();
    let (found, listing) = listed(&root, &selection, Some(&mut cache)).unwrap();
    assert!(listing.is_some());
    cache.put_tree(seen(&tree, &selection), i64::MAX, claimed);
    assert_eq!(cache.tree(&seen(&tree, &selection)), None, "too young to be trusted");
    cache.put_tree(seen(&tree, &selection), 0, claimed);
    cache.save(&file).unwrap();
    let mut cache = StatCache::load(&file);
    assert_eq!(listed(&root, &selection, Some(&mut cache)).unwrap(), (claimed, None));
    let before = fs::metadata(tree.0.path().join("cache.trees")).unwrap();
    cache.save(&file).unwrap();
    let after = fs::metadata(tree.0.path().join("cache.trees")).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap(), "nothing is written");
    tree.write("src/main.c", "changed");
    let changed = digest(&root, &selection, Some(&mut cache)).unwrap();
    assert_ne!(changed, claimed);
    assert_ne!(changed.digest, found.digest);
}

fn everything() -> Selection {
    Selection { sources: vec![".".into()], ..Selection::default() }
}

#[test]
fn a_look_and_the_disk_have_the_same_digest() {
    let tree = Tree::new();
    // So many bytes are read by more than one thread.
    (0..3).for_each(|n| tree.write(&format!("large/{n}"), &"x".repeat(700_000 + n)));
    std::os::unix::fs::symlink("main.c", tree.0.path().join("src/link")).unwrap();
    fs::hard_link(tree.0.path().join("README"), tree.0.path().join("again")).unwrap();
    let _ = xattr::set(tree.0.path().join("src/main.c"), "user.note", b"x");
    let selections = [
        everything(),
        Selection { sources: vec!["src".into(), "*.none".into()], ..Selection::default() },
        Selection { sources: vec!["src/deep/x.h".into()], parents: true, ..Selection::default() },
        Selection { exclude: vec!["**/*.h".into()], ..everything() },
    ];
    for ignore in ["", "src\n!src/deep\n", "*.h\nlarge"] {
        let ignore = Ignore::parse(ignore, ".dockerignore").unwrap();
        let context = Context::open(tree.0.path(), Some(ignore)).unwrap();
        let (disk, look) =
            (context.root().unwrap(), context.at(&context.survey().unwrap()).unwrap());
        assert_eq!(context_digest(&look, None).unwrap(), context_digest(&disk, None).unwrap());
        for selection in &selections {
            let of = |root| digest(root, selection, None).map_err(|error| error.to_string());
            assert_eq!(of(&look), of(&disk), "{selection:?}");
        }
    }
}

#[test]
fn a_look_that_is_outdated_has_no_digest_and_another_look_has() {
    let tree = Tree::new();
    let context = Context::open(tree.0.path(), None).unwrap();
    let old = context.survey().unwrap();
    assert!(std::sync::Arc::ptr_eq(&old, &context.survey().unwrap()), "it is shared");
    tree.write("src/main.c", "something longer");
    let of = |survey| digest(&context.at(survey).unwrap(), &everything(), None);
    assert_eq!(of(&old).unwrap_err().to_string(), "'src/main.c' changed while it was being read");
    context.forget(&old);
    let new = context.survey().unwrap();
    context.forget(&old);
    assert!(std::sync::Arc::ptr_eq(&new, &context.survey().unwrap()), "only that one is forgotten");
    assert_eq!(of(&new).unwrap().digest, tree.digest("."));
}
