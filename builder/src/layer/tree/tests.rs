use std::io::Read;

use super::*;
use crate::{
    layer::{
        emit::ArchiveWriter,
        member::{Kind, Member},
    },
    oci::digest::Digest,
};

/// A layer from lines: `d path`, `f path content`, `l path target`, `h path target`.
fn layer(lines: &[&str]) -> LayerIndex {
    scan(&archive(lines)[..], |_| false, 0).unwrap().0
}

fn archive(lines: &[&str]) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new());
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let rest = words.get(2).copied().unwrap_or_default();
        let kind = match words[0] {
            "d" => Kind::Directory,
            "l" => Kind::Symlink,
            "h" => Kind::Hardlink,
            _ => Kind::File,
        };
        let mut member = Member::new(words[1], kind, 0o755);
        let is_file = kind == Kind::File;
        member.size = if is_file { rest.len() as u64 } else { 0 };
        member.link = if is_file { Vec::new() } else { rest.as_bytes().to_vec() };
        writer.append(&member, rest.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

fn paths(tree: &Tree) -> Vec<String> {
    tree.iter().map(|entry| format!("{} {}", entry.layer, entry.path)).collect()
}

#[test]
fn scan_indexes_and_keeps_in_one_pass() {
    let bytes = archive(&["d ./etc", "f /etc/os-release ID=x", "h etc/copy ./etc/os-release"]);
    let (index, contents) = scan(&bytes[..], |path| path == "etc/os-release", 10).unwrap();
    assert_eq!(contents["etc/os-release"], b"ID=x");
    let file = &index.entries[1];
    assert_eq!((file.path.as_str(), file.size, file.position), ("etc/os-release", 4, Some(1)));
    assert_eq!(file.digest, Some(Digest::of(b"ID=x")));
    assert_eq!(index.entries[2].link.as_deref(), Some("etc/os-release"));
    let kept: LayerIndex = serde_json::from_str(&serde_json::to_string(&index).unwrap()).unwrap();
    assert_eq!(kept, index);
    assert_eq!(
        scan(&bytes[..], |_| true, 3).unwrap_err().to_string(),
        "'etc/os-release' has 4 bytes; the most that is read into memory is 3"
    );
}

#[test]
fn names_that_climb_are_refused() {
    let fault = scan(&archive(&["f a/../../x"])[..], |_| false, 0).unwrap_err();
    assert_eq!(fault.to_string(), "entry 'a/../../x' is refused: its path climbs with '..'");
    let fault = scan(&archive(&["h a ../x"])[..], |_| false, 0).unwrap_err();
    assert_eq!(fault.to_string(), "entry 'a' is refused: its path climbs with '..'");
}

#[test]
fn whiteouts_hide_only_what_is_below() {
    let lower = layer(&["d a", "f a/one", "f a/two", "f b", "d c", "f c/x"]);
    let upper = layer(&["f a/three", "f a/.wh.one", "f .wh.b", "f b new", "f .wh.c"]);
    let tree = Tree::merge(&[lower, upper]);
    assert_eq!(paths(&tree), ["0 a", "1 a/three", "0 a/two", "1 b"]);
}

#[test]
fn opaque_hides_the_rest_of_a_directory_even_when_it_comes_last() {
    let lower = layer(&["d a", "f a/one", "d a/sub", "f a/sub/x", "f ab"]);
    let upper = layer(&["d a", "f a/two", "f a/.wh..wh..opq"]);
    assert_eq!(paths(&Tree::merge(&[lower, upper])), ["1 a", "1 a/two", "0 ab"]);
}

#[test]
fn a_file_replaces_a_directory_and_the_reverse() {
    let lower = layer(&["d a", "f a/one", "f b"]);
    let upper = layer(&["f a", "d b", "f b/x"]);
    assert_eq!(paths(&Tree::merge(&[lower, upper])), ["1 a", "1 b", "1 b/x"]);
}

#[test]
fn linked_directories_lead_to_real_paths() {
    let lower = layer(&["d usr", "d usr/bin", "l bin usr/bin", "f usr/bin/dash x"]);
    let upper =
        layer(&["f bin/tool y", "l usr/bin/sh dash", "l sh /bin/../bin/sh", "f bin/.wh.no"]);
    let tree = Tree::merge(&[lower, upper]);
    assert_eq!(tree.get("/usr/bin/tool").unwrap().layer, 1);
    assert!(tree.get("bin/tool").is_none());
    for path in ["/bin/sh", "sh", "usr/bin/sh", "/../../bin/sh"] {
        assert_eq!(tree.resolve(path).unwrap().path, "usr/bin/dash", "{path}");
    }
    assert_eq!(tree.real_path("/bin/sh").unwrap(), "usr/bin/sh");
    assert_eq!(tree.target(tree.get("usr/bin/sh").unwrap()).unwrap().path, "usr/bin/dash");
}

#[test]
fn loops_end() {
    let tree = Tree::merge(&[layer(&["l a b", "l b a", "l c c/c"])]);
    for path in ["a", "b", "c", "a/x"] {
        assert!(tree.resolve(path).is_none());
    }
}

#[test]
fn hard_links_carry_content_across_layers() {
    let lower = layer(&["f bin/one data"]);
    let upper = layer(&["h opt/two bin/one"]);
    let tree = Tree::merge(&[lower, upper]);
    let two = tree.get("opt/two").unwrap();
    assert_eq!((two.kind, two.size, two.layer), (Kind::File, 4, 1));
    assert_eq!(two.digest, Some(Digest::of(b"data")));
    assert_eq!(two.link.as_deref(), Some("bin/one"));
}

#[test]
fn the_rest_of_a_content_need_not_be_read() {
    struct First(Vec<u8>);
    impl Visitor for First {
        fn file(&mut self, _: &Entry, content: &mut dyn Read) -> Result<(), ScanError> {
            let mut byte = [0];
            content.read_exact(&mut byte).unwrap();
            self.0.push(byte[0]);
            Ok(())
        }
    }
    let mut first = First(Vec::new());
    let index = scan_with(&archive(&["f a xyz", "f b uvw"])[..], &mut first).unwrap();
    assert_eq!(first.0, b"xu");
    assert_eq!(index.entries[0].digest, Some(Digest::of(b"xyz")));
}
