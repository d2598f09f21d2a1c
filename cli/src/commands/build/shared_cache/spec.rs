//! The text of one `--cache-from` or `--cache-to`.

use touchmark_builder::{dockerfile::suggest::nearest, layer::Compression, shared_cache::Mounts};

use super::super::outputs::spec::fields;
use crate::error::CliError;

/// Fields by name, as they were given.
#[derive(Debug)]
pub(super) struct Spec<'a> {
    flag: &'static str,
    text: &'a str,
    fields: Vec<(String, String)>,
}

/// Stores of other services, which have their own clients.
const SERVICES: [&str; 3] = ["gha", "s3", "azblob"];

impl<'a> Spec<'a> {
    /// Splits it. A name alone is a cache in a registry.
    pub(super) fn read(flag: &'static str, text: &'a str) -> Result<Self, CliError> {
        let parts = fields(text).map_err(|_| {
            CliError::usage(format!("{flag} '{text}' cannot be read: a quote is out of place"))
                .hint("quote a whole field that holds a comma, and double the quotes in it")
        })?;
        let mut spec = Self { flag, text, fields: Vec::new() };
        if let [name] = parts.as_slice()
            && !name.contains('=')
        {
            let field = |key: &str, value: &str| (key.to_owned(), value.to_owned());
            spec.fields = vec![field("type", "registry"), field("ref", name)];
            return Ok(spec);
        }
        for part in parts {
            let Some((key, value)) = part.split_once('=') else {
                return Err(spec.fault(&format!("'{part}' is not KEY=VALUE")));
            };
            let (key, value) = (key.trim().to_lowercase(), value.trim().to_owned());
            if spec.value(&key).is_some() {
                return Err(spec.fault(&format!("{key}= stands there twice")));
            }
            spec.fields.push((key, value));
        }
        Ok(spec)
    }

    /// `type`; none is a fault of its own.
    pub(super) fn kind(&self) -> &str {
        self.value("type").unwrap_or_default()
    }

    /// A type that this flag does not have.
    pub(super) fn unknown(&self, kind: &str, known: &str) -> CliError {
        let flag = self.flag;
        if SERVICES.contains(&kind) {
            let remedy = match flag {
                "--cache-to" => "use type=registry, or type=local and upload the directory",
                _ => "use type=registry, or download the directory and use type=local",
            };
            return CliError::usage(format!(
                "{flag}: type={kind} is not there: touchmark speaks to registries only"
            ))
            .hint(remedy);
        }
        match (kind, flag) {
            ("", _) => self.fault("type= is missing"),
            ("inline", "--cache-from") => {
                CliError::usage("--cache-from: an inline cache is read by the name of its image")
                    .hint("write --cache-from NAME")
            }
            _ => CliError::usage(format!("{flag} does not know type={kind}"))
                .hint(format!("the types are {known}")),
        }
    }

    /// The value of a field.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// The value of a field that has to be there.
    pub(super) fn needed(&self, key: &str) -> Result<&str, CliError> {
        let value = self.value(key).filter(|value| !value.is_empty());
        value.ok_or_else(|| self.fault(&format!("{key}= is missing")))
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, CliError> {
        match self.value(key) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(self.fault(&format!("{key}={other} is neither true nor false"))),
        }
    }

    /// Every field but `type` is one of these.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), CliError> {
        for (key, value) in self.fields.iter().filter(|(key, _)| key != "type") {
            if known.contains(&key.as_str()) {
                continue;
            }
            if key == "registry.insecure" {
                return match value.as_str() {
                    "false" | "0" => Ok(()),
                    _ => Err(CliError::usage(format!(
                        "{}: which registries may be spoken to without TLS is the policy's to say",
                        self.flag
                    ))
                    .hint("write plain-http = true for that registry into touchmark.toml")),
                };
            }
            let fault = CliError::usage(format!(
                "{} type={} does not know the key '{key}'",
                self.flag,
                self.kind()
            ));
            return Err(match nearest(key, known.iter().copied()) {
                Some(near) => fault.hint(format!("did you mean {near}=?")),
                None if known.is_empty() => fault.hint("this type has no keys"),
                None => fault.hint(format!("its keys are {}", known.join(", "))),
            });
        }
        Ok(())
    }

    /// `mounts=all` or `mounts=ID[+ID…]`.
    pub(super) fn mounts(&self) -> Result<Mounts, CliError> {
        Ok(match self.value("mounts") {
            None | Some("none") => Mounts::None,
            Some("all") => Mounts::All,
            Some("") => return Err(self.fault("mounts= names no cache mount")),
            Some(ids) => Mounts::Named(ids.split('+').map(str::to_owned).collect()),
        })
    }

    /// `compression` with `compression-level`.
    pub(super) fn compression(&self) -> Result<Option<Compression>, CliError> {
        let level = self.value("compression-level").map(str::parse::<i32>).transpose();
        let level = level.map_err(|_| self.fault("compression-level= is no number"))?;
        let gzip = |level: i32| u32::try_from(level).ok().filter(|level| *level <= 9);
        let found = match (self.value("compression"), level) {
            (None, None) => return Ok(None),
            (Some("uncompressed"), _) => Some(Compression::None),
            (Some("gzip"), None) => Some(Compression::Gzip { level: 6 }),
            (None | Some("gzip"), Some(level)) => {
                gzip(level).map(|level| Compression::Gzip { level })
            }
            (Some("zstd"), None) => Some(Compression::Zstd { level: 3 }),
            (Some("zstd"), Some(level)) => {
                (1..=22).contains(&level).then_some(Compression::Zstd { level })
            }
            (Some(other), _) => {
                return Err(CliError::usage(format!(
                    "{}: compression={other} is not there",
                    self.flag
                ))
                .hint("write gzip, zstd or uncompressed"));
            }
        };
        found.map(Some).ok_or_else(|| {
            self.fault("compression-level= is out of range: gzip has 0 to 9, zstd 1 to 22")
        })
    }

    /// Something that cannot be read, with how it is written.
    pub(super) fn fault(&self, reason: &str) -> CliError {
        let form = match self.flag {
            "--cache-to" => {
                "write type=registry,ref=NAME[,mode=max], type=local,dest=DIRECTORY or type=inline"
            }
            _ => "write NAME, type=registry,ref=NAME or type=local,src=DIRECTORY",
        };
        CliError::usage(format!("{} '{}': {reason}", self.flag, self.text)).hint(form)
    }
}
