//! Alpine's package database `/lib/apk/db/installed` (apk-tools, "installed database"): one letter per
//! field, a paragraph per package, `F:` opens a directory and `R:` is a file in it.

use super::{
    inventory::{Ecosystem, Package, Reader},
    license::License,
};

/// Older and newer (merged /usr) place of the database.
const INSTALLED: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];

/// Does the cataloger need the contents of this path?
#[must_use]
pub fn wants(path: &str) -> bool {
    INSTALLED.contains(&path)
}

/// Is this a file of the database itself, which no package owns?
#[must_use]
pub(super) fn is_database(path: &str) -> bool {
    ["lib/apk/", "usr/lib/apk/", "etc/apk/world", "var/cache/apk/"]
        .iter()
        .any(|start| path.starts_with(start))
}

/// The packages of the database, with the paths that they say they own.
pub(super) fn packages(reader: &Reader<'_>) -> Vec<Package> {
    let Some(text) = INSTALLED.iter().find_map(|path| reader.text(path)) else {
        return Vec::new();
    };
    text.split("\n\n").filter_map(package).collect()
}

fn package(paragraph: &str) -> Option<Package> {
    let mut folder = "";
    let mut claims = Vec::new();
    for (key, value) in fields(paragraph) {
        match key {
            "F" => folder = value,
            "R" if folder.is_empty() => claims.push(value.to_owned()),
            "R" => claims.push(format!("{folder}/{value}")),
            _ => {}
        }
    }
    let field = |key: &str| {
        let found = fields(paragraph).find(|(name, _)| *name == key).map(|(_, value)| value);
        found.filter(|value| !value.is_empty())
    };
    let words = |key: &str| field(key).unwrap_or("").split_whitespace().map(plain);
    Some(Package {
        ecosystem: Ecosystem::Apk,
        name: field("P")?.to_owned(),
        version: field("V")?.to_owned(),
        architecture: field("A").unwrap_or("noarch").to_owned(),
        source: field("o").map(|origin| (origin.to_owned(), None)),
        maintainer: field("m").map(str::to_owned),
        homepage: field("U").map(str::to_owned),
        license: License::all_of(field("L"), &|name| format!("{name}: as the package declares it")),
        // A conflict (`!x`) is no dependency.
        depends: words("D").filter(|w| !w.starts_with('!')).map(|w| vec![w.to_owned()]).collect(),
        provides: words("p").map(str::to_owned).collect(),
        claims,
        files: Vec::new(),
        missing: Vec::new(),
    })
}

fn fields(paragraph: &str) -> impl Iterator<Item = (&str, &str)> {
    paragraph.lines().filter_map(|line| line.split_once(':'))
}

/// `so:libc.musl-x86_64.so.1=1` or `busybox>=1.2` without the version.
fn plain(word: &str) -> &str {
    word.split(['=', '<', '>', '~']).next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_a_package() {
        let text = "C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\nm:A <a@b.example>\n\
                    D:!old so:x.so.1>=2 busybox\np:so:libc.musl-x86_64.so.1=1\n\
                    F:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nF:\nR:top\n";
        let package = package(text).unwrap();
        assert_eq!(package.claims, ["lib/ld-musl-x86_64.so.1", "top"]);
        assert_eq!(package.depends, [["so:x.so.1"], ["busybox"]]);
        assert_eq!(package.provides, ["so:libc.musl-x86_64.so.1"]);
        assert_eq!(package.license.expression.as_deref(), Some("MIT"));
        assert_eq!(super::package("P:half\n"), None);
    }
}
