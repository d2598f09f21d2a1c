//! Platforms (OCI image-spec, image-index.md, `platform`), written `os/architecture[/variant]`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An operating system and a processor architecture, in Go's names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Processor architecture: `amd64`, `arm64`, …
    pub architecture: String,
    /// Operating system: `linux`, …
    pub os: String,
    /// Architecture variant, such as `v7` for arm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Why a text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a platform of the form os/architecture[/variant]")]
pub struct PlatformError(String);

impl Platform {
    /// The platform this program runs on.
    #[must_use]
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self { architecture: architecture.into(), os: "linux".into(), variant: None }
    }

    /// Reads what people write: `os/architecture[/variant]`, an operating system alone or an architecture
    /// alone, in the usual form (see [`Self::usual`]). What is not named is that of `build`.
    #[must_use]
    pub fn specified(text: &str, build: &Platform) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let platform = match lower.as_str() {
            "linux" | "windows" | "darwin" | "freebsd" => Platform { os: lower, ..build.clone() },
            alone if ARCHITECTURES.contains(&alone) => format!("linux/{alone}").parse().ok()?,
            full => full.parse().ok()?,
        };
        Some(platform.usual())
    }

    /// The same platform under its usual name: `x86_64` is `amd64`, `arm` is `arm/v7`, and the variants
    /// that go without saying are left out (`arm64/v8`, `amd64/v1`).
    #[must_use]
    pub fn usual(mut self) -> Self {
        let architecture = match self.architecture.as_str() {
            "x86_64" | "x86-64" => "amd64",
            "aarch64" => "arm64",
            "i386" => "386",
            "armhf" => {
                self.variant = Some("v7".into());
                "arm"
            }
            "armel" => {
                self.variant = Some("v6".into());
                "arm"
            }
            other => other,
        };
        self.architecture = architecture.into();
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", Some("v8" | "8")) | ("amd64", Some("v1")) | ("386", Some(_)) => {
                self.variant = None;
            }
            ("arm", None) => self.variant = Some("v7".into()),
            ("arm", Some(digit @ ("5" | "6" | "7" | "8"))) => {
                self.variant = Some(format!("v{digit}"));
            }
            _ => {}
        }
        self
    }

    /// Can an image made for `offered` stand for this platform? The variant counts only where both
    /// name one.
    #[must_use]
    pub fn accepts(&self, offered: &Platform) -> bool {
        let variants = self.variant.as_ref().zip(offered.variant.as_ref());
        self.os == offered.os
            && self.architecture == offered.architecture
            && variants.is_none_or(|(own, other)| own == other)
    }

    /// Can a processor of this platform run programs of `other` by itself? Its own, and those of the
    /// architecture that it grew out of; whether the kernel was built for these too only a try can tell.
    #[must_use]
    pub fn runs(&self, other: &Platform) -> bool {
        let older = (self.architecture.as_str(), other.architecture.as_str()) == ("amd64", "386");
        self.accepts(other) || older && self.os == other.os
    }
}

/// The architectures that may stand alone.
const ARCHITECTURES: [&str; 17] = [
    "amd64", "x86_64", "x86-64", "arm64", "aarch64", "arm", "armhf", "armel", "386", "i386",
    "ppc64", "ppc64le", "s390x", "riscv64", "mips64le", "loong64", "wasm",
];

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(PlatformError(text.into())),
        };
        if parts.iter().any(|part| part.is_empty()) {
            return Err(PlatformError(text.into()));
        }
        Ok(Self {
            architecture: match architecture {
                "x86_64" => "amd64".into(),
                "aarch64" => "arm64".into(),
                other => other.into(),
            },
            os: os.into(),
            variant: variant.map(Into::into),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusal() {
        for text in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        assert_eq!("linux/x86_64".parse::<Platform>().unwrap().to_string(), "linux/amd64");
        for text in ["linux", "linux/", "a/b/c/d"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn short_forms() {
        let build = "linux/amd64".parse().unwrap();
        let show =
            |text: &str| Platform::specified(text, &build).map(|platform| platform.to_string());
        for (text, usual) in [
            ("linux/arm64/v8", "linux/arm64"),
            ("arm", "linux/arm/v7"),
            ("linux/arm/7", "linux/arm/v7"),
            ("armhf", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux", "linux/amd64"),
            ("Linux/aarch64", "linux/arm64"),
            ("x86_64", "linux/amd64"),
            ("linux/i386", "linux/386"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(show(text).as_deref(), Some(usual), "{text}");
        }
        assert_eq!(show("toaster"), None);
        assert_eq!(show("linux/"), None);
    }

    #[test]
    fn a_processor_runs_its_own_and_its_predecessors_programs() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        let runs = |own: &str, other: &str| platform(own).runs(&platform(other));
        assert!(runs("linux/amd64", "linux/amd64"));
        assert!(runs("linux/amd64", "linux/386"));
        assert!(!runs("linux/386", "linux/amd64"));
        assert!(!runs("linux/amd64", "linux/arm64"));
        assert!(!runs("linux/amd64", "windows/amd64"));
        let accepts = |own: &str, other: &str| platform(own).accepts(&platform(other));
        assert!(!accepts("linux/amd64", "linux/386"));
        assert!(accepts("linux/arm", "linux/arm/v6"));
        assert!(!accepts("linux/arm/v7", "linux/arm/v6"));
    }
}
