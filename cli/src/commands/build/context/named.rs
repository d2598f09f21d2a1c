//! `--build-context NAME=VALUE`.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use touchmark_builder::{
    build::layouts::Layouts,
    graph::NamedContext,
    remote::{ImageRef, LayoutRef, NamedSource},
    solver::NamedFiles,
    source::{context::Context, ignore::Ignore},
};

use crate::error::CliError;

/// What the names stand for: for the graph, for the solver, for looking up images.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct NamedContexts {
    pub(in super::super) graph: BTreeMap<String, NamedContext>,
    pub(in super::super) files: Arc<BTreeMap<String, NamedFiles>>,
    pub(in super::super) layouts: Layouts,
}

impl NamedContexts {
    /// Reads the flags; of the same name the last one counts. Directories have to be there, as docker has
    /// it; what is elsewhere is fetched only when something needs it.
    pub(in super::super) fn read(flags: &[String]) -> Result<Self, CliError> {
        let (mut graph, mut files, mut layouts) =
            (BTreeMap::new(), BTreeMap::new(), Layouts::new());
        for flag in flags {
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            if name.is_empty() || !flag.contains('=') {
                return Err(CliError::usage(format!(
                    "--build-context: '{flag}' is not NAME=VALUE"
                ))
                .hint("write for example --build-context assets=../assets"));
            }
            let source =
                NamedSource::parse(value).map_err(|error| fault(name, &error.to_string()))?;
            let kind = match source {
                NamedSource::Directory(path) => {
                    files.insert(name.to_owned(), NamedFiles::Directory(directory(name, &path)?));
                    NamedContext::Files
                }
                NamedSource::Remote(remote) => {
                    files.insert(name.to_owned(), NamedFiles::Remote(remote));
                    NamedContext::Files
                }
                NamedSource::Image(ImageRef::Scratch) => NamedContext::Scratch,
                NamedSource::Image(ImageRef::Named(reference)) => NamedContext::Image(reference),
                NamedSource::Layout(layout) => {
                    let reference = LayoutRef::reference(name)
                        .ok_or_else(|| fault(name, "the name is not usable for an image"))?;
                    layouts.insert(reference.to_string(), layout);
                    NamedContext::Image(reference)
                }
            };
            graph.insert(name.to_owned(), kind);
        }
        Ok(Self { graph, files: Arc::new(files), layouts })
    }
}

fn directory(name: &str, path: &Path) -> Result<Arc<Context>, CliError> {
    let shown = path.display();
    let dir = fs::canonicalize(path).map_err(|error| {
        fault(name, &format!("the directory '{shown}' cannot be read: {error}"))
    })?;
    if !dir.is_dir() {
        return Err(fault(name, &format!("'{shown}' is not a directory")));
    }
    let ignore = Ignore::load(&dir, None).map_err(super::super::source_error)?;
    Context::open(&dir, ignore).map(Arc::new).map_err(super::super::source_error)
}

fn fault(name: &str, text: &str) -> CliError {
    let (first, hint) = text.split_once("\nhelp: ").unwrap_or((text, ""));
    let shown = CliError::usage(format!("--build-context {name}: {first}"));
    if hint.is_empty() { shown } else { shown.hint(hint) }
}
