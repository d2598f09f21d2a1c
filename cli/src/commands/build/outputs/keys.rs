//! The types of `--output` and the keys that each of them has, under BuildKit's names.

use touchmark_builder::dockerfile::suggest::nearest;

use crate::error::CliError;

/// A type of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Registry,
    Oci,
    Docker,
    Containerd,
    Local,
    Tar,
    CacheOnly,
}

/// Each type by its name.
const KINDS: [(&str, Kind); 8] = [
    ("image", Kind::Image),
    ("registry", Kind::Registry),
    ("oci", Kind::Oci),
    ("docker", Kind::Docker),
    ("containerd", Kind::Containerd),
    ("local", Kind::Local),
    ("tar", Kind::Tar),
    ("cacheonly", Kind::CacheOnly),
];

const REGISTRY: &[Kind] = &[Kind::Image, Kind::Registry];
const IMAGES: &[Kind] = &[Kind::Image, Kind::Registry, Kind::Oci, Kind::Docker, Kind::Containerd];
const PLACES: &[Kind] = &[Kind::Oci, Kind::Docker, Kind::Local, Kind::Tar];
const FILES: &[Kind] = &[Kind::Local, Kind::Tar];

/// Each key with the types that have it. Keys that begin with `annotation` are read by their own rule.
const KEYS: &[(&str, &[Kind])] = &[
    ("name", IMAGES),
    ("push", REGISTRY),
    ("push-by-digest", REGISTRY),
    ("dest", PLACES),
    ("tar", &[Kind::Oci]),
    ("compression", IMAGES),
    ("compression-level", IMAGES),
    ("force-compression", IMAGES),
    ("oci-mediatypes", IMAGES),
    ("rewrite-timestamp", IMAGES),
    ("context", &[Kind::Docker]),
    ("namespace", &[Kind::Containerd]),
    ("address", &[Kind::Containerd]),
    ("platform-split", FILES),
];

/// Keys that BuildKit has and that cannot mean anything here, with the reason and the way out.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "registry.insecure",
        "which registries may be spoken to without TLS is the policy's to say",
        "write plain-http = true for that registry into touchmark.toml",
    ),
    (
        "unpack",
        "touchmark keeps no image store of its own that an image could be unpacked in",
        "use --load or type=containerd, which unpacks where the image is run",
    ),
    (
        "store",
        "touchmark keeps no image store of its own",
        "use --load, type=containerd, type=oci or --push",
    ),
    (
        "dangling-name-prefix",
        "touchmark keeps no image store of its own, so there are no images without a name",
        "name the image, with --tag",
    ),
    (
        "name-canonical",
        "touchmark keeps no image store of its own that would list a name with a digest",
        "the digest is in --metadata-file",
    ),
    (
        "prefer-nondist-layers",
        "every layer is pushed, so that the image can be had from one place",
        "leave the key out",
    ),
    (
        "oci-artifact",
        "statements are always OCI artifacts that refer to the image",
        "leave the key out",
    ),
    (
        "attestation-prefix",
        "the files are named sbom.spdx.json and provenance.json",
        "leave the key out and rename the files",
    ),
    ("mode", "what is in the directory already stays", "remove it first where it shall not stay"),
    ("buildinfo", "BuildKit itself has given this up", "--provenance says more"),
];

impl Kind {
    /// The type of that name.
    pub(super) fn of(name: &str) -> Result<Self, CliError> {
        if let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == name) {
            return Ok(*kind);
        }
        let names = KINDS.map(|(name, _)| name);
        let fault = CliError::usage(format!("--output does not know type={name}"));
        Err(match nearest(name, names) {
            Some(near) => fault.hint(format!("did you mean type={near}?")),
            None => fault.hint(format!("the types are {}", names.join(", "))),
        })
    }

    pub(super) fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Has this type such a key?
    pub(super) fn check(self, key: &str, value: &str) -> Result<(), CliError> {
        let annotation = key.starts_with("annotation") && key.contains('.');
        let known = KEYS.iter().find(|(known, _)| *known == key).map(|(_, kinds)| *kinds);
        match known.or(annotation.then_some(IMAGES)) {
            Some(kinds) if kinds.contains(&self) => return Ok(()),
            Some(kinds) => {
                let names: Vec<String> =
                    kinds.iter().map(|kind| format!("type={}", kind.name())).collect();
                return Err(CliError::usage(format!(
                    "--output type={} has no use for the key '{key}'",
                    self.name()
                ))
                .hint(format!("it belongs to {}", names.join(", "))));
            }
            None => {}
        }
        if let Some((_, reason, remedy)) = REFUSED.iter().find(|(known, ..)| *known == key) {
            // What is switched off asks for nothing.
            return match value {
                "false" | "0" => Ok(()),
                _ => Err(CliError::usage(format!("--output: '{key}' is not possible: {reason}"))
                    .hint(*remedy)),
            };
        }
        let own = KEYS.iter().filter(|(_, kinds)| kinds.contains(&self)).map(|(key, _)| *key);
        let own: Vec<&str> = own.collect();
        let fault =
            CliError::usage(format!("--output type={} does not know the key '{key}'", self.name()));
        Err(match nearest(key, own.iter().copied().chain(["type"])) {
            Some(near) => fault.hint(format!("did you mean {near}=?")),
            None if own.is_empty() => fault.hint("this type has no keys"),
            None => fault.hint(format!("its keys are {}", own.join(", "))),
        })
    }
}
