//! Choosing the manifest of a platform out of an index.

use crate::oci::{descriptor::Descriptor, manifest::Index, platform::Platform};

/// An index has nothing for the platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no manifest for {wanted}, only for {}", list(.offered))]
pub struct NoPlatform {
    /// The platform that was wanted.
    pub wanted: Platform,
    /// What there is.
    pub offered: Vec<Platform>,
}

/// The manifest for `wanted`, or the nearest that `wanted` can run, in the order that containerd has: an
/// arm/v7 machine runs v6, an arm64 machine arm, an amd64 machine 386; an amd64 machine of unknown level is
/// only trusted with level 1. Entries without platform or for `unknown` (attestations) are never chosen. Of
/// two equal entries the first counts, as everywhere in the field.
///
/// # Errors
/// [`NoPlatform`] with the platforms there are.
pub fn select_platform(index: &Index, wanted: &Platform) -> Result<Descriptor, NoPlatform> {
    let runnable = runnable(wanted);
    let rank = |offered: &Platform| {
        if offered.os != wanted.os {
            return None;
        }
        let own = (offered.architecture.clone(), variants(offered).into_iter().next()?);
        runnable.iter().position(|one| *one == own)
    };
    let entries =
        index.manifests.iter().filter_map(|entry| Some((entry, entry.platform.as_ref()?)));
    let fitting = entries.clone().filter_map(|(entry, platform)| Some((rank(platform)?, entry)));
    fitting.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry.clone()).ok_or_else(|| {
        let real = entries.filter(|(_, platform)| platform.os != "unknown");
        let offered = real.map(|(_, platform)| platform.clone()).collect();
        NoPlatform { wanted: wanted.clone(), offered }
    })
}

/// Architectures and variants that run on this platform, best first.
fn runnable(platform: &Platform) -> Vec<(String, String)> {
    let of = |platform: &Platform| {
        let architecture = platform.architecture.clone();
        variants(platform).into_iter().map(move |variant| (architecture.clone(), variant))
    };
    let older = match platform.architecture.as_str() {
        "amd64" => Some(("386", None)),
        "arm64" => Some(("arm", Some("v8".to_owned()))),
        _ => None,
    };
    let older = older.map(|(architecture, variant)| Platform {
        architecture: architecture.into(),
        os: platform.os.clone(),
        variant,
    });
    of(platform).chain(older.iter().flat_map(of)).collect()
}

/// The variants that run on this platform, best first; the first is its own, with the architecture's
/// customary one where none is named.
fn variants(platform: &Platform) -> Vec<String> {
    let named = platform.variant.clone();
    let levels = |customary: u32, lowest: u32| {
        let own = named.clone().unwrap_or_else(|| format!("v{customary}"));
        let level: Option<u32> = own.strip_prefix('v').and_then(|level| level.parse().ok());
        match level {
            Some(level) if level < 100 => {
                (lowest..=level.max(lowest)).rev().map(|n| format!("v{n}")).collect()
            }
            _ => vec![own],
        }
    };
    match platform.architecture.as_str() {
        "arm" => levels(7, 5),
        "arm64" => levels(8, 8),
        "amd64" => levels(1, 1),
        _ => vec![named.unwrap_or_default()],
    }
}

fn list(offered: &[Platform]) -> String {
    let names: Vec<String> = offered.iter().map(ToString::to_string).take(30).collect();
    if names.is_empty() { "none at all".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::Digest;

    fn index(platforms: &[&str]) -> Index {
        let entry = |name: &&str| {
            let mut entry = Descriptor::new("x", Digest::of(name.as_bytes()), 1);
            entry.platform = name.parse().ok();
            entry
        };
        Index::new(platforms.iter().map(entry).collect())
    }

    fn chosen(platforms: &[&str], wanted: &str) -> String {
        match select_platform(&index(platforms), &wanted.parse().unwrap()) {
            Ok(entry) => entry.platform.unwrap().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_platform_or_the_best_that_runs_on_it() {
        let all =
            ["unknown/unknown", "linux/amd64", "linux/arm/v5", "linux/arm/v7", "linux/arm64/v8"];
        assert_eq!(chosen(&all, "linux/amd64"), "linux/amd64");
        assert_eq!(chosen(&all, "linux/arm64"), "linux/arm64/v8");
        assert_eq!(chosen(&all, "linux/arm64/v9"), "linux/arm64/v8");
        assert_eq!(chosen(&all, "linux/arm"), "linux/arm/v7");
        assert_eq!(chosen(&all, "linux/arm/v6"), "linux/arm/v5");
        let levels = ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64"];
        assert_eq!(chosen(&levels, "linux/amd64"), "linux/amd64");
        assert_eq!(chosen(&levels, "linux/amd64/v4"), "linux/amd64/v3");
        assert_eq!(chosen(&["linux/386"], "linux/386"), "linux/386");
    }

    #[test]
    fn an_older_architecture_that_runs_on_it_is_better_than_none() {
        assert_eq!(chosen(&["linux/386", "linux/amd64"], "linux/amd64"), "linux/amd64");
        assert_eq!(chosen(&["linux/386"], "linux/amd64"), "linux/386");
        let arm = ["linux/arm/v6", "linux/arm/v7"];
        assert_eq!(chosen(&arm, "linux/arm64"), "linux/arm/v7");
        assert_eq!(
            chosen(&["linux/arm64"], "linux/arm"),
            "no manifest for linux/arm, only for linux/arm64"
        );
    }

    #[test]
    fn without_one_the_others_are_listed() {
        assert_eq!(
            chosen(&["linux/amd64", "linux/arm/v7", "unknown/unknown", "-"], "linux/riscv64"),
            "no manifest for linux/riscv64, only for linux/amd64, linux/arm/v7"
        );
        assert_eq!(chosen(&[], "linux/amd64"), "no manifest for linux/amd64, only for none at all");
        assert_eq!(
            chosen(&["linux/amd64/v3"], "linux/amd64"),
            "no manifest for linux/amd64, only for linux/amd64/v3"
        );
    }
}
