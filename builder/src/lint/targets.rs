//! The targets that a Dockerfile offers: `--call targets`.

use serde::Serialize;

use super::place::{Location, description};
use crate::dockerfile::Dockerfile;

/// The answer, in the form that BuildKit gives it.
#[derive(Debug, Clone, Serialize)]
pub struct Targets {
    /// One for each stage, in the order of the file.
    pub targets: Vec<Target>,
}

/// A stage that can be built.
#[derive(Debug, Clone, Serialize)]
pub struct Target {
    /// Its name in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Is it what is built when no target is named?
    #[serde(skip_serializing_if = "is_false")]
    pub default: bool,
    /// What the comment before it says behind its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it builds on, as it is written.
    pub base: String,
    /// `--platform`, as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Its FROM.
    pub location: Location,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Targets {
    /// The targets of a file.
    #[must_use]
    pub fn of(file: &Dockerfile) -> Self {
        let last = file.stages.len();
        let targets = file.stages.iter().enumerate().map(|(index, stage)| Target {
            name: stage.name.clone(),
            default: index + 1 == last,
            description: stage.name.as_ref().and_then(|name| description(&stage.comments, name)),
            base: stage.base.text.clone(),
            platform: stage.platform.as_ref().map(|platform| platform.text.clone()),
            location: stage.span.into(),
        });
        Self { targets: targets.collect() }
    }

    /// A table for people.
    #[must_use]
    pub fn table(&self) -> Vec<Vec<String>> {
        let header = vec!["TARGET".to_owned(), "DESCRIPTION".to_owned()];
        let rows = self.targets.iter().map(|target| {
            let mark = if target.default { "(default)" } else { "" };
            let name = match &target.name {
                Some(name) if target.default => format!("{name} {mark}"),
                Some(name) => name.clone(),
                None => mark.to_owned(),
            };
            vec![name, target.description.clone().unwrap_or_default()]
        });
        // A stage without a name is no target, unless it is the default.
        std::iter::once(header).chain(rows.filter(|row| !row[0].is_empty())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_with_names_comments_and_platforms() {
        let source = "# base begins\nFROM scratch AS Base\nFROM base\n\
                      # last is the last\nFROM --platform=$BUILDPLATFORM base AS last\n";
        let targets = Targets::of(&Dockerfile::parse(source).unwrap());
        assert_eq!(
            serde_json::to_string(&targets).unwrap(),
            r#"{"targets":[{"name":"base","description":"begins","base":"scratch","location":{"ranges":[{"start":{"line":2},"end":{"line":2}}]}},{"base":"base","location":{"ranges":[{"start":{"line":3},"end":{"line":3}}]}},{"name":"last","default":true,"description":"is the last","base":"base","platform":"$BUILDPLATFORM","location":{"ranges":[{"start":{"line":5},"end":{"line":5}}]}}]}"#
        );
        assert_eq!(
            targets.table(),
            [["TARGET", "DESCRIPTION"], ["base", "begins"], ["last (default)", "is the last"]]
        );
    }
}
