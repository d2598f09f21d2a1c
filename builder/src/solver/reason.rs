//! Why a step runs instead of being answered from the cache.

use std::fmt;

use crate::source::listing::FileChange;

/// One reason; several can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// `--no-cache`, or `--no-cache-filter` with its stage: the cache is not read.
    NotRead,
    /// No build of this Dockerfile on this machine is known.
    First,
    /// Earlier builds did not have this step.
    New,
    /// Its inputs are those of an earlier build, whose result was removed.
    Forgotten,
    /// The result is there, but its layer is gone.
    LayerGone,
    /// The result is there, but the policy of today refuses this request of it.
    Refused(String),
    /// The result is there, but the lock file has this request of it otherwise.
    Unlocked(String),
    /// What went into it is another thing than in the earlier build.
    Changed(Change),
    /// As many changes more, which are not told.
    More(usize),
}

/// A difference to the earlier build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Of what.
    pub input: Input,
    /// Its name, where there can be several.
    pub name: String,
    /// What it was, as far as that may be shown; none where it was not there.
    pub from: Option<String>,
    /// What it is.
    pub to: Option<String>,
}

/// What can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input {
    /// The image that it begins with.
    BaseImage,
    /// The result of the step before, or of a stage that it takes files from.
    Step,
    /// A build argument.
    Argument,
    /// An environment variable.
    Variable,
    /// A file: its content, or that it is there at all.
    File,
    /// The permission bits of a file.
    Mode,
    /// Some files of a folder.
    Folder,
    /// What is copied, where it cannot be told which file.
    Files,
    /// Something else: the command, a flag, a mount.
    Other,
}

impl Input {
    /// The word for it in objects.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BaseImage => "base-image",
            Self::Step => "step",
            Self::Argument => "build-argument",
            Self::Variable => "environment",
            Self::File => "file",
            Self::Mode => "file-mode",
            Self::Folder => "folder",
            Self::Files => "files",
            Self::Other => "other",
        }
    }
}

impl Reason {
    /// The word for it in objects.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotRead => "cache-not-read",
            Self::First => "first-build",
            Self::New => "new-step",
            Self::Forgotten => "result-gone",
            Self::LayerGone => "layer-gone",
            Self::Refused(_) => "refused",
            Self::Unlocked(_) => "unlocked",
            Self::Changed(_) => "changed",
            Self::More(_) => "more",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRead => write!(f, "the cache is not to be read"),
            Self::First => write!(f, "there is no earlier build of this Dockerfile"),
            Self::New => write!(f, "there is no earlier build of this step"),
            Self::Forgotten => write!(f, "its result is not in the cache any more"),
            Self::LayerGone => write!(f, "its layer is gone"),
            Self::Refused(url) => write!(f, "the policy of today refuses {url}"),
            Self::Unlocked(url) => write!(f, "it took {url}, which the lock file has otherwise"),
            Self::Changed(change) => change.fmt(f),
            Self::More(1) => write!(f, "1 change more"),
            Self::More(count) => write!(f, "{count} changes more"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, name, from, to } = self;
        match input {
            Input::BaseImage => write!(f, "the base image {name}")?,
            Input::Step => return write!(f, "the result of {name} changed"),
            Input::Argument => write!(f, "the build argument {name}")?,
            Input::Variable => write!(f, "the environment variable {name}")?,
            Input::Folder => return write!(f, "files in {name} changed"),
            Input::Mode => write!(f, "the mode of {name}")?,
            Input::File | Input::Files | Input::Other => write!(f, "{name}")?,
        }
        match (from, to) {
            (Some(from), Some(to)) => write!(f, " changed: {from} -> {to}"),
            (None, Some(to)) if to.is_empty() => write!(f, " is new"),
            (None, Some(to)) => write!(f, " is new: {to}"),
            (Some(_), None) => write!(f, " is gone"),
            (None, None) => write!(f, " changed"),
        }
    }
}

impl From<FileChange> for Change {
    fn from(change: FileChange) -> Self {
        let digest = |digits: String| Some(format!("sha256:{digits}…"));
        let mode = |mode: u32| Some(format!("{mode:04o}"));
        let (input, name, from, to) = match change {
            FileChange::Content(path, from, to) => (Input::File, path, digest(from), digest(to)),
            FileChange::Mode(path, from, to) => (Input::Mode, path, mode(from), mode(to)),
            FileChange::New(path) => (Input::File, path, None, Some(String::new())),
            FileChange::Gone(path) => (Input::File, path, Some(String::new()), None),
            FileChange::Folder(path) => (Input::Folder, path, None, None),
        };
        Self { input, name, from, to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_a_clause() {
        let change = |input, name: &str, from: Option<&str>, to: Option<&str>| {
            let (name, owned) = (name.to_owned(), |text: &str| text.to_owned());
            Reason::Changed(Change { input, name, from: from.map(owned), to: to.map(owned) })
        };
        let file = |change: FileChange| Reason::Changed(change.into());
        let (one, two) = ("12ab34cd56ef".to_owned(), "34cd56ef7890".to_owned());
        let reasons = [
            Reason::NotRead,
            Reason::First,
            Reason::New,
            Reason::Forgotten,
            Reason::LayerGone,
            Reason::Refused("http://deb.example/x".into()),
            change(Input::BaseImage, "debian:bookworm", Some("sha256:1…"), Some("sha256:2…")),
            change(Input::Step, "[build 2/5]", None, None),
            change(Input::Argument, "VERSION", Some("1.2"), Some("1.3")),
            change(Input::Argument, "API_TOKEN", None, None),
            change(Input::Variable, "LANG", None, Some("C")),
            change(Input::Variable, "LANG", Some("C"), None),
            change(Input::Other, "the command", Some("make"), Some("make all")),
            change(Input::Files, "what it copies", None, None),
            file(FileChange::Content("src/main.c".into(), one, two)),
            file(FileChange::Mode("run.sh".into(), 0o644, 0o755)),
            file(FileChange::New("new.c".into())),
            file(FileChange::Gone("old.c".into())),
            file(FileChange::Folder("src/lib".into())),
            Reason::More(1),
            Reason::More(17),
        ];
        let told: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        assert_eq!(
            told.join("\n"),
            "the cache is not to be read\n\
             there is no earlier build of this Dockerfile\n\
             there is no earlier build of this step\n\
             its result is not in the cache any more\n\
             its layer is gone\n\
             the policy of today refuses http://deb.example/x\n\
             the base image debian:bookworm changed: sha256:1… -> sha256:2…\n\
             the result of [build 2/5] changed\n\
             the build argument VERSION changed: 1.2 -> 1.3\n\
             the build argument API_TOKEN changed\n\
             the environment variable LANG is new: C\n\
             the environment variable LANG is gone\n\
             the command changed: make -> make all\n\
             what it copies changed\n\
             src/main.c changed: sha256:12ab34cd56ef… -> sha256:34cd56ef7890…\n\
             the mode of run.sh changed: 0644 -> 0755\n\
             new.c is new\n\
             old.c is gone\n\
             files in src/lib changed\n\
             1 change more\n\
             17 changes more"
        );
    }
}
