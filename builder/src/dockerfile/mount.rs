//! The value of `RUN --mount=`: a comma-separated line of `key=value` (Dockerfile reference,
//! "RUN --mount").

use super::{expansion::ExpansionError, suggest};

/// What is mounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MountType {
    /// A directory or file of the context, a stage or an image.
    #[default]
    Bind,
    /// A directory that outlives the build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A secret, as file or environment variable.
    Secret,
    /// The socket of an SSH agent.
    Ssh,
}

/// How a cache is shared between steps that run at the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// All write at once.
    #[default]
    Shared,
    /// A busy cache is not waited for; the step gets another.
    Private,
    /// One after the other.
    Locked,
}

/// The options of one mount, values expanded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// `type`
    pub kind: MountType,
    /// `from`
    pub from: Option<String>,
    /// `source`, `src`
    pub source: Option<String>,
    /// `target`, `dst`, `destination`
    pub target: Option<String>,
    /// `readonly`, `ro`, `readwrite`, `rw`; by default bind mounts are, caches and tmpfs are not.
    pub read_only: bool,
    /// `required`
    pub required: bool,
    /// `size` in bytes; 0 is no limit.
    pub size: Option<u64>,
    /// `id`
    pub id: Option<String>,
    /// `sharing`
    pub sharing: Sharing,
    /// `mode`, permission bits.
    pub mode: Option<u32>,
    /// `uid`
    pub uid: Option<u32>,
    /// `gid`
    pub gid: Option<u32>,
    /// `env`
    pub env: Option<String>,
}

/// Why a mount is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// A quote inside a field, or one that is not closed.
    #[error("--mount: the quotes of '{0}' do not match")]
    Quotes(String),
    /// A key nobody knows.
    #[error("--mount: unknown key '{0}'")]
    Key(String),
    /// A key that needs a value.
    #[error("--mount: the key '{0}' needs a value")]
    NoValue(String),
    /// A value that cannot be used.
    #[error("--mount: '{value}' is no value of '{key}'")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What to write.
        help: &'static str,
    },
    /// A key that another type of mount has.
    #[error("--mount: '{key}' does not go with a {kind} mount")]
    Misplaced {
        /// The key.
        key: String,
        /// The mount's type.
        kind: &'static str,
    },
    /// A variable in `from`.
    #[error("--mount: 'from' cannot hold a variable")]
    FromVariable,
    /// A secret without a name.
    #[error("--mount: a secret needs 'id' or 'target'")]
    NoSecret,
    /// A secret with two names.
    #[error("--mount: a secret has either 'id' or 'source'")]
    TwoSecrets,
    /// A variable that cannot be expanded.
    #[error("--mount: {0}")]
    Expansion(#[from] ExpansionError),
}

const KEYS: [&str; 20] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "required",
    "size",
    "id",
    "sharing",
    "mode",
    "uid",
    "gid",
    "env",
    "bind-propagation",
];

impl MountError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Quotes(_) => "put a whole key=value in double quotes, or none of it".into(),
            Self::Key(key) => match suggest::nearest(key, KEYS) {
                Some(near) => format!("did you mean {near}?"),
                None => "the keys are type, from, source, target, ro, rw, required, size, id, sharing, mode, uid, gid, env".into(),
            },
            Self::NoValue(key) => format!("write {key}=VALUE"),
            Self::Value { key, value, help } => {
                let known: &[&str] = match key.as_str() {
                    "type" => &TYPES.map(|(name, _)| name),
                    "sharing" => &SHARING.map(|(name, _)| name),
                    _ => &[],
                };
                match suggest::nearest(value, known.iter().copied()) {
                    Some(near) => format!("did you mean {key}={near}?"),
                    None => (*help).into(),
                }
            }
            Self::Misplaced { key, kind } => format!("remove {key}, or is 'type={kind}' wrong?"),
            Self::FromVariable => {
                "define a stage with FROM, where a variable may stand, and name it here".into()
            }
            Self::NoSecret => "write for example: --mount=type=secret,id=token".into(),
            Self::TwoSecrets => "remove one of the two".into(),
            Self::Expansion(error) => error.help().into(),
        }
    }
}

/// Turns a value as it is written into what it means.
pub type Expand<'a> = &'a dyn Fn(&str) -> Result<String, ExpansionError>;

impl MountOptions {
    /// The value of `from`, without looking at the rest.
    ///
    /// # Errors
    /// Quotes that do not match; a variable in `from`.
    pub fn from_of(text: &str) -> Result<Option<String>, MountError> {
        let mut from = None;
        for field in fields(text)? {
            if let Some((key, value)) = field.split_once('=')
                && key.eq_ignore_ascii_case("from")
            {
                if value.contains('$') {
                    return Err(MountError::FromVariable);
                }
                from = Some(value.to_owned());
            }
        }
        Ok(from)
    }

    /// Reads all options.
    ///
    /// # Errors
    /// See [`MountError`].
    pub fn parse(text: &str, expand: Expand<'_>) -> Result<Self, MountError> {
        let mut options = Self::default();
        let mut read_only = None;
        for field in fields(text)? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_ascii_lowercase(), Some(expand(value)?)),
                None => (field.to_ascii_lowercase(), None),
            };
            match (key.as_str(), value) {
                ("readonly" | "ro", None) => read_only = Some(true),
                ("readwrite" | "rw", None) => read_only = Some(false),
                ("readonly" | "ro", Some(value)) => read_only = Some(truth(&key, &value)?),
                ("readwrite" | "rw", Some(value)) => read_only = Some(!truth(&key, &value)?),
                ("required", None) => options.require(true)?,
                ("required", Some(value)) => options.require(truth(&key, &value)?)?,
                (key, None) if KEYS.contains(&key) => return Err(MountError::NoValue(key.into())),
                (key, None) => return Err(MountError::Key(key.chars().take(60).collect())),
                (key, Some(value)) => options.set(key, value)?,
            }
        }
        options.read_only =
            read_only.unwrap_or(!matches!(options.kind, MountType::Cache | MountType::Tmpfs));
        options.check()?;
        Ok(options)
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), MountError> {
        match key {
            "type" => self.kind = one_of(key, &value, &TYPES, TYPES_HELP)?,
            "from" => self.from = Some(value),
            "source" | "src" => self.source = Some(value),
            "target" | "dst" | "destination" => self.target = Some(value),
            "size" if self.kind == MountType::Tmpfs => self.size = Some(size(key, &value)?),
            "size" => return Err(self.misplaced(key)),
            "id" => self.id = Some(value),
            "sharing" => self.sharing = one_of(key, &value, &SHARING, SHARING_HELP)?,
            "mode" => self.mode = Some(number(key, &value, 8)?),
            "uid" => self.uid = Some(number(key, &value, 10)?),
            "gid" => self.gid = Some(number(key, &value, 10)?),
            "env" => self.env = Some(value),
            _ => return Err(MountError::Key(key.chars().take(60).collect())),
        }
        if key == "sharing" && self.kind != MountType::Cache {
            return Err(self.misplaced(key));
        }
        Ok(())
    }

    fn require(&mut self, value: bool) -> Result<(), MountError> {
        if !matches!(self.kind, MountType::Secret | MountType::Ssh) {
            return Err(self.misplaced("required"));
        }
        self.required = value;
        Ok(())
    }

    fn check(&self) -> Result<(), MountError> {
        let owned = matches!(self.kind, MountType::Secret | MountType::Ssh | MountType::Cache);
        let given = [("mode", self.mode), ("uid", self.uid), ("gid", self.gid)];
        if let Some((key, _)) = given.iter().find(|(_, value)| value.is_some() && !owned) {
            return Err(self.misplaced(key));
        }
        match self.kind {
            MountType::Secret if self.from.is_some() => Err(self.misplaced("from")),
            MountType::Secret if self.source.is_some() && self.id.is_some() => {
                Err(MountError::TwoSecrets)
            }
            MountType::Secret
                if self.source.is_none() && self.id.is_none() && self.target.is_none() =>
            {
                Err(MountError::NoSecret)
            }
            MountType::Ssh if self.source.is_some() => Err(self.misplaced("source")),
            kind if self.env.is_some() && kind != MountType::Secret => Err(self.misplaced("env")),
            _ => Ok(()),
        }
    }

    fn misplaced(&self, key: &str) -> MountError {
        let kind =
            TYPES.iter().find(|(_, kind)| *kind == self.kind).map_or("bind", |(name, _)| name);
        MountError::Misplaced { key: key.into(), kind }
    }
}

const TYPES: [(&str, MountType); 5] = [
    ("bind", MountType::Bind),
    ("cache", MountType::Cache),
    ("tmpfs", MountType::Tmpfs),
    ("secret", MountType::Secret),
    ("ssh", MountType::Ssh),
];
const TYPES_HELP: &str = "the types are bind, cache, tmpfs, secret and ssh";
const SHARING: [(&str, Sharing); 3] =
    [("shared", Sharing::Shared), ("private", Sharing::Private), ("locked", Sharing::Locked)];
const SHARING_HELP: &str = "a cache is shared, private or locked";

/// The fields of a comma-separated line (RFC 4180).
fn fields(text: &str) -> Result<Vec<String>, MountError> {
    let fault = || MountError::Quotes(text.chars().take(60).collect());
    let (mut fields, mut rest) = (Vec::new(), text);
    loop {
        let after = if let Some(mut quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            loop {
                let (part, behind) = quoted.split_once('"').ok_or_else(fault)?;
                field.push_str(part);
                match behind.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        quoted = more;
                    }
                    None => {
                        fields.push(field);
                        break behind;
                    }
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            if rest[..end].contains('"') {
                return Err(fault());
            }
            fields.push(rest[..end].to_owned());
            &rest[end..]
        };
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(fields),
            None => return Err(fault()),
        }
    }
}

fn one_of<T: Copy>(
    key: &str,
    value: &str,
    known: &[(&str, T)],
    help: &'static str,
) -> Result<T, MountError> {
    let lower = value.to_ascii_lowercase();
    known
        .iter()
        .find(|(name, _)| *name == lower)
        .map(|(_, known)| *known)
        .ok_or_else(|| no_value(key, value, help))
}

fn no_value(key: &str, value: &str, help: &'static str) -> MountError {
    MountError::Value { key: key.into(), value: value.chars().take(60).collect(), help }
}

fn truth(key: &str, value: &str) -> Result<bool, MountError> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(no_value(key, value, "write true or false")),
    }
}

fn number(key: &str, value: &str, radix: u32) -> Result<u32, MountError> {
    let help = if radix == 8 { "write octal digits, such as 0400" } else { "write a number" };
    if !value.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(no_value(key, value, help));
    }
    u32::from_str_radix(value, radix).map_err(|_| no_value(key, value, help))
}

fn size(key: &str, value: &str) -> Result<u64, MountError> {
    bytes(value).ok_or_else(|| no_value(key, value, "write bytes, or a size such as 512m or 1g"))
}

/// A size in bytes with the binary units `k m g t p`, as `512m`, `1.5GiB`; also what `--shm-size` takes.
#[must_use]
pub fn bytes(value: &str) -> Option<u64> {
    let end = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let amount: f64 = value[..end].parse().ok()?;
    let unit = value[end..].trim_start().to_ascii_lowercase();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let bytes = amount * 1024_f64.powi(power);
    if !bytes.is_finite() || bytes > i64::MAX as f64 {
        return None;
    }
    Some(bytes as u64)
}

#[cfg(test)]
mod tests;
