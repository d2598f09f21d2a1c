//! What is compared of an image, from an OCI layout in a tar.

use std::{collections::BTreeMap, fs, io::Read as _, path::Path};

use serde_json::{Value, json};

use super::{bases::MADE_BY_HAND, tree::Tree};
use crate::blobs::decompressed;

/// The record of a build that was refused, with the words in which it was.
#[must_use]
pub fn refused(message: &str) -> Value {
    json!({ "refused": message })
}

/// The record of the image in the OCI layout `path`:
///
/// - `config`: the configuration without what is below;
/// - `history`: without the base's entries;
/// - `layers`: the names in each layer that is not the base's, in the order of the tar;
/// - `files`: what the flattened tree has otherwise than the base, one line each.
#[must_use]
pub fn of_layout(path: &Path) -> Value {
    let blobs = read(path);
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON");
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().expect("a digest").replace(':', "/");
        blobs.get(&format!("blobs/{digest}")).expect("the layout holds it")
    };
    let index = json(&blobs["index.json"]);
    let mut manifest = json(blob(&index["manifests"][0]));
    if let Some(entry) = manifest.get("manifests").and_then(|list| list.get(0)).cloned() {
        manifest = json(blob(&entry));
    }
    let mut config = json(blob(&manifest["config"]));
    let fields = config.as_object_mut().expect("an object");
    fields.shift_remove("rootfs");
    let history = fields.shift_remove("history").unwrap_or_default();
    let mut history = history.as_array().cloned().unwrap_or_default();
    let own = history.iter().take_while(|entry| entry["created_by"] == MADE_BY_HAND).count();
    history.drain(..own);

    let (mut base, mut tree, mut layers) = (Tree::default(), Tree::default(), Vec::new());
    // Docker writes `null` where an image has no layers.
    for (number, descriptor) in manifest["layers"].as_array().into_iter().flatten().enumerate() {
        let tar = decompressed(blob(descriptor));
        let names = tree.apply(&tar);
        match number < own {
            true => base = tree.clone(),
            false => layers.push(names),
        }
    }
    json!({ "config": config, "history": history, "layers": layers, "files": tree.since(&base) })
}

fn read(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = fs::File::open(path).expect("the build wrote its output");
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(file).entries().expect("a tar") {
        let mut entry = entry.expect("a whole tar");
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("a whole entry");
        files.insert(name.trim_start_matches("./").to_owned(), bytes);
    }
    files
}
