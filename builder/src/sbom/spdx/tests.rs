use std::{io::Write, process::Command};

use super::*;
use crate::sbom::{
    inventory::{Ecosystem, Package},
    license::License,
};

fn package(name: &str, depends: &[&str]) -> Package {
    Package {
        ecosystem: Ecosystem::Deb,
        name: name.into(),
        version: "1:2.0-1".into(),
        architecture: "amd64".into(),
        source: Some(("src".into(), None)),
        maintainer: Some("GNU C Library Team <team@x.example>".into()),
        homepage: Some("https://www.x.example/".into()),
        license: License::all_of(["GPL-2+ or Odd"], &|name| format!("text of {name}")),
        depends: vec![depends.iter().map(|s| (*s).to_owned()).collect()],
        provides: vec!["virtual".into()],
        files: Vec::new(),
        missing: vec!["usr/share/man/x".into()],
        claims: Vec::new(),
    }
}

fn sample() -> Inventory {
    let os = OsRelease::parse(b"ID=debian\nVERSION_ID=12\nNAME=\"Debian GNU/Linux\"\n");
    let unowned = FileEntry {
        path: "app/server".into(),
        size: 3,
        digest: Some(Digest::of(b"app")),
        executable: true,
    };
    Inventory {
        os: Some(os),
        packages: vec![package("a", &["none", "b"]), package("b", &["virtual"])],
        gone: vec![package("bash", &[])],
        unowned: vec![unowned],
    }
}

fn fetched() -> Fetched {
    let key = ("a".into(), "1:2.0-1".into(), "amd64".into());
    let url = "http://mirror.example/pool/a_2.0-1_amd64.deb".into();
    Fetched::from([(key, (url, Digest::of(b"deb")))])
}

fn json(inventory: &Inventory) -> String {
    let fetched = fetched();
    let facts = Facts {
        image: "registry.example/team/app",
        digest: Digest::of(b"image"),
        created: 1_700_000_000,
        version: "0.1.0",
        fetched: &fetched,
    };
    String::from_utf8(to_json(inventory, &facts).unwrap()).unwrap()
}

/// Checks a document with the reference implementation, where it is installed.
fn validate(json: &str) {
    let mut file = tempfile::Builder::new().suffix(".spdx.json").tempfile().unwrap();
    file.write_all(json.as_bytes()).unwrap();
    match Command::new("pyspdxtools").arg("-i").arg(file.path()).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stdout));
        }
        Err(_) => eprintln!("skipped: pyspdxtools (spdx-tools on PyPI) is not installed"),
    }
}

#[test]
fn the_document_is_what_it_was() {
    let expected = include_str!("sample.spdx.json");
    let json = json(&sample());
    if std::env::var_os("TOUCHMARK_REGENERATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sbom/spdx/sample.spdx.json");
        std::fs::write(path, &json).unwrap();
        return;
    }
    assert_eq!(json, expected, "set TOUCHMARK_REGENERATE to take over a change");
}

#[test]
fn the_reference_implementation_finds_it_valid() {
    validate(&json(&sample()));
    validate(&json(&Inventory::default()));
}

#[test]
fn the_same_inventory_gives_the_same_bytes_and_another_one_another_namespace() {
    assert_eq!(json(&sample()), json(&sample()));
    let namespace = |inventory: &Inventory| {
        let value: serde_json::Value = serde_json::from_str(&json(inventory)).unwrap();
        value["documentNamespace"].as_str().unwrap().to_owned()
    };
    let mut other = sample();
    other.packages.pop();
    assert_ne!(namespace(&sample()), namespace(&other));
    assert_eq!(namespace(&sample()).as_bytes()["urn:uuid:xxxxxxxx-xxxx-".len()], b'8');
}

#[test]
fn people_and_teams() {
    for (maintainer, expected) in [
        ("Jane Doe <jane@x.example>", "Person: Jane Doe (jane@x.example)"),
        (
            "Perl Maintainers (old) <p@x.example>",
            "Organization: Perl Maintainers old (p@x.example)",
        ),
        ("Someone", "Person: Someone"),
        ("<x@y.example>", "NOASSERTION"),
    ] {
        assert_eq!(supplier(maintainer), expected);
    }
}

#[test]
fn many_unowned_files_are_summed_up() {
    let one = |index: usize| FileEntry {
        path: format!("f{index:05}"),
        size: 0,
        digest: Some(Digest::of(b"")),
        executable: false,
    };
    let unowned: Vec<_> = (0..MAX_FILES + 2).map(one).collect();
    let elements = files(&unowned);
    assert_eq!(elements.len(), MAX_FILES + 1);
    let comment = elements[MAX_FILES].comment.as_deref().unwrap();
    assert!(comment.starts_with("2 more files that no package owns"), "{comment}");
}

#[test]
fn a_time_without_a_date_is_refused() {
    assert_eq!(date(0).unwrap(), "1970-01-01T00:00:00Z");
    assert_eq!(
        date(i64::MAX).unwrap_err().to_string(),
        format!("the time {} cannot be written as a date", i64::MAX)
    );
}

/// The Debian base that the other tests of this machine use, where it is.
#[test]
fn a_real_base_image() {
    let base = std::path::Path::new("/var/cache/touchmark-dev/base.tar");
    let Ok(file) = std::fs::File::open(base) else {
        eprintln!("skipped: no {}", base.display());
        return;
    };
    let reader = std::io::BufReader::with_capacity(1 << 20, file);
    let (index, contents) = crate::layer::tree::scan(reader, crate::sbom::wants, 16 << 20).unwrap();
    let tree = crate::layer::tree::Tree::merge(&[index]);
    let start = std::time::Instant::now();
    let inventory = crate::sbom::inventory(&tree, &contents);
    let json = json(&inventory);
    eprintln!("inventory and document: {:?}, {} bytes", start.elapsed(), json.len());
    let names: Vec<&str> = inventory.packages.iter().map(|p| p.name.as_str()).collect();
    for name in ["bash", "libc6", "dpkg", "base-files"] {
        assert!(names.contains(&name), "{name}");
    }
    let status = String::from_utf8_lossy(&contents["var/lib/dpkg/status"]).into_owned();
    let installed = status.matches("\nStatus: install ok installed\n").count();
    assert_eq!((names.len(), inventory.gone.len()), (installed, 0));
    let licensed = inventory.packages.iter().filter(|p| p.license.expression.is_some()).count();
    eprintln!(
        "{} packages, {licensed} with a license, {} unowned files",
        names.len(),
        inventory.unowned.len()
    );
    assert!(
        inventory.unowned.len() < 200,
        "{:?}",
        inventory.unowned.iter().map(|f| &f.path).collect::<Vec<_>>()
    );
    validate(&json);
}
