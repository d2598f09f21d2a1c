//! What the rules look at.

use std::collections::BTreeSet;

use super::scope::Scope;
use crate::{
    dockerfile::{Dockerfile, Instruction, Span, Stage, expansion::Expander},
    graph::{BaseConfigs, BuildOptions, StageBase, Survey, SurveyedStage, survey},
    oci::config::ImageConfig,
};

/// Which stages are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All of them, for a check without a target.
    All,
    /// Those that the target needs.
    Needed,
}

/// Says whether the ignore file hides a path of the context.
pub type Ignored<'a> = &'a dyn Fn(&str) -> bool;

/// A Dockerfile and what is known about its surroundings.
pub struct Subject<'a> {
    /// The file; it may have faults.
    pub file: &'a Dockerfile,
    /// Build arguments, target, platform.
    pub options: &'a BuildOptions,
    /// The base images that are known; may be empty.
    pub configs: &'a BaseConfigs,
    /// The ignore file.
    pub ignored: Ignored<'a>,
    /// Which stages.
    pub reach: Reach,
}

impl<'a> Subject<'a> {
    /// Brings the stages together.
    pub(super) fn view(&self) -> View<'a> {
        let survey = survey(self.file, self.options, self.configs);
        let reached = match self.reach {
            Reach::All => (0..self.file.stages.len()).collect(),
            Reach::Needed => survey.needed.iter().copied().collect(),
        };
        View {
            file: self.file,
            options: self.options,
            configs: self.configs,
            ignored: self.ignored,
            survey,
            reached,
        }
    }
}

/// A file with its stages brought together.
pub(super) struct View<'a> {
    pub(super) file: &'a Dockerfile,
    pub(super) options: &'a BuildOptions,
    pub(super) configs: &'a BaseConfigs,
    pub(super) ignored: Ignored<'a>,
    pub(super) survey: Survey,
    reached: BTreeSet<usize>,
}

/// An instruction in the stage that runs it.
pub(super) struct Step<'v> {
    pub(super) instruction: &'v Instruction,
    /// Where it is reported: its own lines, and for a trigger the FROM that brings it in.
    pub(super) lines: Span,
    /// Is it a trigger of the base?
    pub(super) trigger: bool,
}

impl Step<'_> {
    /// The place of one of its pieces: as it is, and for a trigger the FROM that brings it in.
    pub(super) fn place(&self, piece: Span) -> Span {
        if self.trigger { self.lines } else { piece }
    }
}

impl View<'_> {
    /// The way words are read.
    pub(super) fn expander(&self) -> Expander {
        Expander::new(self.file.directives.escape)
    }

    /// The stages that are looked at, by index, each with what was found out about it.
    pub(super) fn stages(&self) -> impl Iterator<Item = (usize, &Stage, &SurveyedStage)> {
        let both = self.file.stages.iter().zip(&self.survey.stages).enumerate();
        both.filter(|(index, _)| self.reached.contains(index))
            .map(|(index, (stage, surveyed))| (index, stage, surveyed))
    }

    /// The configuration of a stage's base image, where it is one and is known.
    pub(super) fn base_config(&self, stage: &SurveyedStage) -> Option<&ImageConfig> {
        let name = match &stage.base {
            StageBase::Image(reference) => reference.to_string(),
            StageBase::Named(name) => name.clone(),
            _ => return None,
        };
        self.configs.get(&(name, stage.platform.to_string()))
    }

    /// The instructions that a stage runs: the triggers of its base, then its own. A stage whose place a
    /// named context takes is still read.
    pub(super) fn steps(&self, index: usize) -> Vec<Step<'_>> {
        let stage = &self.file.stages[index];
        let triggers = self.survey.stages[index].triggers.iter();
        let triggers =
            triggers.map(|trigger| Step { instruction: trigger, lines: stage.span, trigger: true });
        let own = stage.instructions.iter().map(|instruction| Step {
            instruction,
            lines: instruction.span,
            trigger: false,
        });
        triggers.chain(own).collect()
    }

    /// Walks over all stages, those that are not looked at as well, because others build on them. `visit`
    /// sees each instruction of those that are, with the variables before it.
    pub(super) fn walk(&self, mut visit: impl FnMut(&Step<'_>, &Scope)) {
        let mut last: Vec<Scope> = Vec::new();
        for (index, surveyed) in self.survey.stages.iter().enumerate() {
            let mut scope = match &surveyed.base {
                StageBase::Stage(base) => last.get(*base).cloned().unwrap_or_default(),
                StageBase::Scratch => Scope::of(None, true),
                _ => Scope::of(self.base_config(surveyed), false),
            };
            for step in self.steps(index) {
                if self.reached.contains(&index) {
                    visit(&step, &scope);
                }
                scope.apply(step.instruction, self);
            }
            last.push(scope);
        }
    }
}
