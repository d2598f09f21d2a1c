//! Where a build's result goes, as a user asks for it.

use std::{fs::File, path::PathBuf, sync::Arc};

use crate::{image::form::Form, oci::reference::Reference};

/// Everything that is made of a result.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// Names of the image, for every output that has no names of its own.
    pub names: Vec<Reference>,
    /// Images, in the order in which they were asked for.
    pub images: Vec<ImageOutput>,
    /// File systems without an image around them.
    pub files: Vec<FilesOutput>,
    /// Only the steps' results are wanted, nothing is made of them.
    pub cache_only: bool,
    /// Standard output, where something goes there.
    pub stdout: Option<Arc<File>>,
}

/// An image in one form at one place.
#[derive(Debug, Clone)]
pub struct ImageOutput {
    /// Its names there; empty where the build's names count.
    pub names: Vec<Reference>,
    /// Its form.
    pub form: Form,
    /// The place.
    pub target: ImageTarget,
}

/// A place for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageTarget {
    /// touchmark's own store: it is built and found in the cache, and goes nowhere.
    Kept,
    /// A registry, together with everything said about the image.
    Registry {
        /// Without a tag: who wants it must know its digest.
        by_digest: bool,
    },
    /// An OCI layout in a directory.
    Layout(PathBuf),
    /// An OCI layout as one tar archive.
    Archive(Sink),
    /// The archive that `docker load` reads, which is an OCI layout too.
    DockerArchive(Sink),
    /// A running Docker: the first of these that answers.
    Docker(Vec<DockerEndpoint>),
    /// A running containerd.
    Containerd {
        /// Its socket.
        socket: PathBuf,
        /// The namespace in it: `default` is nerdctl's and ctr's.
        namespace: String,
    },
}

/// Where a Docker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerEndpoint {
    /// A socket in the file system.
    Unix(PathBuf),
    /// `host:port`, without encryption.
    Tcp(String),
}

/// A file system of a stage.
#[derive(Debug, Clone)]
pub struct FilesOutput {
    /// The place.
    pub target: FilesTarget,
    /// One subdirectory per platform; by default only where there are several.
    pub split: Option<bool>,
}

/// A place for files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilesTarget {
    /// Into a directory, beside what is there already.
    Directory(PathBuf),
    /// As a tar archive.
    Tar(Sink),
}

/// Where one stream of bytes goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// A file, which is replaced.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

impl Outputs {
    /// What people call the image: its first name.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.all_names().next().map(Reference::name)
    }

    /// The names of one output.
    #[must_use]
    pub fn names_of<'a>(&'a self, output: &'a ImageOutput) -> &'a [Reference] {
        if output.names.is_empty() { &self.names } else { &output.names }
    }

    /// Every name, those of all outputs first.
    pub fn all_names(&self) -> impl Iterator<Item = &Reference> {
        self.names.iter().chain(self.images.iter().flat_map(|output| &output.names))
    }

    /// Is an image made? Also where nothing is asked for: then it can be looked at by its digest.
    #[must_use]
    pub fn wants_image(&self) -> bool {
        !self.images.is_empty() || (self.files.is_empty() && !self.cache_only)
    }

    /// The forms of images that are made, each once; the first is the one that metadata describes.
    #[must_use]
    pub fn forms(&self) -> Vec<Form> {
        let mut forms: Vec<Form> = Vec::new();
        for output in &self.images {
            if !forms.contains(&output.form) {
                forms.push(output.form.clone());
            }
        }
        if forms.is_empty() && self.wants_image() {
            forms.push(Form::default());
        }
        forms
    }

    /// Are the bytes of an image in this form wanted here? Registries can take a layer from one another.
    #[must_use]
    pub fn needs_bytes(&self, form: &Form) -> bool {
        let here = |output: &ImageOutput| !matches!(output.target, ImageTarget::Registry { .. });
        let mut of_form = self.images.iter().filter(|output| output.form == *form);
        self.images.is_empty() || of_form.any(here)
    }

    /// Does an image leave this machine or become a file that can leave it together with signatures?
    #[must_use]
    pub fn leaves(&self) -> bool {
        self.images.iter().any(|output| output.target.takes_statements())
    }

    /// Does something go to standard output?
    #[must_use]
    pub fn uses_stdout(&self) -> bool {
        self.stdout_count() > 0
    }

    /// How many outputs want standard output, which only one can have.
    #[must_use]
    pub fn stdout_count(&self) -> usize {
        let images =
            self.images.iter().filter(|output| output.target.sink() == Some(&Sink::Stdout));
        let tars = self.files.iter();
        let tars = tars.filter(|output| output.target == FilesTarget::Tar(Sink::Stdout));
        images.count() + tars.count()
    }
}

impl ImageTarget {
    /// Is there room for signed statements? Docker's archive has none, and a daemon's store neither.
    #[must_use]
    pub fn takes_statements(&self) -> bool {
        matches!(self, Self::Registry { .. } | Self::Layout(_) | Self::Archive(_))
    }

    fn sink(&self) -> Option<&Sink> {
        match self {
            Self::Archive(sink) | Self::DockerArchive(sink) => Some(sink),
            _ => None,
        }
    }
}
