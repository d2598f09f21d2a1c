//! Annotations of an image as a user asks for them: each for a document, some for one platform only
//! (OCI image-spec, annotations.md).

use std::collections::BTreeMap;

use crate::oci::platform::Platform;

/// The document that an annotation stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The manifest of an image.
    Manifest,
    /// The descriptor of a manifest, in an index or in a layout's `index.json`.
    ManifestDescriptor,
    /// The index over several platforms.
    Index,
    /// The descriptor of that index.
    IndexDescriptor,
}

impl Level {
    /// All of them with the names that users give them.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("manifest", Self::Manifest),
        ("manifest-descriptor", Self::ManifestDescriptor),
        ("index", Self::Index),
        ("index-descriptor", Self::IndexDescriptor),
    ];

    /// The level of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, level)| *level)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, level)| *level == self).map_or("", |(name, _)| name)
    }
}

/// One annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Where it stands.
    pub level: Level,
    /// For this platform's image only.
    pub platform: Option<Platform>,
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
}

/// All annotations of a result; of two with the same key, the later one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations(pub Vec<Annotation>);

impl Annotations {
    /// Those of a document about one platform's image.
    #[must_use]
    pub fn of(&self, level: Level, platform: &Platform) -> BTreeMap<String, String> {
        self.pick(level, |wanted| wanted.is_none_or(|wanted| wanted.accepts(platform)))
    }

    /// Those of a document about all platforms.
    #[must_use]
    pub fn of_all(&self, level: Level) -> BTreeMap<String, String> {
        self.pick(level, |_| true)
    }

    /// The first one that only an index can carry.
    #[must_use]
    pub fn first_of_index(&self) -> Option<&Annotation> {
        let levels = [Level::Index, Level::IndexDescriptor];
        self.0.iter().find(|annotation| levels.contains(&annotation.level))
    }

    fn pick(
        &self,
        level: Level,
        platform: impl Fn(Option<&Platform>) -> bool,
    ) -> BTreeMap<String, String> {
        self.0
            .iter()
            .filter(|one| one.level == level && platform(one.platform.as_ref()))
            .map(|one| (one.key.clone(), one.value.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_gets_its_own_and_those_of_all() {
        let one = |level, platform: Option<&str>, key: &str, value: &str| Annotation {
            level,
            platform: platform.map(|text| text.parse().unwrap()),
            key: key.into(),
            value: value.into(),
        };
        let all = Annotations(vec![
            one(Level::Manifest, None, "a", "1"),
            one(Level::Manifest, Some("linux/arm64"), "a", "2"),
            one(Level::Index, None, "i", "3"),
        ]);
        let of = |platform: &str| all.of(Level::Manifest, &platform.parse().unwrap());
        assert_eq!(of("linux/amd64")["a"], "1");
        assert_eq!(of("linux/arm64")["a"], "2");
        assert_eq!(all.of_all(Level::Index)["i"], "3");
        assert_eq!(all.first_of_index().unwrap().key, "i");
    }

    #[test]
    fn every_level_has_a_name() {
        for (name, level) in Level::NAMES {
            assert_eq!((Level::of_name(name), level.name()), (Some(level), name));
        }
    }
}
