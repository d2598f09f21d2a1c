//! Which stage builds on what, and which stages the target needs.

mod circle;
mod source;
mod survey;
mod unset;

use std::{borrow::Cow, collections::BTreeMap};

pub(super) use self::source::Source;
pub use self::survey::{StageBase, Survey, SurveyedStage, survey};
use super::{
    options::{BaseConfigs, BaseImage, BuildOptions, NamedContext, tagged},
    variables::{self, Environment},
};
use crate::{
    dockerfile::{Diagnostic, Dockerfile, Instruction, Kind, Span, Stage, expansion::Expander},
    oci::{platform::Platform, reference::Reference},
};

/// The images that the target needs, by FROM, `COPY --from` and `RUN --mount from`, each once.
///
/// # Errors
/// The faults in how the stages hang together: unknown target or stage, circles, names of images.
pub fn base_images(
    file: &Dockerfile,
    options: &BuildOptions,
) -> Result<Vec<BaseImage>, Vec<Diagnostic>> {
    Ok(images_of(&Plan::new(file, options, None)?))
}

/// The images that the target needs, now that `configs` are known: an ONBUILD trigger of a base may need
/// more stages and images. [`super::lower`] can be called when `configs` has all of them that are bases.
///
/// # Errors
/// As [`base_images`], and faults of triggers.
pub fn base_images_with(
    file: &Dockerfile,
    options: &BuildOptions,
    configs: &BaseConfigs,
) -> Result<Vec<BaseImage>, Vec<Diagnostic>> {
    Ok(images_of(&Plan::new(file, options, Some(configs))?))
}

fn images_of(plan: &Plan<'_>) -> Vec<BaseImage> {
    let (file, options) = (plan.file, plan.options);
    let mut images: Vec<BaseImage> = Vec::new();
    for index in plan.needed() {
        let stage = &plan.stages[index];
        let mut add = |reference: &Reference, platform: &Platform, span, is_base| {
            let same = |image: &&mut BaseImage| {
                image.reference == *reference && image.platform == *platform
            };
            match images.iter_mut().find(same) {
                Some(image) => image.is_base |= is_base,
                None => images.push(BaseImage {
                    reference: reference.clone(),
                    platform: platform.clone(),
                    span,
                    is_base,
                }),
            }
        };
        if let Base::Image(reference) = &stage.base {
            add(reference, &stage.platform, file.stages[index].base.span, true);
        }
        for (from, span) in stage.instructions.iter().flat_map(|step| named_sources(step)) {
            if let Ok(Source::Image(reference)) = plan.source(from, span) {
                add(&reference, &options.platform, span, false);
            }
        }
    }
    images
}

/// What a stage builds on.
#[derive(Debug, Clone)]
pub(super) enum Base {
    /// Nothing.
    Scratch,
    /// An earlier stage, by index.
    Stage(usize),
    /// An image, with tag or digest.
    Image(Reference),
    /// The files of a named context.
    Named(String),
}

impl Base {
    fn of_context((name, context): (&String, &NamedContext)) -> Self {
        match context {
            NamedContext::Files => Self::Named(name.clone()),
            NamedContext::Image(reference) => Self::Image(reference.clone()),
            NamedContext::Scratch => Self::Scratch,
        }
    }
}

/// A stage as far as it is known before its instructions are run.
#[derive(Debug)]
pub(super) struct PlannedStage<'a> {
    pub(super) base: Base,
    pub(super) platform: Platform,
    /// The base's ONBUILD triggers, then the stage's own instructions.
    pub(super) instructions: Vec<Cow<'a, Instruction>>,
    /// How many of `instructions` are triggers.
    pub(super) triggers: usize,
}

/// All stages and how they hang together.
pub(super) struct Plan<'a> {
    pub(super) file: &'a Dockerfile,
    pub(super) options: &'a BuildOptions,
    pub(super) stages: Vec<PlannedStage<'a>>,
    /// Index of the stage to build.
    pub(super) target: usize,
    /// The variables of the global scope.
    pub(super) global: Environment,
    pub(super) used_args: BTreeMap<String, String>,
    /// The last stage of each name.
    names: BTreeMap<&'a str, usize>,
}

impl<'a> Plan<'a> {
    /// Without configurations the triggers of base images are not known.
    pub(super) fn new(
        file: &'a Dockerfile,
        options: &'a BuildOptions,
        configs: Option<&BaseConfigs>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let (plan, faults) = Self::tolerant(file, options, configs);
        if faults.is_empty() { Ok(plan) } else { Err(faults) }
    }

    /// The same with whatever can be said beside the faults. Where the target is at fault, it is the last
    /// stage; where a base is, it is `scratch`.
    fn tolerant(
        file: &'a Dockerfile,
        options: &'a BuildOptions,
        configs: Option<&BaseConfigs>,
    ) -> (Self, Vec<Diagnostic>) {
        let (mut faults, mut used_args) = (Vec::new(), BTreeMap::new());
        let global = variables::global(file, options, &mut used_args, &mut faults);
        let mut plan = Self {
            file,
            options,
            stages: Vec::new(),
            target: file.stages.len().saturating_sub(1),
            global,
            used_args,
            names: BTreeMap::new(),
        };
        for (index, stage) in file.stages.iter().enumerate() {
            let planned = plan.stage(stage, configs, &mut faults);
            plan.stages.push(planned);
            if let Some(name) = &stage.name {
                plan.names.insert(name, index);
            }
        }
        match plan.find_target() {
            Ok(target) => plan.target = target,
            Err(fault) => faults.push(fault),
        }
        let circles = plan.circles();
        if circles.is_empty() {
            faults.extend(plan.source_faults());
        }
        faults.extend(circles);
        faults.sort_by_key(|fault| (fault.span.first_line, fault.span.first_column));
        (plan, faults)
    }

    /// The indexes of the stages that the target needs, in the order of the file.
    pub(super) fn needed(&self) -> Vec<usize> {
        self.reachable(self.target)
    }

    fn stage(
        &self,
        stage: &'a Stage,
        configs: Option<&BaseConfigs>,
        faults: &mut Vec<Diagnostic>,
    ) -> PlannedStage<'a> {
        let mut platform = self.platform(stage, faults);
        let own = || stage.instructions.iter().map(Cow::Borrowed);
        let replaced = stage.name.as_ref().and_then(|name| self.options.named_context(name));
        if let Some(context) = replaced {
            // A named context stands for the whole stage.
            let (base, instructions) = (Base::of_context(context), Vec::new());
            return PlannedStage { base, platform, instructions, triggers: 0 };
        }
        let base = self.base(stage, faults);
        let mut instructions: Vec<Cow<'a, Instruction>> = match &base {
            Base::Stage(index) => {
                platform = self.stages[*index].platform.clone();
                self.triggers_of(*index, stage, faults)
            }
            Base::Image(reference) => {
                let key = (reference.to_string(), platform.to_string());
                let config = configs.and_then(|configs| configs.get(&key));
                image_triggers(config.map_or(&[], |config| &config.config.on_build), stage, faults)
            }
            Base::Scratch | Base::Named(_) => Vec::new(),
        };
        let triggers = instructions.len();
        instructions.extend(own());
        PlannedStage { base, platform, instructions, triggers }
    }

    /// The triggers that a stage of this file leaves to the stages that build on it.
    fn triggers_of(
        &self,
        index: usize,
        user: &Stage,
        faults: &mut Vec<Diagnostic>,
    ) -> Vec<Cow<'a, Instruction>> {
        let mut triggers = Vec::new();
        for instruction in &self.file.stages[index].instructions {
            let Kind::Onbuild(onbuild) = &instruction.kind else { continue };
            match &onbuild.instruction {
                Ok(instruction) => triggers.push(Cow::Borrowed(&**instruction)),
                Err(found) => faults.extend(found.iter().map(|fault| {
                    fault.clone().related(user.span, "the trigger is run for this stage")
                })),
            }
        }
        triggers
    }

    fn base(&self, stage: &Stage, faults: &mut Vec<Diagnostic>) -> Base {
        let name = self.expand(&stage.base.text, stage.base.span, faults);
        if name.is_empty() {
            return Base::Scratch;
        }
        if let Some(context) = self.options.named_context(&name) {
            return Base::of_context(context);
        }
        let lower = name.to_lowercase();
        if let Some(index) = self.names.get(lower.as_str()) {
            return Base::Stage(*index);
        }
        if name == "scratch" {
            return Base::Scratch;
        }
        match name.parse::<Reference>() {
            Ok(reference) => Base::Image(tagged(reference)),
            Err(error) => {
                let fault = Diagnostic::new(stage.base.span, error.to_string());
                let mut later = self.file.stages.iter().skip(self.stages.len() + 1);
                let later = later.find(|other| other.name.as_deref() == Some(&lower));
                faults.push(match (self.explained(fault, &stage.base.text), later) {
                    (Ok(explained), _) => explained,
                    (Err(fault), Some(later)) => fault
                        .help("move the stage of that name before this line")
                        .related(later.span, format!("the stage '{lower}' is defined here")),
                    (Err(fault), None) => fault.suggest(&name, self.names.keys().copied()),
                });
                Base::Scratch
            }
        }
    }

    fn platform(&self, stage: &Stage, faults: &mut Vec<Diagnostic>) -> Platform {
        let Some(written) = &stage.platform else { return self.options.platform.clone() };
        let text = self.expand(&written.text, written.span, faults);
        if text.is_empty() {
            return self.options.platform.clone();
        }
        Platform::specified(&text, &self.options.build_platform).unwrap_or_else(|| {
            let message = format!("'{text}' is not a platform");
            let help = "write os/architecture, such as linux/amd64 or linux/arm64";
            faults.push(Diagnostic::new(written.span, message).help(help));
            self.options.platform.clone()
        })
    }

    /// Expands a word of FROM in the global scope. Empty when a fault was found.
    fn expand(&self, text: &str, span: Span, faults: &mut Vec<Diagnostic>) -> String {
        let expander = Expander::new(self.file.directives.escape);
        match expander.expand(text, &self.global) {
            Ok(expanded) if expanded.text.is_empty() => {
                let fault = Diagnostic::new(span, format!("'{text}' in FROM is empty"));
                let explained = self.explained(fault, text);
                faults.push(explained.unwrap_or_else(|fault| fault.help("give it a value")));
                String::new()
            }
            Ok(expanded) => expanded.text,
            Err(error) => {
                faults.push(Diagnostic::new(span, error.to_string()).help(error.help()));
                String::new()
            }
        }
    }

    fn find_target(&self) -> Result<usize, Diagnostic> {
        let last = self.stages.len() - 1;
        let Some(wanted) = &self.options.target else { return Ok(last) };
        if let Some(index) = self.names.get(wanted.to_lowercase().as_str()) {
            return Ok(*index);
        }
        let message = format!("there is no stage '{wanted}' to build");
        let counted = wanted.parse().ok().and_then(|index: usize| self.file.stages.get(index));
        if let Some(stage) = counted {
            let help = match &stage.name {
                Some(name) => format!("--target takes a name, not an index; write --target {name}"),
                None => "--target takes a name, not an index; name the stage with AS".into(),
            };
            return Err(Diagnostic::new(stage.span, message).help(help));
        }
        let names: Vec<&str> = self.names.keys().copied().collect();
        let help = if names.is_empty() {
            "no stage has a name; give it one with AS".to_owned()
        } else {
            format!("the stages are {}", names.join(", "))
        };
        let span = self.file.stages[last].span;
        Err(Diagnostic::new(span, message).help(help).suggest(wanted, names))
    }
}

fn image_triggers<'a>(
    triggers: &[String],
    stage: &Stage,
    faults: &mut Vec<Diagnostic>,
) -> Vec<Cow<'a, Instruction>> {
    let mut instructions = Vec::new();
    for trigger in triggers {
        match Instruction::from_trigger(trigger, stage.span) {
            Ok(instruction) => instructions.push(Cow::Owned(instruction)),
            Err(found) => faults.extend(found),
        }
    }
    instructions
}

/// The stages or images that an instruction names, with their places.
pub(super) fn named_sources(instruction: &Instruction) -> Vec<(&str, Span)> {
    match &instruction.kind {
        Kind::Copy(copy) | Kind::Add(copy) => {
            copy.from.iter().map(|from| (from.text.as_str(), from.span)).collect()
        }
        Kind::Run(run) => {
            let mounts = run.mounts.iter();
            mounts.filter_map(|mount| Some((mount.from.as_deref()?, mount.written.span))).collect()
        }
        _ => Vec::new(),
    }
}
