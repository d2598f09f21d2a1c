//! On a real Debian image, where a developer's machine has one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufReader, Read},
    time::Instant,
};

use crate::{
    harden::{
        HardenOptions,
        bench::{Image, LayerBytes},
        harden,
        rules::by_name,
    },
    layer::{
        member::{CAPABILITY_XATTR, Kind},
        tree::{Tree, scan},
    },
};

const BASE: &str = "/var/cache/touchmark-dev/base.tar";

fn base() -> Option<LayerBytes> {
    let mut bytes = Vec::new();
    match File::open(BASE) {
        Ok(file) => BufReader::new(file).read_to_end(&mut bytes).unwrap(),
        Err(_) => {
            eprintln!("skipped: there is no {BASE}");
            return None;
        }
    };
    Some(LayerBytes(bytes))
}

#[test]
fn a_debian_base_loses_what_it_must_and_its_database_stays_true() {
    let Some(base) = base() else { return };
    // Uncompressed, because compression without optimisation would take most of the time.
    let image = Image::plain(&[base]);
    let before = Instant::now();
    let options = HardenOptions { epoch: 1_700_000_000, ..HardenOptions::default() };
    let hardened = harden(&image.store, &image.layers, &image.config, &options).unwrap();
    eprintln!("hardened in {:?}: {} findings", before.elapsed(), hardened.findings.len());
    let layer = &image.read(&hardened)[0];
    let wanted = |path: &str| path.starts_with("var/lib/dpkg/");
    let (index, contents) = scan(&layer.0[..], wanted, 64 << 20).unwrap();
    for entry in &index.entries {
        let starts = entry.kind != Kind::Directory;
        assert!(!starts || entry.mode & 0o6000 == 0, "set-id: {}", entry.path);
        assert!(!entry.xattrs.contains_key(CAPABILITY_XATTR), "capable: {}", entry.path);
        let named = by_name(entry.name()).is_some() && entry.is_executable();
        assert!(!named, "still there: {}", entry.path);
    }
    let tree = Tree::merge(std::slice::from_ref(&index));
    let text = |path: &str| String::from_utf8_lossy(&contents[path]).into_owned();
    let status = text("var/lib/dpkg/status");
    for package in ["bash", "dash", "curl", "wget"] {
        assert!(!status.contains(&format!("Package: {package}\n")), "{package} is listed");
    }
    let mut checked = 0;
    for path in contents.keys().filter(|path| path.ends_with(".md5sums")) {
        for line in text(path).lines() {
            let (_, file) = line.split_once("  ").unwrap();
            let found = tree.resolve(file).is_some_and(|entry| entry.kind == Kind::File);
            assert!(found, "{path} lists {file}, which is not in the tree");
            checked += 1;
        }
    }
    eprintln!("{checked} files listed, all there; excluded: {:?}", hardened.excluded);
    assert!(checked > 1_000);
    let names: BTreeSet<&str> = hardened.excluded.iter().map(|p| &*p.name).collect();
    assert!(names.is_superset(&BTreeSet::from(["bash", "dash"])), "{names:?}");
    every_difference_is_a_finding(&image, &hardened, &tree);
}

/// Before and after differ by exactly what the findings say.
fn every_difference_is_a_finding(image: &Image, after: &crate::harden::Hardened, tree: &Tree) {
    let untouched = crate::harden::Hardened {
        layers: image.layers.clone(),
        config: image.config.clone(),
        findings: Vec::new(),
        excluded: Vec::new(),
        looks: Vec::new(),
    };
    let before = Tree::merge(&[image.read(&untouched)[0].index()]);
    let state = |tree: &Tree| -> BTreeMap<String, _> {
        let entries = tree.iter();
        entries.map(|e| (format!("/{}", e.path), (e.mode, e.digest, e.kind))).collect()
    };
    let (before, now) = (state(&before), state(tree));
    let differing: BTreeSet<&String> =
        before.iter().filter(|(path, old)| now.get(*path) != Some(old)).map(|(p, _)| p).collect();
    let found: BTreeSet<&String> = after.findings.iter().map(|finding| &finding.path).collect();
    let unsaid: Vec<_> = differing.difference(&found).collect();
    assert!(unsaid.is_empty(), "changed without a finding: {unsaid:?}");
    assert!(now.keys().all(|path| before.contains_key(path)), "nothing is new");
}
