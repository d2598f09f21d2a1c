//! The user's own settings, which no project may change: `$XDG_CONFIG_HOME/touchmark/config.toml`.

use std::path::Path;

use serde::Deserialize;

use crate::{amount, config, error::CliError};

/// A larger file is none, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Where nothing is said, the data directory may take half of its file system, but no more than this.
const DEFAULT_CAP: u64 = 100_000_000_000;

/// The settings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserFile {
    #[serde(default)]
    cache: CacheSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CacheSettings {
    max_size: Option<MaxSize>,
}

/// What all of touchmark's data may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum MaxSize {
    Bytes(u64),
    /// Of the file system.
    Percent(u64),
    Unlimited,
}

impl TryFrom<String> for MaxSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
        match percent {
            Some(percent @ 1..=100) => Ok(Self::Percent(percent)),
            None if text == "none" => Ok(Self::Unlimited),
            _ => amount::bytes(&text).map(Self::Bytes).ok_or_else(|| {
                format!("'{text}' is no size; write for example \"20GB\", \"25%\" or \"none\"")
            }),
        }
    }
}

impl UserFile {
    /// Reads it; without a file, the defaults hold.
    pub(crate) fn read(path: &Path) -> Result<Self, CliError> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let fault = |reason: &str| {
            CliError::usage(format!("{} cannot be used: {}", path.display(), reason.trim_end()))
                .hint("docs/cache.md lists what can be set there")
        };
        let bytes = config::read_file(path, MAX_BYTES).map_err(|reason| fault(&reason))?;
        let text = String::from_utf8(bytes).map_err(|_| fault("it is not UTF-8 text"))?;
        toml::from_str(&text).map_err(|error| fault(&error.to_string()))
    }

    /// The bytes that may be below the directory `data`; none where there is no cap.
    pub(crate) fn cap(&self, data: &Path) -> Option<u64> {
        let disk = || {
            let parent = data.ancestors().find(|path| path.exists())?;
            let stat = rustix::fs::statvfs(parent).ok()?;
            Some(stat.f_blocks.saturating_mul(stat.f_frsize))
        };
        match self.cache.max_size {
            Some(MaxSize::Unlimited) => None,
            Some(MaxSize::Bytes(bytes)) => Some(bytes),
            Some(MaxSize::Percent(percent)) => Some(disk()? / 100 * percent),
            None => Some(disk().map_or(DEFAULT_CAP, |disk| DEFAULT_CAP.min(disk / 2))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(text: &str) -> Result<Option<u64>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let read = UserFile::read(&path).map_err(|error| error.to_string())?;
        Ok(read.cap(dir.path()))
    }

    #[test]
    fn the_cap_is_a_size_a_part_of_the_disk_or_none() {
        assert_eq!(cap("[cache]\nmax-size = \"20GB\"\n"), Ok(Some(20_000_000_000)));
        assert_eq!(cap("[cache]\nmax-size = \"none\"\n"), Ok(None));
        let tenth = cap("[cache]\nmax-size = \"10%\"\n").unwrap().unwrap();
        let whole = cap("[cache]\nmax-size = \"100%\"\n").unwrap().unwrap();
        assert!(tenth > 0 && whole / tenth == 10);
        assert_eq!(cap("").unwrap().unwrap(), DEFAULT_CAP.min(whole / 100 * 50));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for text in ["[cache]\nmax-size = \"much\"\n", "[cache]\nmax-size = \"101%\"\n"] {
            assert!(cap(text).unwrap_err().contains("is no size"));
        }
        assert!(cap("[cache]\nsize = 1\n").unwrap_err().contains("unknown field `size`"));
        assert!(cap("[other]\n").unwrap_err().contains("docs/cache.md"));
    }
}
