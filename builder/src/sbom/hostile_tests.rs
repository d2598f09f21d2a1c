//! Package databases that are made to cost: time stays in proportion to their size, and no stack is
//! used up.

use std::{collections::BTreeMap, time::Instant};

use super::{copyright, inventory, license::License, spdx};
use crate::{
    layer::{
        emit::ArchiveWriter,
        member::{Kind, Member},
        tree::{Tree, scan},
    },
    oci::digest::Digest,
};

/// Takes the inventory of an image with these files and writes it down.
fn in_time(name: &str, files: &[(&str, &str)]) {
    let mut writer = ArchiveWriter::new(Vec::new());
    for (path, content) in files {
        let mut member = Member::new(*path, Kind::File, 0o644);
        member.size = content.len() as u64;
        writer.append(&member, content.as_bytes()).unwrap();
    }
    let tar = writer.finish().unwrap();
    let start = Instant::now();
    let (index, contents) = scan(&tar[..], super::wants, 1 << 26).unwrap();
    let inventory = inventory(&Tree::merge(&[index]), &contents);
    let facts = spdx::Facts {
        image: "registry.example/app",
        digest: Digest::of(b""),
        created: 0,
        version: "0",
        fetched: &BTreeMap::new(),
    };
    spdx::to_json(&inventory, &facts).unwrap();
    let took = start.elapsed();
    assert!(took.as_secs() < 20, "{name} took {took:?}");
}

#[test]
fn a_long_statement_uses_no_stack() {
    let statement = "MIT, and ISC, or ".repeat(100_000);
    let license = License::all_of([&statement[..]], &|_| String::new());
    assert!(license.expression.is_some_and(|text| text.starts_with("MIT AND (ISC OR MIT) AND")));
}

#[test]
fn a_name_costs_its_text_once() {
    let text = " words of a license\n".repeat(20_000);
    let names = "Own or Own and ".repeat(3000);
    let file = format!("Format: x\n\nFiles: *\nLicense: {names}Own\n\nLicense: Own\n{text}");
    let start = Instant::now();
    let license = copyright::license("a", file.as_bytes());
    assert_eq!(license.extracted.len(), 1);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

#[test]
fn many_of_a_kind_take_linear_time() {
    let same: String = (0..8000).map(|n| stanza("a", n, &n.to_string())).collect();
    let list = "/usr/a\n".repeat(100_000);
    let copyright = format!("Format: x\n\nFiles: *\nLicense: X\n {}\n", "x".repeat(100_000));
    in_time(
        "one name, many versions",
        &[
            ("var/lib/dpkg/status", &same),
            ("var/lib/dpkg/info/a.list", &list),
            ("usr/share/doc/a/copyright", &copyright),
        ],
    );
    let prefixes: String = (0..2000).map(|n| format!("/{}\n", "a".repeat(n + 1))).collect();
    in_time(
        "paths that begin with each other",
        &[("var/lib/dpkg/status", &stanza("a", 1, "all")), ("var/lib/dpkg/info/a.list", &prefixes)],
    );
}

fn stanza(name: &str, version: usize, architecture: &str) -> String {
    format!(
        "Package: {name}\nStatus: install ok installed\nVersion: {version}\n\
         Architecture: {architecture}\nDepends: a\n\n"
    )
}
