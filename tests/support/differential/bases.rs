//! The images that cases begin with: all have the files of the tiny busybox image and, unless they are called `bare`,
//! the folders that steps mount on; each file `tests/differential/bases/<name>.json` is one, and holds the `config`
//! object of its configuration, or the whole of it but for `rootfs`.

use std::fs;

use serde_json::{Map, Value};

use crate::{base, image::Image, registry::Registry, repository, tarball::Tarball};

/// The `created_by` of a base's own layers.
pub(super) const MADE_BY_HAND: &str = "made by hand";

/// Names and images.
#[must_use]
pub fn all() -> Vec<(String, Image)> {
    let dir = repository().join("tests/differential/bases");
    let busybox = base::busybox().layers;
    let folders = Tarball::new().dir("dev/", 0o755).dir("proc/", 0o755).dir("sys/", 0o755);
    let folders = folders.dir("home/", 0o755).dir("home/user/", 0o750).dir("var/", 0o755).finish();
    let mut bases = Vec::new();
    for entry in fs::read_dir(dir).expect("the bases").flatten() {
        let path = entry.path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a base in UTF-8");
        let mut config: Value = serde_json::from_str(&text).expect("a base in JSON");
        let mut document = Map::new();
        if let Some(own) = config.get("config").cloned() {
            document = config.as_object().expect("an object").clone();
            config = own;
        }
        let more = Some(folders.clone()).filter(|_| name != "bare");
        let layers = busybox.iter().cloned().chain(more).collect();
        bases.push((name, Image { layers, config, document }));
    }
    bases.sort_by(|one, other| one.0.cmp(&other.0));
    bases
}

/// A registry with every base as `library/<name>:latest`.
#[must_use]
pub fn registry() -> Registry {
    registry_on(None)
}

/// The same on a certain port.
#[must_use]
pub fn registry_on(port: Option<u16>) -> Registry {
    let registry = port.map_or_else(Registry::empty, Registry::empty_on);
    for (name, image) in all() {
        image.push(&registry, &format!("library/{name}"), "latest");
    }
    registry
}
