//! The graph of a build and the image that it ends in.

use std::collections::BTreeMap;

use super::operation::{ImageOp, Op};
use crate::{
    dockerfile::Span,
    oci::config::{History, ImageConfig},
};

/// An operation's number: its index in [`BuildGraph::vertices`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VertexId(pub usize);

/// All that has to be done for the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildGraph {
    /// The operations; each comes after those it needs, and the target needs all of them.
    pub vertices: Vec<Vertex>,
    /// What comes out.
    pub target: Target,
    /// The build arguments that were used, with their values.
    pub used_args: BTreeMap<String, String>,
}

impl BuildGraph {
    /// The image that the target is built on; none where it begins with an empty file system.
    #[must_use]
    pub fn base(&self) -> Option<&ImageOp> {
        let mut id = self.target.vertex;
        loop {
            match &self.vertices[id.0].op {
                Op::Image(image) => return Some(image),
                op => id = *op.inputs().first()?,
            }
        }
    }
}

/// One operation and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// What to do.
    pub op: Op,
    /// The instruction that asks for it.
    pub origin: Origin,
}

/// The instruction that an operation comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Its lines.
    pub span: Span,
    /// The stage's name, else `stage-N`; behind the platform where several are built for, as
    /// `linux/arm64 build`.
    pub stage: String,
    /// Which operation of the stage, counted from 1; 0 for `scratch`, which is no step, and for an
    /// image that is only copied from.
    pub step: usize,
    /// How many operations the stage has.
    pub steps: usize,
    /// The instruction in one line, with its variables, as a progress display shows it.
    pub text: String,
}

impl Origin {
    /// The stage's name alone.
    #[must_use]
    pub fn stage_name(&self) -> &str {
        // No name has a blank.
        self.stage.rsplit(' ').next().unwrap_or_default()
    }
}

/// The image that the build ends in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its file system.
    pub vertex: VertexId,
    /// Its configuration. `history` is the base's and then ours, without times; `rootfs.diff_ids` is
    /// empty.
    pub config: ImageConfig,
    /// Our part of the history.
    pub history: Vec<StageHistory>,
    /// The base's part of the history.
    pub base_history: Vec<History>,
    /// Which instructions set what runs.
    pub lines: ConfigLines,
}

/// An instruction as the image's history shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageHistory {
    /// The instruction.
    pub created_by: String,
    /// Always BuildKit's mark.
    pub comment: String,
    /// The operation that makes its layer; `None` where it makes none.
    pub vertex: Option<VertexId>,
    /// What BuildKit calls that layer where a history lacks an entry for it; empty where there is none.
    pub layer: String,
}

/// The instructions of this Dockerfile that set what the image runs; `None` where the base does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigLines {
    /// ENTRYPOINT.
    pub entrypoint: Option<Span>,
    /// Is it in shell form?
    pub entrypoint_shell_form: bool,
    /// CMD.
    pub cmd: Option<Span>,
    /// Is it in shell form?
    pub cmd_shell_form: bool,
    /// HEALTHCHECK.
    pub healthcheck: Option<Span>,
    /// Is it in shell form?
    pub healthcheck_shell_form: bool,
    /// USER.
    pub user: Option<Span>,
}
