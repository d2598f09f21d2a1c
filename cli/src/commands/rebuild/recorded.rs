//! What a provenance says about how to build again: the command line, the lock, and what stands in the way.

use serde_json::Value;
use touchmark_attest::predicate::slsa::Provenance;
use touchmark_builder::{
    downloads::{Lock, lock::LockedFile},
    materials::material::{Material, Sort},
    oci::manifest::Manifest,
    provenance::BUILD_TYPE,
};

/// Why a build cannot be replayed exactly; each is a sentence.
pub(super) fn obstacles(provenance: &Provenance, materials: &[Material]) -> Vec<String> {
    let definition = &provenance.build_definition;
    let mut found = Vec::new();
    if definition.build_type != BUILD_TYPE {
        found.push(format!(
            "it is of the build type '{}', which this program does not know",
            definition.build_type
        ));
        return found;
    }
    let internal = |key: &str| definition.internal_parameters.get(key);
    for cache in internal("cacheMounts").and_then(Value::as_array).into_iter().flatten() {
        found.push(format!(
            "a step read the cache mount {cache}, and nobody recorded what was in it"
        ));
    }
    for right in internal("entitlements").and_then(Value::as_array).into_iter().flatten() {
        if right == "network.host" {
            found.push("a step had the host's network, and nobody recorded what it fetched".into());
        }
    }
    for material in materials {
        if let Some(reason) = &material.incomplete {
            found.push(format!("{} has no digest: {reason}", material.uri));
        }
    }
    let args = definition.external_parameters.get("buildArgs").and_then(Value::as_object);
    for (name, _) in args.into_iter().flatten().filter(|(_, value)| value.is_null()) {
        found.push(format!("the value of the build argument '{name}' is not in the provenance"));
    }
    found
}

/// The flags of `touchmark build` that ask for the same.
pub(super) fn flags(provenance: &Provenance) -> Vec<String> {
    let definition = &provenance.build_definition;
    let parameter = |key: &str| definition.external_parameters.get(key);
    let text = |key: &str| parameter(key).and_then(Value::as_str);
    let mut flags = Vec::new();
    let mut flag = |name: &str, value: String| flags.push(format!("--{name}={value}"));
    for (key, name) in [("target", "target"), ("platform", "platform"), ("network", "network")] {
        if let Some(value) = text(key) {
            flag(name, value.to_owned());
        }
    }
    // Other levels come from the policy file.
    if let Some(level @ ("off" | "baseline")) = text("harden") {
        flag("harden", level.to_owned());
    }
    for (key, name) in [("buildArgs", "build-arg"), ("labels", "label")] {
        for (own, value) in parameter(key).and_then(Value::as_object).into_iter().flatten() {
            if let Some(value) = value.as_str() {
                flag(name, format!("{own}={value}"));
            }
        }
    }
    for (key, name) in [("allow", "allow"), ("hosts", "add-host"), ("ulimits", "ulimit")] {
        let listed = parameter(key).and_then(Value::as_array).into_iter().flatten();
        listed.filter_map(Value::as_str).for_each(|value| flag(name, value.to_owned()));
    }
    if let Some(bytes) = parameter("shmSize") {
        flag("shm-size", bytes.to_string());
    }
    let given = parameter("buildArgs").and_then(|args| args.get("SOURCE_DATE_EPOCH"));
    if let (None, Some(epoch)) = (given, definition.internal_parameters.get("sourceDateEpoch")) {
        flag("build-arg", format!("SOURCE_DATE_EPOCH={epoch}"));
    }
    flags
}

/// The keys of `--output` for layers compressed in the same way; where the provenance does not say, as the last layer.
pub(super) fn compression(provenance: &Provenance, manifest: &Manifest) -> String {
    let parameter = provenance.build_definition.external_parameters.get("compression");
    let field = |key: &str| parameter.and_then(|parameter| parameter.get(key));
    let Some(kind) = field("type").and_then(Value::as_str) else {
        let last = manifest.layers.last().map_or("", |layer| layer.media_type.as_str());
        let kinds = ["gzip", "zstd"].into_iter().find(|kind| last.ends_with(kind));
        return format!("compression={}", kinds.unwrap_or("uncompressed"));
    };
    // A comma would begin another key.
    let mut keys = format!("compression={}", kind.split(',').next().unwrap_or_default());
    if let Some(level) = field("level").and_then(Value::as_i64) {
        keys.push_str(&format!(",compression-level={level}"));
    }
    if field("force").is_some_and(|force| force == true) {
        keys.push_str(",force-compression=true");
    }
    keys
}

/// Everything that the build took from elsewhere, pinned.
pub(super) fn lock(materials: &[Material]) -> Lock {
    let mut lock = Lock::default();
    for material in materials {
        if let (Sort::Image, Some(digest)) = (material.sort, material.digest) {
            lock.images.insert(material.name.clone(), digest);
        }
        if !matches!(material.sort, Sort::Git | Sort::Package | Sort::File) {
            continue;
        }
        let status = material.status.and_then(|status| u16::try_from(status).ok());
        let here = status.is_none();
        let file = LockedFile {
            digest: material.digest.filter(|_| here),
            size: material.size.filter(|_| here && material.digest.is_some()),
            commit: material.commit.clone(),
            // What leads elsewhere is pinned by where it leads.
            status: status.filter(|status| matches!(status, 404 | 410)),
            purl: material.purl.clone(),
        };
        if file.digest.is_some() || file.commit.is_some() || file.status.is_some() {
            lock.files.entry(material.uri.clone()).or_default().insert(file);
        }
    }
    lock
}

#[cfg(test)]
mod tests {
    use touchmark_builder::oci::descriptor::Descriptor;

    use super::*;

    fn provenance(external: &str, internal: &str) -> Provenance {
        let text = format!(
            r#"{{"buildDefinition":{{"buildType":"{BUILD_TYPE}","externalParameters":{external},
            "internalParameters":{internal}}},"runDetails":{{"builder":{{"id":"b"}}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_parameters_become_the_flags_that_they_were() {
        let recorded = provenance(
            r#"{"target":"app","platform":"linux/amd64","network":"none","harden":"off","shmSize":1024,
                "buildArgs":{"A":"1=2"},"labels":{"l":"v w"},"hosts":["db=192.0.2.7"],"ulimits":["nofile=1:2"]}"#,
            r#"{"sourceDateEpoch":7}"#,
        );
        assert_eq!(
            flags(&recorded),
            [
                "--target=app",
                "--platform=linux/amd64",
                "--network=none",
                "--harden=off",
                "--build-arg=A=1=2",
                "--label=l=v w",
                "--add-host=db=192.0.2.7",
                "--ulimit=nofile=1:2",
                "--shm-size=1024",
                "--build-arg=SOURCE_DATE_EPOCH=7"
            ]
        );
    }

    #[test]
    fn layers_are_compressed_as_they_were() {
        let manifest = |kind: &str| -> Manifest {
            let layer = Descriptor::of(kind, b"layer");
            Manifest::image(Descriptor::of("c", b"config"), vec![Descriptor::of("t", b""), layer])
        };
        let zstd = manifest("application/vnd.oci.image.layer.v1.tar+zstd");
        let exact = r#"{"compression":{"type":"gzip","level":9,"force":true}}"#;
        assert_eq!(
            compression(&provenance(exact, "{}"), &zstd),
            "compression=gzip,compression-level=9,force-compression=true"
        );
        let plain = r#"{"compression":{"type":"uncompressed"}}"#;
        assert_eq!(compression(&provenance(plain, "{}"), &zstd), "compression=uncompressed");
        let silent = provenance("{}", "{}");
        assert_eq!(compression(&silent, &zstd), "compression=zstd");
        assert_eq!(compression(&silent, &manifest("x.tar")), "compression=uncompressed");
    }

    #[test]
    fn what_nobody_recorded_is_said_plainly() {
        let recorded = provenance(
            r#"{"buildArgs":{"SECRET":null}}"#,
            r#"{"cacheMounts":["/root/.cache"],"entitlements":["network.host"]}"#,
        );
        let told = obstacles(&recorded, &[]);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("/root/.cache") && told[1].contains("host's network"));
        assert!(told[2].contains("'SECRET'"), "{told:?}");
        assert!(obstacles(&provenance("{}", "{}"), &[]).is_empty());
    }
}
