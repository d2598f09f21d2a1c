//! `--annotation [LEVEL[PLATFORM],…:]KEY=VALUE`, and the keys `annotation[-LEVEL][PLATFORM].KEY` of
//! `--output`.

use touchmark_builder::{
    dockerfile::suggest::nearest,
    image::annotations::{Annotation, Level},
    oci::platform::Platform,
};

use crate::error::CliError;

/// Reads one `--annotation`; it can name several levels.
pub(super) fn flag(text: &str) -> Result<Vec<Annotation>, CliError> {
    let Some((left, value)) = text.split_once('=') else {
        return Err(CliError::usage(format!("--annotation: '{text}' is not KEY=VALUE"))
            .hint("write for example --annotation org.opencontainers.image.title=app"));
    };
    let Some((levels, key)) = left.split_once(':') else {
        return Ok(vec![one((Level::Manifest, None), left, value, text)?]);
    };
    levels.split(',').map(|level| one(self::level(level, text)?, key, value, text)).collect()
}

/// Reads a key of `--output` that begins with `annotation`.
pub(super) fn key(key: &str, value: &str) -> Result<Annotation, CliError> {
    let rest = key.strip_prefix("annotation").unwrap_or(key);
    // A platform has no dot, a key mostly has some.
    let (left, name) = rest.split_once('.').unwrap_or((rest, ""));
    let place = match (left, left.strip_prefix('-')) {
        ("", _) => (Level::Manifest, None),
        (_, Some(named)) => level(named, key)?,
        // `annotation[linux/amd64].KEY`
        (unnamed, None) => level(&format!("manifest{unnamed}"), key)?,
    };
    one(place, name, value, key)
}

fn one(
    (level, platform): (Level, Option<Platform>),
    key: &str,
    value: &str,
    text: &str,
) -> Result<Annotation, CliError> {
    if key.is_empty() {
        return Err(CliError::usage(format!("the annotation '{text}' has no key"))
            .hint("write for example org.opencontainers.image.title=app"));
    }
    Ok(Annotation { level, platform, key: key.into(), value: value.into() })
}

/// `LEVEL` or `LEVEL[PLATFORM]`.
fn level(text: &str, whole: &str) -> Result<(Level, Option<Platform>), CliError> {
    let (name, platform) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((name, platform)) => (name, Some(platform)),
        None => (text, None),
    };
    let Some(level) = Level::of_name(name) else {
        let fault = CliError::usage(format!(
            "the annotation '{whole}' is for '{name}', which is no document of an image"
        ));
        let names = Level::NAMES.map(|(name, _)| name);
        return Err(match nearest(name, names) {
            Some(near) => fault.hint(format!("did you mean {near}?")),
            None => fault.hint(format!("the documents are {}", names.join(", "))),
        });
    };
    let platform = platform.map(str::parse).transpose().map_err(|error| {
        CliError::usage(format!("the annotation '{whole}': {error}"))
            .hint("write for example manifest[linux/arm64]:KEY=VALUE")
    })?;
    Ok((level, platform))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_the_manifest_unless_it_is_named() {
        let read = |text: &str| {
            let found = flag(text).unwrap().into_iter().map(|one| {
                let platform = one.platform.map(|platform| platform.to_string());
                (one.level.name(), platform, one.key, one.value)
            });
            found.collect::<Vec<_>>()
        };
        let entry = |level, platform: Option<&str>, key: &str, value: &str| {
            (level, platform.map(ToOwned::to_owned), key.to_owned(), value.to_owned())
        };
        assert_eq!(read("a.b=c=d"), [entry("manifest", None, "a.b", "c=d")]);
        assert_eq!(
            read("index,manifest-descriptor[linux/arm64]:k="),
            [
                entry("index", None, "k", ""),
                entry("manifest-descriptor", Some("linux/arm64"), "k", "")
            ]
        );
        let found = key("annotation-manifest[linux/amd64].a.b", "c").unwrap();
        assert_eq!((found.level, found.key.as_str()), (Level::Manifest, "a.b"));
        assert_eq!(found.platform.unwrap().to_string(), "linux/amd64");
        assert_eq!(
            key("annotation-index-descriptor.a", "c").unwrap().level,
            Level::IndexDescriptor
        );
        assert_eq!(key("annotation.a", "c").unwrap().level, Level::Manifest);
    }

    #[test]
    fn faults_say_what_to_write() {
        let fault = |text: &str| flag(text).unwrap_err().to_string();
        assert_eq!(
            fault("title"),
            "--annotation: 'title' is not KEY=VALUE\n\
             help: write for example --annotation org.opencontainers.image.title=app"
        );
        assert_eq!(
            fault("manifset:a=b"),
            "the annotation 'manifset:a=b' is for 'manifset', which is no document of an image\n\
             help: did you mean manifest?"
        );
        assert_eq!(
            fault("layer:a=b"),
            "the annotation 'layer:a=b' is for 'layer', which is no document of an image\n\
             help: the documents are manifest, manifest-descriptor, index, index-descriptor"
        );
        assert_eq!(
            fault("manifest[arm]:a=b"),
            "the annotation 'manifest[arm]:a=b': 'arm' is not a platform of the form \
             os/architecture[/variant]\nhelp: write for example manifest[linux/arm64]:KEY=VALUE"
        );
        assert_eq!(
            fault("manifest:=b"),
            "the annotation 'manifest:=b' has no key\n\
             help: write for example org.opencontainers.image.title=app"
        );
    }
}
