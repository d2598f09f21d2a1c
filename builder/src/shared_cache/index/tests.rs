use super::*;
use touchmark_attest::predicate::hardening::{HardeningReport, Level};

use crate::{egress::StepOrigin, image::Image, oci::media_type};

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn request() -> RequestRecord {
    RequestRecord {
        line: StepOrigin { line: 2, text: "RUN fetch".into(), stage: "build".into() },
        method: "GET".into(),
        url: "https://packages.example/a".into(),
        fetched_url: "https://mirror.example/a".into(),
        rule: "policy".into(),
        status: Some(200),
        size: 3,
        sent: 0,
        sha256: Some(digest("abc")),
        commit: None,
        query: None,
        complete: true,
        incomplete_reason: None,
        purl: None,
        verified_by: None,
        started: 1,
        duration: 2,
    }
}

/// An index with everything in it, and the manifest that goes with it.
fn whole() -> (CacheIndex, Manifest) {
    let layer = |name: &str, compression: Compression| IndexedLayer {
        blob: Descriptor::of(compression.media_type(), name.as_bytes()),
        compression,
        diff_id: digest(&format!("{name}.tar")),
    };
    let layers = vec![
        layer("b", Compression::Zstd { level: 19 }),
        layer("a", Compression::default()),
        layer("c", Compression::None),
    ];
    let mounts = Descriptor::of(super::super::MOUNTS_TYPE, b"mounts");
    let step = |name: &str, layer: Option<&str>| IndexedStep {
        caches: vec!["pkg".into()],
        entitlements: Vec::new(),
        key: digest(name),
        layer: layer.map(digest),
        requests: vec![request()],
    };
    let steps =
        vec![step("run", Some("b.tar")), step("copy", Some("a.tar")), step("nothing", None)];
    let inventory = Descriptor::of(super::super::INVENTORY_TYPE, b"inventory");
    let all = [mounts.clone(), inventory.clone()];
    let blobs = layers.iter().map(|layer| layer.blob.clone()).chain(all).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [layers[0].diff_id] },
    });
    let hardened = Image {
        config: serde_json::from_value(config).unwrap(),
        layers: vec![layers[0].blob.clone()],
    };
    let report = HardeningReport::new(Level::Baseline, Vec::new());
    let images = vec![IndexedImage {
        image: HardenedImage { image: hardened, report, looks: std::sync::Arc::default() },
        inventory: Some(IndexedInventory { blob: inventory, key: digest("layers") }),
        key: digest("image"),
    }];
    let trees = BTreeMap::from([(digest("tree"), digest("content"))]);
    let index = CacheIndex::new(steps, &trees, layers, Some(mounts), images);
    let config = Descriptor::of(super::super::INDEX_TYPE, &index.to_bytes().unwrap());
    (index, Manifest::image(config, blobs))
}

#[test]
fn what_is_written_is_read_and_always_the_same_bytes() {
    let (index, manifest) = whole();
    let bytes = index.to_bytes().unwrap();
    assert_eq!(CacheIndex::read(&bytes, &manifest).unwrap(), index);
    let mut other = index.clone();
    other.steps.reverse();
    let trees = other.trees.iter().map(|tree| (tree.key, tree.content)).collect();
    let again = CacheIndex::new(other.steps, &trees, other.layers, other.mounts, other.images);
    assert_eq!(again.to_bytes().unwrap(), bytes);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with(r#"{"images":[{"image":{"image":{"config":"#), "{text}");
    assert!(text.ends_with(r#""version":2}"#) && text.contains(r#""compression":"zstd:19""#));
    let step = index.steps[0].clone();
    assert_eq!(IndexedStep::new(step.key, &step.clone().result()), step);
}

#[test]
fn each_fault_has_its_own_reason() {
    let (index, manifest) = whole();
    let reason = |index: &CacheIndex, manifest: &Manifest| {
        CacheIndex::read(&index.to_bytes().unwrap(), manifest).unwrap_err().to_string()
    };
    let mut bad = index.clone();
    bad.version = 1;
    assert_eq!(reason(&bad, &manifest), "it is of version 1, which this touchmark does not know");
    bad = index.clone();
    bad.layers[0].blob.size += 1;
    assert!(reason(&bad, &manifest).ends_with("which the manifest does not name as it does"));
    let none = Manifest::image(Descriptor::of(media_type::EMPTY, b"{}"), Vec::new());
    assert!(reason(&index, &none).starts_with("it names sha256:"));
    bad = index.clone();
    let gzip = bad.layers.iter_mut().find(|l| l.compression == Compression::default()).unwrap();
    gzip.compression = Compression::None;
    assert!(reason(&bad, &manifest).ends_with("is no layer of the compression that it names"));
    bad = index.clone();
    bad.steps.push(bad.steps[0].clone());
    assert!(reason(&bad, &manifest).starts_with("the step sha256:"));
    bad = index.clone();
    bad.images.push(bad.images[0].clone());
    assert!(reason(&bad, &manifest).starts_with("the image sha256:"));
    bad = index.clone();
    bad.images[0].inventory.as_mut().unwrap().blob.size += 1;
    assert!(reason(&bad, &manifest).ends_with("which the manifest does not name as it does"));
    bad = index.clone();
    bad.steps[0].layer = Some(digest("elsewhere"));
    assert!(reason(&bad, &manifest).ends_with("which is not in it"));
    bad = index.clone();
    bad.trees = (0..=MAX_RECORDS)
        .map(|n| IndexedTree { key: digest(&n.to_string()), content: digest("") })
        .collect();
    let many = "it has 100001 trees; at most 100000 are read";
    assert_eq!(reason(&bad, &manifest), many);
    let text = String::from_utf8(index.to_bytes().unwrap()).unwrap();
    for (from, to) in [
        ("zstd:19", "zstd:23"),
        ("zstd:19", "zstd:-7"),
        ("gzip:3", "gzip:10"),
        ("gzip:3", "brotli:5"),
        ("\"none\"", "\"none:1\""),
        ("\"trees\"", "\"woods\""),
        ("\"version\":2", "\"version\":2,\"version\":2"),
    ] {
        assert!(text.contains(from), "nothing to damage: {from}");
        let bad = text.replace(from, to);
        let fault = CacheIndex::read(bad.as_bytes(), &manifest).unwrap_err();
        assert!(matches!(fault, IndexError::Json(_)), "{to}: {fault}");
    }
}

/// Bytes are cut, changed and doubled: nothing panics, and what is read is what was written or holds
/// together all the same.
#[test]
fn a_mutated_index_is_refused_or_sound() {
    let (index, manifest) = whole();
    let bytes = index.to_bytes().unwrap();
    let mut read = 0;
    for at in (0..bytes.len()).step_by(5) {
        assert!(CacheIndex::read(&bytes[..at], &manifest).is_err(), "cut at {at}");
        for other in [b'"', b'9', bytes[at] ^ 1] {
            let mut mutated = bytes.clone();
            mutated[at] = other;
            if let Ok(found) = CacheIndex::read(&mutated, &manifest) {
                found.check(&manifest).unwrap();
                read += 1;
            }
        }
    }
    assert!(read > 0, "changed names and numbers are still an index");
    let deep = [b"[".repeat(100_000), bytes].concat();
    assert!(CacheIndex::read(&deep, &manifest).is_err());
}
