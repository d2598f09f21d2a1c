//! What can be said about the stages of a file that may have faults.

use std::collections::BTreeMap;

use super::{Base, Plan};
use crate::{
    dockerfile::{Diagnostic, Dockerfile, Instruction},
    graph::options::{BaseConfigs, BuildOptions},
    oci::{platform::Platform, reference::Reference},
};

/// The stages of a file and how they hang together, as far as its faults let it be seen.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// One for each stage of the file.
    pub stages: Vec<SurveyedStage>,
    /// The stage to build, by index; the last one where the wanted one does not exist.
    pub target: usize,
    /// The indexes of the stages that the target needs, its own included, in order.
    pub needed: Vec<usize>,
    /// The variables of the global scope.
    pub global: BTreeMap<String, String>,
    /// What is wrong with the stages.
    pub faults: Vec<Diagnostic>,
}

/// A stage before its instructions are run.
#[derive(Debug, Clone)]
pub struct SurveyedStage {
    /// What it builds on.
    pub base: StageBase,
    /// Its platform.
    pub platform: Platform,
    /// The ONBUILD triggers that its base leaves to it; they stand at its FROM where the base is an image,
    /// and in the base's stage where it is one of this file.
    pub triggers: Vec<Instruction>,
}

/// What a stage builds on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageBase {
    /// Nothing.
    Scratch,
    /// An earlier stage, by index.
    Stage(usize),
    /// An image, with tag or digest.
    Image(Reference),
    /// A named context.
    Named(String),
    /// It cannot be said; [`Survey::faults`] has the reason.
    Unknown,
}

/// Looks at the stages without lowering them. `configs` may be empty; then the triggers of base images are
/// not known.
#[must_use]
pub fn survey(file: &Dockerfile, options: &BuildOptions, configs: &BaseConfigs) -> Survey {
    if file.stages.is_empty() {
        return Survey::default();
    }
    let (plan, faults) = Plan::tolerant(file, options, Some(configs));
    let stages = plan.stages.iter().zip(&file.stages).map(|(planned, stage)| {
        let base = match &planned.base {
            _ if faults.iter().any(|fault| fault.span == stage.base.span) => StageBase::Unknown,
            Base::Scratch => StageBase::Scratch,
            Base::Stage(index) => StageBase::Stage(*index),
            Base::Image(reference) => StageBase::Image(reference.clone()),
            Base::Named(name) => StageBase::Named(name.clone()),
        };
        let triggers = planned.instructions.iter().take(planned.triggers);
        let triggers = triggers.map(|trigger| trigger.clone().into_owned()).collect();
        SurveyedStage { base, platform: planned.platform.clone(), triggers }
    });
    Survey {
        stages: stages.collect(),
        target: plan.target,
        needed: plan.needed(),
        global: plan.global.pairs().into_iter().collect(),
        faults,
    }
}
