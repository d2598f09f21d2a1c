//! `--platform` of FROM, in the short forms that BuildKit takes as well.

use crate::oci::platform::Platform;

/// Reads `os/architecture[/variant]`, an operating system alone or an architecture alone; the variants
/// that go without saying are dropped or added.
pub(super) fn parse(text: &str, build: &Platform) -> Option<Platform> {
    let lower = text.to_ascii_lowercase();
    let mut platform: Platform = match lower.as_str() {
        "linux" | "windows" | "darwin" | "freebsd" => Platform { os: lower, ..build.clone() },
        alone if !alone.contains('/') && is_architecture(alone) => {
            format!("linux/{alone}").parse().ok()?
        }
        full => full.parse().ok()?,
    };
    let architecture = match platform.architecture.as_str() {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "i386" => "386",
        "armhf" => "arm",
        other => other,
    };
    platform.architecture = architecture.into();
    match (platform.architecture.as_str(), platform.variant.as_deref()) {
        ("arm64", Some("v8" | "8")) | ("amd64", Some("v1")) => platform.variant = None,
        ("arm", None) => platform.variant = Some("v7".into()),
        ("arm", Some(digit @ ("5" | "6" | "7" | "8"))) => {
            platform.variant = Some(format!("v{digit}"));
        }
        _ => {}
    }
    Some(platform)
}

fn is_architecture(text: &str) -> bool {
    let known = [
        "amd64", "x86_64", "x86-64", "arm64", "aarch64", "arm", "armhf", "386", "i386", "ppc64le",
        "s390x", "riscv64", "mips64le", "loong64", "wasm",
    ];
    known.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn short_forms() {
        let build = "linux/amd64".parse().unwrap();
        let show = |text: &str| parse(text, &build).map(|platform| platform.to_string());
        assert_eq!(show("linux/arm64/v8").as_deref(), Some("linux/arm64"));
        assert_eq!(show("arm").as_deref(), Some("linux/arm/v7"));
        assert_eq!(show("linux").as_deref(), Some("linux/amd64"));
        assert_eq!(show("Linux/aarch64").as_deref(), Some("linux/arm64"));
        assert_eq!(show("toaster"), None);
        assert_eq!(show("linux/"), None);
    }
}
