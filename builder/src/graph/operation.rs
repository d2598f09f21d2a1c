//! The operations a build is made of. Paths in them are absolute and clean; variables are expanded.

use super::build_graph::VertexId;
use crate::oci::{platform::Platform, reference::Reference};

pub use crate::dockerfile::{
    mount::Sharing,
    run::{Network as NetworkMode, Security},
};

/// One operation; its result is a file system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Op {
    /// The empty file system.
    Scratch,
    /// An image.
    Image(ImageOp),
    /// A named context.
    Named(NamedOp),
    /// RUN.
    Run(RunOp),
    /// COPY or ADD.
    Copy(CopyOp),
    /// WORKDIR.
    Mkdir(MkdirOp),
}

impl Op {
    /// The same operation on other inputs: each is replaced by what `other` gives for it.
    #[must_use]
    pub fn with_inputs(mut self, other: impl Fn(VertexId) -> VertexId) -> Self {
        let replace = |from: &mut CopyFrom| {
            if let CopyFrom::Vertex(id) = from {
                *id = other(*id);
            }
        };
        match &mut self {
            Op::Scratch | Op::Image(_) | Op::Named(_) => {}
            Op::Mkdir(op) => op.base = other(op.base),
            Op::Copy(op) => {
                op.base = other(op.base);
                replace(&mut op.from);
            }
            Op::Run(op) => {
                op.base = other(op.base);
                for mount in &mut op.mounts {
                    match &mut mount.kind {
                        MountKind::Bind { from, .. } => replace(from),
                        MountKind::Cache { from, .. } => from.iter_mut().for_each(replace),
                        _ => {}
                    }
                }
            }
        }
        self
    }

    /// The vertices this one needs, its base first.
    #[must_use]
    pub fn inputs(&self) -> Vec<VertexId> {
        match self {
            Op::Scratch | Op::Image(_) | Op::Named(_) => Vec::new(),
            Op::Mkdir(op) => vec![op.base],
            Op::Copy(op) => [op.base].into_iter().chain(op.from.vertex()).collect(),
            Op::Run(op) => {
                let mounts = op.mounts.iter().filter_map(|mount| match &mount.kind {
                    MountKind::Bind { from, .. } => from.vertex(),
                    MountKind::Cache { from, .. } => from.as_ref().and_then(CopyFrom::vertex),
                    _ => None,
                });
                [op.base].into_iter().chain(mounts).collect()
            }
        }
    }
}

/// An image from a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageOp {
    /// Which; it has a tag or a digest.
    pub reference: Reference,
    /// For which platform.
    pub platform: Platform,
}

/// The files of a named context as a file system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedOp {
    /// The context's name as the user wrote it.
    pub name: String,
}

/// A process that runs on a file system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunOp {
    /// Its file system.
    pub base: VertexId,
    /// The command with its arguments.
    pub args: Vec<String>,
    /// The environment: the configuration's and the declared ARGs, in order of their last definition.
    pub env: Vec<(String, String)>,
    /// Proxy variables from build arguments, which belong in no cache key: added to the environment
    /// where it does not have them.
    pub proxy: Vec<(String, String)>,
    /// The working directory.
    pub cwd: String,
    /// `user[:group]`, names or numbers; empty is root.
    pub user: String,
    /// Mounts, in order.
    pub mounts: Vec<Mount>,
    /// Which network.
    pub network: NetworkMode,
    /// With which privileges.
    pub security: Security,
    /// Files that are mounted, read-only, at `/dev/pipes/NAME`: a heredoc that begins with `#!`.
    pub files: Vec<InlineFile>,
    /// CDI devices, by name.
    pub devices: Vec<String>,
    /// Where to run it.
    pub platform: Platform,
}

/// A file given in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InlineFile {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub contents: String,
    /// Permission bits: 0644 for COPY and ADD, 0755 for RUN.
    pub mode: u32,
}

/// Something mounted into a RUN step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mount {
    /// Absolute path; empty for a secret that is only an environment variable, and for an SSH socket
    /// whose place the executor chooses.
    pub target: String,
    /// May the step not write to it? What it writes to a bind mount is discarded.
    pub read_only: bool,
    /// What it is.
    pub kind: MountKind,
}

/// The kinds of mounts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MountKind {
    /// A directory or file.
    Bind {
        /// Out of what.
        from: CopyFrom,
        /// Absolute path in it.
        source: String,
    },
    /// A directory that outlives the build.
    Cache {
        /// Its name.
        id: String,
        /// How it is shared.
        sharing: Sharing,
        /// What a new one begins with; `None` is empty.
        from: Option<CopyFrom>,
        /// Absolute path in `from`.
        source: String,
        /// Permission bits of a new one; `None` is 0755.
        mode: Option<u32>,
        /// Owner of a new one; `None` is 0.
        uid: Option<u32>,
        /// Group of a new one; `None` is 0.
        gid: Option<u32>,
    },
    /// Memory.
    Tmpfs {
        /// Limit in bytes.
        size: Option<u64>,
    },
    /// A secret.
    Secret {
        /// Its name.
        id: String,
        /// The environment variable that holds it.
        env: Option<String>,
        /// Does the build fail without it?
        required: bool,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// An SSH agent's socket.
    Ssh {
        /// Its name; `default` where none is given.
        id: String,
        /// Does the build fail without it?
        required: bool,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

/// COPY or ADD. A source is taken, in this order: `sources`, `remote`, `inline`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CopyOp {
    /// What is copied onto.
    pub base: VertexId,
    /// Where `sources` come from.
    pub from: CopyFrom,
    /// Paths and patterns as written, relative to the root of `from`.
    pub sources: Vec<String>,
    /// Files given in the Dockerfile.
    pub inline: Vec<InlineFile>,
    /// Absolute and clean, with a trailing slash where the destination has to be a directory.
    pub dest: String,
    /// `user[:group]`, names or numbers.
    pub chown: Option<String>,
    /// Octal, or symbolic as in chmod(1).
    pub chmod: Option<String>,
    /// Are archives among `sources` unpacked?
    pub unpack: bool,
    /// Are archives among `remote` unpacked?
    pub unpack_remote: bool,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
    /// Are the directories of a source, behind its `/./`, kept?
    pub parents: bool,
    /// Is the copy independent of `base`?
    pub link: bool,
    /// ADD: addresses of files (http, https) and repositories (git).
    pub remote: Vec<String>,
    /// ADD: what the only source must be, `sha256:…` or a commit.
    pub checksum: Option<String>,
    /// ADD: keep `.git`; `None` where the flag is not given.
    pub keep_git_dir: Option<bool>,
}

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CopyFrom {
    /// The build context.
    Context,
    /// A stage, an image or a named context.
    Vertex(VertexId),
}

impl CopyFrom {
    /// The vertex, if it is one.
    #[must_use]
    pub fn vertex(&self) -> Option<VertexId> {
        match self {
            CopyFrom::Vertex(id) => Some(*id),
            _ => None,
        }
    }
}

/// A directory with its parents, mode 0755, where they are missing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MkdirOp {
    /// Where.
    pub base: VertexId,
    /// Absolute path.
    pub path: String,
    /// Owner of what is made, `user[:group]`; empty is root.
    pub user: String,
}
