//! The named presets of `network.allow`: the official package registries, one data file each.

use super::{fault::Faults, mirror::Mirror, section::Section};
use toml::de::DeTable;

/// One file of `presets/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// The word in the policy file.
    pub name: &'static str,
    /// Whether it is allowed where the policy says nothing.
    pub default: bool,
    data: &'static str,
}

macro_rules! preset {
    ($name:literal, $default:literal) => {
        Preset {
            name: $name,
            default: $default,
            data: include_str!(concat!("presets/", $name, ".toml")),
        }
    };
}

/// Every preset. `github` is not on by default: anyone can publish anything there.
pub const PRESETS: [Preset; 13] = [
    preset!("debian", true),
    preset!("ubuntu", true),
    preset!("alpine", true),
    preset!("fedora", true),
    preset!("pypi", true),
    preset!("npm", true),
    preset!("crates", true),
    preset!("golang", true),
    preset!("maven", true),
    preset!("rubygems", true),
    preset!("nuget", true),
    preset!("composer", true),
    preset!("github", false),
];

impl Preset {
    /// The preset of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// What it is for, one line.
    #[must_use]
    pub fn about(&self) -> String {
        self.read().0
    }

    /// Its rules.
    #[must_use]
    pub fn mirrors(&self) -> Vec<Mirror> {
        self.read().1
    }

    /// The preset that has a rule for `host`.
    #[must_use]
    pub fn of_host(host: &str) -> Option<&'static Self> {
        let has = |mirror: &Mirror| mirror.host().matches(host);
        PRESETS.iter().find(|preset| preset.mirrors().iter().any(has))
    }

    /// The type that the ecosystem's packages have in package URLs, as in `deb`; none where any files are.
    #[must_use]
    pub fn ecosystem(&self) -> Option<String> {
        let (document, _) = DeTable::parse_recoverable(self.data);
        let section = Section::new("the policy", &document);
        section.text("ecosystem", &mut Faults::new(self.data)).map(|text| text.value.to_owned())
    }

    /// How the ecosystem's servers lay out their files: patterns, the first that fits a path tells which part
    /// of the server it belongs to. `*` and a leading `**` stand for what a policy has to spell out.
    #[must_use]
    pub fn areas(&self) -> Vec<String> {
        let (document, _) = DeTable::parse_recoverable(self.data);
        let section = Section::new("the policy", &document);
        let areas = section.texts("areas", &mut Faults::new(self.data)).unwrap_or_default();
        areas.into_iter().map(|text| text.value.to_owned()).collect()
    }

    /// The files are compiled in, and a test proves each free of faults.
    fn read(&self) -> (String, Vec<Mirror>) {
        let (document, _) = DeTable::parse_recoverable(self.data);
        let section = Section::new("the policy", &document);
        let mut faults = Faults::new(self.data);
        let about = section.text("about", &mut faults).map(|text| text.value.to_owned());
        let origin = format!("preset {}", self.name);
        let mirrors = section
            .sections("mirror", &mut faults)
            .iter()
            .filter_map(|table| Mirror::read(table, &origin, &mut faults))
            .collect();
        (about.unwrap_or_default(), mirrors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::glob::Glob;

    #[test]
    fn each_preset_is_free_of_faults_and_names_hosts() {
        for preset in PRESETS {
            let (document, errors) = DeTable::parse_recoverable(preset.data);
            assert!(errors.is_empty(), "{}: {errors:?}", preset.name);
            let section = Section::new("the policy", &document);
            let mut faults = Faults::new(preset.data);
            section.only(&["about", "ecosystem", "areas", "mirror"], &mut faults);
            assert!(preset.areas().iter().all(|area| Glob::new(area).is_ok()), "{}", preset.name);
            assert_eq!(preset.ecosystem().is_some(), !preset.areas().is_empty());
            for table in section.sections("mirror", &mut faults) {
                assert!(Mirror::read(&table, "x", &mut faults).is_some(), "{}", preset.name);
            }
            faults.into_result(preset.name).unwrap();
            assert!(!preset.about().is_empty() && !preset.mirrors().is_empty());
        }
    }

    /// `docs/mirrors.md` holds the presets as a table; this is the only writer of its rows.
    #[test]
    fn the_document_lists_the_presets() {
        let rows: Vec<String> = PRESETS.iter().map(row).collect();
        let document = include_str!("../../../docs/mirrors.md");
        let missing: Vec<&String> =
            rows.iter().filter(|row| !document.contains(row.as_str())).collect();
        let count = document.lines().filter(|line| line.starts_with("| `")).count();
        assert!(missing.is_empty() && count == rows.len(), "the table is:\n{}", rows.join("\n"));
    }

    fn row(preset: &Preset) -> String {
        let hosts: Vec<String> =
            preset.mirrors().iter().map(|mirror| mirror.host().to_string()).collect();
        let default = if preset.default { "yes" } else { "no" };
        format!("| `{}` | {} | {} | {default} |", preset.name, preset.about(), hosts.join(", "))
    }
}
