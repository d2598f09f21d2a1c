//! What is measured: a builder with its daemons and caches.

use std::{path::PathBuf, process::Command};

use crate::processes::Owner;

/// What a builder is to build.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The context, with a Dockerfile in it.
    pub(crate) context: PathBuf,
    /// `127.0.0.1:PORT/NAME:TAG`, where the image goes.
    pub(crate) image: String,
    /// `--build-arg`s.
    pub(crate) arguments: Vec<String>,
    /// What happens with the image.
    pub(crate) end: End,
    /// The cache to write to or read from, in the registry.
    pub(crate) cache: Option<Cache>,
}

/// What happens with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It is pushed.
    Pushed,
    /// It is pushed, and signed statements about it with it.
    Marked,
    /// Nothing: the steps ran.
    Kept,
}

/// A cache that machines share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cache {
    /// Written there.
    To(String),
    /// Read from there.
    From(String),
}

/// A builder.
pub(crate) trait Subject {
    /// Its name and version.
    fn version(&self) -> String;

    /// Makes it as on a new machine: its daemon runs, its caches are empty.
    fn refresh(&mut self) -> Result<(), String>;

    /// The same, but what steps downloaded is kept, where it is kept at all.
    fn forget_but_downloads(&mut self) -> Result<(), String> {
        self.refresh()
    }

    /// One command that does what `order` says.
    fn command(&self, order: &Order) -> Command;

    /// Which processes are its own.
    fn owner(&self) -> Owner;
}
