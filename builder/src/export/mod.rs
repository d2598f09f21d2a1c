//! Where a result goes. `outputs` is what a user asks for, `product` what there is: a `release` in one form,
//! which is the images of all platforms with their statements (`artifact`), or the files of a stage (`file_tree`). A `stream` is what becomes a
//! file, `directory` what becomes many; `staged` holds both back until everything is there. `publish`
//! is for registries (`uploads` begins before), `docker` and `containerd` for daemons, and OCI layouts (image-spec,
//! image-layout.md) are directories and tar archives: `layout_error` ← `layout_archive`,
//! `layout_address` ← `layout` (reading) ← `layout_writer`, with `docker_archive` on top.

pub mod artifact;
pub mod containerd;
mod directory;
pub mod docker;
pub mod docker_archive;
pub mod file_tree;
pub mod layout;
pub mod layout_address;
pub mod layout_archive;
pub mod layout_error;
pub mod layout_writer;
pub mod outputs;
mod preflight;
pub mod product;
mod publish;
pub mod release;
mod staged;
mod stream;
pub mod uploads;

use std::{collections::HashSet, path::Path, sync::Arc};

use crate::{
    content::error::ContentError,
    oci::digest::Digest,
    registry::error::RegistryError,
    solver::{
        event::{Event, Observer},
        host::Host,
        phase::{Phase, PhaseKind},
        telling::{told, told_now},
    },
};
use containerd::ContainerdError;
use docker::DockerError;
use docker_archive::DockerArchiveError;
use file_tree::{FileTree, FileTreeError};
use layout_error::LayoutError;
use layout_writer::{LayoutImage, stage_directory};
use outputs::{FilesTarget, ImageOutput, ImageTarget, Outputs, Sink};
use product::Product;
use staged::Staged;
use stream::{Archive, Stream};
use uploads::Uploads;

/// Why a result is not where it should be.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The registry did not take it.
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// The store did not take a document.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The layout was not written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The files were not written.
    #[error(transparent)]
    Files(#[from] FileTreeError),
    /// Docker's archive cannot hold it.
    #[error(transparent)]
    DockerArchive(#[from] DockerArchiveError),
    /// containerd did not take it.
    #[error(transparent)]
    Containerd(#[from] ContainerdError),
    /// Docker did not take it.
    #[error(transparent)]
    Docker(#[from] DockerError),
}

impl From<RegistryError> for ExportError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl ExportError {
    /// Is the surrounding at fault, not the image?
    #[must_use]
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_environment(),
            Self::Containerd(ContainerdError::Unreachable { .. }) => true,
            Self::Docker(DockerError::Unreachable { .. } | DockerError::Forbidden { .. }) => true,
            _ => false,
        }
    }
}

/// What there is to export.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// The image in every form that an output wants.
    pub products: Vec<Product>,
    /// The files, one tree per platform.
    pub trees: Vec<FileTree>,
}

/// Looks whether the places of `outputs` can be written at all, before anything is built for them.
///
/// # Errors
/// The first that will not do.
pub async fn check(outputs: &Outputs) -> Result<(), ExportError> {
    preflight::check(outputs).await
}

/// Brings the results to every place that was asked for. First everything is written beside its place,
/// and every blob and statement uploaded; then what cannot be taken back goes out (a daemon's store,
/// standard output, devices), then the tags move, and last each file and directory takes its place.
///
/// # Errors
/// The first place that does not take it. Until the tags move, no place shows anything of the build
/// but what such a stream has got.
pub async fn export(
    results: &Results,
    outputs: &Outputs,
    host: &Host,
    observer: &dyn Observer,
    uploads: &Uploads,
) -> Result<(), ExportError> {
    let (staged, streams) = (Vec::new(), Vec::new());
    let mut work = Work { results, outputs, host, observer, uploads, staged, streams };
    uploads.keep_only(&results.layers());
    for product in &results.products {
        for document in product.release.documents() {
            host.content.put(document)?;
        }
    }
    work.stage_files()?;
    for output in &outputs.images {
        work.stage_image(output).await?;
    }
    for output in &outputs.images {
        work.load(output).await?;
    }
    let Work { staged, streams, .. } = work;
    for (stream, sink) in &streams {
        match (sink, &outputs.stdout) {
            (Sink::File(path), _) => staged::write_to(stream, path)?,
            (Sink::Stdout, Some(out)) => stream.write(&mut out.as_ref())?,
            (Sink::Stdout, None) => {}
        }
    }
    for output in &outputs.images {
        if output.target == (ImageTarget::Registry { by_digest: false })
            && let Some(product) = results.of(output)
        {
            publish::tag(&product.release, outputs.names_of(output), &host.registry).await?;
        }
    }
    staged.into_iter().try_for_each(Staged::publish)
}

impl Results {
    fn of(&self, output: &ImageOutput) -> Option<&Product> {
        self.products.iter().find(|product| product.form == output.form)
    }

    /// The layers of all images.
    fn layers(&self) -> HashSet<Digest> {
        let images = self.products.iter().flat_map(|product| product.release.images());
        images.flat_map(|one| &one.image.layers).map(|layer| layer.digest).collect()
    }
}

/// An export on its way.
struct Work<'a> {
    results: &'a Results,
    outputs: &'a Outputs,
    host: &'a Host,
    observer: &'a dyn Observer,
    uploads: &'a Uploads,
    staged: Vec<Staged>,
    streams: Vec<(Stream, Sink)>,
}

impl Work<'_> {
    fn stage_files(&mut self) -> Result<(), ExportError> {
        let trees: Arc<[FileTree]> = self.results.trees.clone().into();
        for output in &self.outputs.files {
            let split = output.split.unwrap_or(trees.len() > 1);
            match &output.target {
                FilesTarget::Directory(path) => {
                    let staged = self.written(path, || directory::stage(&trees, split, path))?;
                    self.staged.push(Staged::Files(staged));
                }
                FilesTarget::Tar(sink) => {
                    self.stage(Stream::Files { trees: trees.clone(), split }, sink)?;
                }
            }
        }
        Ok(())
    }

    async fn stage_image(&mut self, output: &ImageOutput) -> Result<(), ExportError> {
        let Some(product) = self.results.of(output) else { return Ok(()) };
        let names = self.outputs.names_of(output);
        match &output.target {
            ImageTarget::Kept => Ok(()),
            ImageTarget::Registry { .. } => {
                let shown: Vec<String> = names.iter().map(ToString::to_string).collect();
                let upload = publish::upload(
                    &product.release,
                    names,
                    &self.host.registry,
                    self.observer,
                    self.uploads,
                );
                let shown = shown.join(" and ");
                told(self.observer, Phase::of(PhaseKind::Push, &shown), upload).await
            }
            ImageTarget::Layout(path) => {
                let Archive { content, image, names, referrers } = self.archive(output, product);
                let whole = LayoutImage { image: &image, names: &names, referrers: &referrers };
                let staged = self.written(path, || stage_directory(&content, whole, path))?;
                self.staged.push(Staged::Layout(staged));
                Ok(())
            }
            ImageTarget::Archive(sink) => {
                self.stage(Stream::Layout(self.archive(output, product)), sink)
            }
            ImageTarget::DockerArchive(sink) => {
                self.stage(Stream::Docker(self.archive(output, product)), sink)
            }
            ImageTarget::Docker(_) | ImageTarget::Containerd { .. } => Ok(()),
        }
    }

    /// Into a daemon's store.
    async fn load(&self, output: &ImageOutput) -> Result<(), ExportError> {
        let Some(product) = self.results.of(output) else { return Ok(()) };
        match &output.target {
            ImageTarget::Docker(endpoints) => {
                let stream = Stream::Docker(self.archive(output, product));
                let load = docker::load(&stream, endpoints);
                let phase = Phase::of(PhaseKind::Load, "into Docker");
                for line in told(self.observer, phase, load).await? {
                    self.say(format_args!("Docker: {line}"));
                }
            }
            ImageTarget::Containerd { socket, namespace } => {
                let names = self.outputs.names_of(output);
                let place = (socket.as_path(), namespace.as_str());
                let load = containerd::load(&product.release, names, &self.host.content, place);
                let phase = Phase::of(PhaseKind::Load, "into containerd");
                told(self.observer, phase, load).await?;
                for name in names {
                    self.say(format_args!(
                        "containerd: loaded {name} into the namespace {namespace}"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn archive(&self, output: &ImageOutput, product: &Product) -> Archive {
        let statements = product.release.artifacts().map(|one| one.entry.clone());
        let referrers = match output.target.takes_statements() {
            true => statements.collect(),
            false => Vec::new(),
        };
        Archive {
            content: self.host.content.clone(),
            image: product.release.descriptor().clone(),
            names: self.outputs.names_of(output).to_vec(),
            referrers,
        }
    }

    /// Writes a stream beside its place, or keeps it for later where it has none.
    fn stage(&mut self, stream: Stream, sink: &Sink) -> Result<(), ExportError> {
        match sink {
            Sink::File(path) if !staged::is_stream(path) => {
                let staged = self.written(path, || Staged::file(&stream, Path::new(path)))?;
                self.staged.push(staged);
            }
            _ => self.streams.push((stream, sink.clone())),
        }
        Ok(())
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        self.observer.event(Event::Activity(&what.to_string()));
    }

    fn written<T, E>(&self, path: &Path, write: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let subject = path.display().to_string();
        told_now(self.observer, Phase::of(PhaseKind::Write, &subject), write)
    }
}
