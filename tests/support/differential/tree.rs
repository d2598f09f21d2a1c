//! Layers applied one on another, as a container sees them.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest;

/// A file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    /// Type, mode, owner, time, size, digest, target, attributes: in one line.
    facts: String,
    is_dir: bool,
    /// Files with the same number are one file.
    inode: usize,
}

/// An entry of a layer.
struct Member {
    facts: String,
    is_dir: bool,
    /// Of which file it is another name.
    first: Option<String>,
}

impl Member {
    fn read(entry: &mut tar::Entry<'_, &[u8]>) -> Self {
        let kind = entry.header().entry_type();
        let first = (kind == tar::EntryType::Link).then(|| clean(&link_name(entry)));
        Self { facts: facts(entry), is_dir: kind.is_dir(), first }
    }
}

/// A merged tree.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
    inodes: usize,
}

impl Tree {
    /// Applies the layer `tar`; returns the names in it, in their order.
    pub fn apply(&mut self, tar: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        let mut entries = Vec::new();
        let mut archive = tar::Archive::new(tar);
        for entry in archive.entries().expect("a layer is a tar") {
            let mut entry = entry.expect("a whole tar");
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            names.push(name.clone());
            // Its contents can be read now, and not once the next one was asked for.
            entries.push((clean(&name), Member::read(&mut entry)));
        }
        // What a layer removes is removed from those below, whatever the order in its tar.
        for (path, _) in &entries {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let at = |name: &str| clean(&format!("{folder}/{name}"));
            match name.strip_prefix(".wh.") {
                Some(".wh..opq") => self.remove_below(folder),
                Some(gone) => self.remove(&at(gone)),
                None => {}
            }
        }
        for (path, entry) in entries {
            let name = path.rsplit('/').next().unwrap_or_default();
            if !name.starts_with(".wh.") && !path.is_empty() {
                self.add(path, entry);
            }
        }
        names
    }

    fn add(&mut self, path: String, member: Member) {
        let node = if let Some(first) = member.first {
            self.nodes.get(&first).cloned().expect("a hard link's first name is in the tree")
        } else {
            self.inodes += 1;
            Node { facts: member.facts, is_dir: member.is_dir, inode: self.inodes }
        };
        if !node.is_dir {
            self.remove_below(&path);
        }
        self.nodes.insert(path, node);
    }

    fn remove(&mut self, path: &str) {
        self.nodes.remove(path);
        self.remove_below(path);
    }

    fn remove_below(&mut self, folder: &str) {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        self.nodes.retain(|path, _| !path.starts_with(&prefix));
    }

    /// What differs from `base`: path and facts in one line, `removed` for what is gone.
    #[must_use]
    pub fn since(&self, base: &Self) -> BTreeMap<String, String> {
        let mut first: BTreeMap<usize, &String> = BTreeMap::new();
        for (path, node) in &self.nodes {
            first.entry(node.inode).or_insert(path);
        }
        let mut changed = BTreeMap::new();
        for (path, node) in &self.nodes {
            if base.nodes.get(path).is_some_and(|old| old.facts == node.facts) {
                continue;
            }
            let mut line = node.facts.clone();
            if first[&node.inode] != path {
                line.push_str(&format!(", the same file as {}", first[&node.inode]));
            }
            changed.insert(path.clone(), line);
        }
        let gone: BTreeSet<&String> = base.nodes.keys().collect();
        for path in gone.into_iter().filter(|path| !self.nodes.contains_key(*path)) {
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            // A whole folder that is gone is one line.
            if parent.is_empty() || self.nodes.contains_key(parent) {
                changed.insert(path.clone(), "removed".into());
            }
        }
        changed
    }
}

fn clean(name: &str) -> String {
    let parts: Vec<&str> =
        name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    parts.join("/")
}

fn link_name(entry: &tar::Entry<'_, &[u8]>) -> String {
    String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()).into_owned()
}

fn facts(entry: &mut tar::Entry<'_, &[u8]>) -> String {
    let mut xattrs = BTreeMap::new();
    for extension in entry.pax_extensions().ok().flatten().into_iter().flatten().flatten() {
        if let Some(name) = extension.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr.")) {
            xattrs.insert(name.to_owned(), hex::encode(extension.value_bytes()));
        }
    }
    let mut contents = Vec::new();
    std::io::Read::read_to_end(entry, &mut contents).expect("a whole entry");
    let header = entry.header();
    let device = || {
        let number = |field: std::io::Result<Option<u32>>| field.ok().flatten().unwrap_or_default();
        format!("{}:{}", number(header.device_major()), number(header.device_minor()))
    };
    let (kind, what) = match header.entry_type() {
        tar::EntryType::Directory => ("dir", String::new()),
        tar::EntryType::Symlink => ("link", format!(" -> {}", link_name(entry))),
        tar::EntryType::Fifo => ("fifo", String::new()),
        tar::EntryType::Char => ("char", format!(" {}", device())),
        tar::EntryType::Block => ("block", format!(" {}", device())),
        _ => ("file", format!(" {} bytes {}", contents.len(), digest(&contents))),
    };
    let time = match i64::try_from(header.mtime().expect("a time")).expect("a time") {
        super::EPOCH => "epoch".to_owned(),
        time => format!("@{time}"),
    };
    let (uid, gid) = (header.uid().expect("an owner"), header.gid().expect("a group"));
    let mode = header.mode().expect("a mode") & 0o7777;
    let mut line = format!("{kind} {mode:04o} {uid}:{gid} {time}{what}");
    for (name, value) in xattrs {
        line.push_str(&format!(" {name}={value}"));
    }
    line
}
