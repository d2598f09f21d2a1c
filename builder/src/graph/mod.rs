//! What a Dockerfile means: a graph of file system operations, and the configuration of the image that
//! its last one becomes. BuildKit's semantics; no input or output.
//!
//! In reading order: [`options`] is what the caller wants; [`operation`] and [`build_graph`] are what
//! comes out; `variables` gives values; `plan` finds which stage builds on which and which
//! of them the target needs; `lower` walks their instructions, one file per family; [`merge`] joins the
//! graphs of several platforms.
//!
//! Absent: digests, caches and anything else that depends on what a source holds today.

pub mod build_graph;
mod lower;
pub mod merge;
pub mod operation;
pub mod options;
mod plan;
mod variables;

pub use self::{
    build_graph::{BuildGraph, ConfigLines, Origin, StageHistory, Target, Vertex, VertexId},
    lower::lower,
    operation::{
        CopyFrom, CopyOp, ImageOp, InlineFile, MkdirOp, Mount, MountKind, NamedOp, NetworkMode, Op,
        RunOp, Security, Sharing,
    },
    options::{BaseConfigs, BaseImage, BuildOptions, NamedContext},
    plan::{StageBase, Survey, SurveyedStage, base_images, base_images_with, survey},
};

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod robustness_tests;
