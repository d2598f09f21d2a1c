//! One mount as containerd describes it.

use std::path::{Path, PathBuf};

use containerd_client::types;

/// A mount: `kind` "overlay" or "bind", `source` a directory (meaningless for an overlay), `options` in
/// the style of fstab, for example `lowerdir=/a:/b`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mount {
    /// The file system type.
    pub kind: String,
    /// What is mounted.
    pub source: PathBuf,
    /// Flags and the file system's own options, in order.
    pub options: Vec<String>,
}

impl Mount {
    /// The directory at `source`, with all that is mounted below it.
    #[must_use]
    pub fn bind(source: impl Into<PathBuf>, read_only: bool) -> Self {
        let mode = if read_only { "ro" } else { "rw" };
        Self {
            kind: "bind".to_owned(),
            source: source.into(),
            options: vec!["rbind".to_owned(), mode.to_owned()],
        }
    }

    /// The value of an option of the form `name=value`.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }

    /// The read-only directories of an overlay, the uppermost first.
    #[must_use]
    pub fn lower_dirs(&self) -> Vec<PathBuf> {
        let lower = self.option("lowerdir").unwrap_or_default();
        lower.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect()
    }

    /// An overlay like this one of other directories, the uppermost first, that cannot be written to.
    #[must_use]
    pub fn read_only(&self, lower: &[PathBuf]) -> Self {
        let lower: Vec<_> = lower.iter().map(|path| path.display().to_string()).collect();
        let places = ["lowerdir=", "upperdir=", "workdir=", "volatile"];
        let kept = self.options.iter().filter(|option| {
            *option != "rw" && !places.iter().any(|place| option.starts_with(place))
        });
        let mut options: Vec<String> = kept.cloned().collect();
        options.push(format!("lowerdir={}", lower.join(":")));
        Self { options, ..self.clone() }
    }

    /// The same; a writable overlay leaves it to others when what is written through it comes to the disk.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        if self.kind == "overlay" && self.option("upperdir").is_some() {
            self.options.push("volatile".to_owned());
        }
        self
    }

    /// The same overlay with one more read-only directory right under the writable one. A single writable
    /// directory (a snapshot without a parent) stays as it is: there is nothing to put a layer over.
    #[must_use]
    pub fn with_lower_dir(mut self, directory: &Path) -> Self {
        for option in &mut self.options {
            if let Some(lower) = option.strip_prefix("lowerdir=") {
                *option = format!("lowerdir={}:{lower}", directory.display());
            }
        }
        self
    }
}

/// The directory that holds the changes made through these mounts: an overlay's upper directory, or a
/// writable bind's source. `None` when they are read-only.
#[must_use]
pub fn upper_dir(mounts: &[Mount]) -> Option<PathBuf> {
    let last = mounts.last()?;
    match last.kind.as_str() {
        "overlay" => last.option("upperdir").map(PathBuf::from),
        "bind" if !last.options.iter().any(|option| option == "ro") => Some(last.source.clone()),
        _ => None,
    }
}

impl From<types::Mount> for Mount {
    fn from(mount: types::Mount) -> Self {
        Self { kind: mount.r#type, source: mount.source.into(), options: mount.options }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(options: &[&str]) -> Mount {
        Mount {
            kind: "overlay".into(),
            source: "overlay".into(),
            options: options.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn the_upper_directory() {
        let writable = overlay(&["workdir=/w", "upperdir=/u", "lowerdir=/b:/a"]);
        assert_eq!(upper_dir(std::slice::from_ref(&writable)), Some("/u".into()));
        assert_eq!(upper_dir(&[overlay(&["lowerdir=/b:/a"])]), None);
        assert_eq!(upper_dir(&[Mount::bind("/d", false)]), Some("/d".into()));
        assert_eq!(upper_dir(&[Mount::bind("/d", true)]), None);
        assert_eq!(upper_dir(&[]), None);
        assert_eq!(writable.lower_dirs(), [PathBuf::from("/b"), "/a".into()]);
        assert_eq!(writable.clone().volatile().options.last().unwrap(), "volatile");
        let below = writable.clone().volatile().read_only(&writable.lower_dirs());
        assert_eq!(below.clone().volatile(), below, "only what is written can be volatile");
        assert_eq!(below.options, ["lowerdir=/b:/a"]);
        assert_eq!(Mount::bind("/d", false).volatile(), Mount::bind("/d", false));
    }

    #[test]
    fn an_extra_layer_goes_on_top_of_the_read_only_ones() {
        let mount = overlay(&["upperdir=/u", "lowerdir=/b:/a"]).with_lower_dir(Path::new("/x"));
        assert_eq!(mount.option("lowerdir"), Some("/x:/b:/a"));
    }
}
