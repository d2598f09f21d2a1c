//! The state of a stage, and the walk over its instructions.

use std::rc::Rc;

use super::{Lowering, path};
use crate::{
    dockerfile::{
        Diagnostic, Instruction, Kind, Span,
        expansion::{Expander, Variables as _},
        instruction::Located,
    },
    graph::{
        build_graph::{ConfigLines, Origin, StageHistory, VertexId},
        options::BuildOptions,
        plan::Base,
        variables::Environment,
    },
    oci::{
        config::{DEFAULT_PATH, History, ImageConfig, RootFs},
        platform::Platform,
    },
};

/// BuildKit's mark on a history entry.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// After so many faults no more are looked for; they would only hide the first ones.
const MAX_FAULTS: usize = 100;

/// What the instructions of a stage have made so far.
#[derive(Debug, Clone)]
pub(super) struct StageState {
    /// The file system.
    pub(super) vertex: VertexId,
    /// The configuration; its environment is kept in `image_env`.
    pub(super) config: ImageConfig,
    /// The configuration's environment.
    pub(super) image_env: Environment,
    /// What words are expanded with and RUN sees: `image_env` and the declared ARGs.
    pub(super) env: Environment,
    /// The declared ARGs in order, also those without a value.
    pub(super) args: Vec<(String, Option<String>)>,
    pub(super) platform: Platform,
    pub(super) base_history: Rc<Vec<History>>,
    /// The entries of this stage alone, until it is done; then they move to [`Lowering::histories`],
    /// so that a long chain of stages does not copy them again and again.
    pub(super) history: Vec<StageHistory>,
    pub(super) lines: ConfigLines,
    /// Did this stage itself have a CMD?
    pub(super) has_cmd: bool,
}

impl StageState {
    fn new(vertex: VertexId, mut config: ImageConfig, platform: Platform) -> Self {
        let mut image_env = Environment::default();
        for pair in std::mem::take(&mut config.config.env) {
            let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
            image_env.set(name, value);
        }
        config.created = None;
        config.rootfs = RootFs::default();
        Self {
            vertex,
            base_history: Rc::new(std::mem::take(&mut config.history)),
            config,
            image_env,
            env: Environment::default(),
            args: Vec::new(),
            platform,
            history: Vec::new(),
            lines: ConfigLines::default(),
            has_cmd: false,
        }
    }

    /// The beginning of a stage: triggers are spent, PATH is there, the configuration's environment
    /// stands over the ARGs that another stage left behind.
    fn begin(mut self) -> Self {
        self.has_cmd = false;
        self.config.config.on_build.clear();
        if self.image_env.value("PATH").is_none() {
            self.image_env.set("PATH", DEFAULT_PATH);
        }
        for (name, value) in self.image_env.pairs() {
            self.env.set_last(&name, &value);
        }
        if !self.config.config.working_dir.is_empty() {
            self.config.config.working_dir =
                path::working_dir("/", &self.config.config.working_dir);
        }
        self
    }

    /// The working directory, `/` where none is set.
    pub(super) fn cwd(&self) -> &str {
        match self.config.config.working_dir.as_str() {
            "" => "/",
            directory => directory,
        }
    }

    /// The configuration with its environment.
    pub(super) fn finished_config(&self) -> ImageConfig {
        let mut config = self.config.clone();
        let pairs = self.image_env.pairs().into_iter();
        config.config.env = pairs.map(|(name, value)| format!("{name}={value}")).collect();
        config
    }

    /// Adds a history entry; `vertex` is the operation that makes its layer.
    pub(super) fn commit(&mut self, created_by: String, vertex: Option<VertexId>) {
        let comment = COMMENT.into();
        self.history.push(StageHistory { created_by, comment, vertex, layer: String::new() });
    }
}

/// The instruction that is being lowered.
pub(super) struct Step<'i> {
    pub(super) instruction: &'i Instruction,
    /// The stage's name as shown.
    pub(super) stage: String,
    /// Number of its next operation, counted from 1.
    pub(super) number: usize,
    /// How many operations the stage has.
    pub(super) total: usize,
    /// Is it a trigger of the base?
    pub(super) trigger: bool,
}

impl Step<'_> {
    pub(super) fn origin(&self, text: String) -> Origin {
        let text = if self.trigger { format!("ONBUILD {text}") } else { text };
        Origin {
            span: self.instruction.span,
            stage: self.stage.clone(),
            step: self.number,
            steps: self.total,
            text,
        }
    }
}

/// How a stage is named in front of its steps.
struct StageLabel<'s> {
    stage: &'s str,
    platform: &'s Platform,
    options: &'s BuildOptions,
}

impl StageLabel<'_> {
    /// Where several platforms are built for, the stage's own stands before its name, and the target's
    /// behind an arrow where the variables tell it to the step and it is another one.
    fn text(&self, env: &Environment) -> String {
        let (own, target) = (self.platform, &self.options.platform);
        if !self.options.several_platforms {
            return self.stage.to_owned();
        }
        let known = ["TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT"];
        let told = known.iter().any(|name| env.value(name).is_some());
        let arrow = match told && own != target {
            false => String::new(),
            true if own.os != target.os => format!("->{target}"),
            true => {
                let variant = target.variant.iter().map(|variant| format!("/{variant}"));
                format!("->{}{}", target.architecture, variant.collect::<String>())
            }
        };
        format!("{own}{arrow} {}", self.stage)
    }
}

impl Lowering<'_, '_> {
    /// Lowers a stage; the stages it needs are done.
    pub(super) fn stage(&mut self, index: usize) -> StageState {
        let plan = self.plan;
        let planned = &plan.stages[index];
        let pulls = usize::from(matches!(planned.base, Base::Image(_) | Base::Named(_)));
        let operations = planned.instructions.iter().filter(|instruction| {
            matches!(
                instruction.kind,
                Kind::Add(_) | Kind::Copy(_) | Kind::Run(_) | Kind::Workdir(_)
            )
        });
        let total = pulls + operations.count();
        let stage = plan.file.stages[index].label(index);
        let before =
            StageLabel { stage: &stage, platform: &planned.platform, options: plan.options };
        let mut state = self.begin(index, &before.text(&Environment::default()), total);
        let mut number = 1 + pulls;
        for (position, instruction) in planned.instructions.iter().enumerate() {
            let trigger = position < planned.triggers;
            let stage = before.text(&state.env);
            let step = Step { instruction, stage, number, total, trigger };
            let before = state.vertex;
            self.instruction(&mut state, &step);
            number += usize::from(state.vertex != before);
        }
        state
    }

    /// The state that FROM makes.
    fn begin(&mut self, index: usize, stage: &str, steps: usize) -> StageState {
        let plan = self.plan;
        let (planned, written) = (&plan.stages[index], &plan.file.stages[index]);
        let platform = planned.platform.clone();
        let origin = |step: usize, text: String| Origin {
            span: written.span,
            stage: stage.into(),
            step,
            steps,
            text,
        };
        let state = match &planned.base {
            Base::Stage(base) => match self.states.get(*base).cloned().flatten() {
                Some(state) => state,
                None => self.empty(origin(0, "FROM scratch".into())),
            },
            Base::Scratch => self.empty(origin(0, "FROM scratch".into())),
            Base::Named(name) => {
                let vertex = self.named(name, origin(1, format!("FROM {name}")));
                StageState::new(vertex, ImageConfig::scratch(&platform), platform)
            }
            Base::Image(reference) => {
                let origin = origin(1, format!("FROM {reference}"));
                let vertex = self.image(reference, &platform, origin);
                let key = (reference.to_string(), platform.to_string());
                let config = self.configs.get(&key).cloned().unwrap_or_else(|| {
                    let message = format!("nothing is known about the image {reference}");
                    self.faults.push(Diagnostic::new(written.base.span, message));
                    ImageConfig::scratch(&platform)
                });
                StageState::new(vertex, config, platform)
            }
        };
        state.begin()
    }

    fn empty(&mut self, origin: Origin) -> StageState {
        let platform = self.plan.options.platform.clone();
        let config = ImageConfig::scratch(&platform);
        StageState::new(self.scratch(origin), config, platform)
    }

    fn instruction(&mut self, state: &mut StageState, step: &Step<'_>) {
        if self.faults.len() >= MAX_FAULTS {
            return;
        }
        match &step.instruction.kind {
            Kind::Add(copy) => self.copy(state, step, copy, true),
            Kind::Copy(copy) => self.copy(state, step, copy, false),
            Kind::Run(run) => self.run(state, step, run),
            Kind::Workdir(directory) => self.workdir(state, step, directory),
            Kind::Arg(arguments) => self.arg(state, arguments),
            Kind::Env(pairs) => self.env(state, pairs),
            Kind::Label(pairs) => self.label(state, pairs),
            Kind::Expose(ports) => self.expose(state, ports),
            Kind::Volume(volumes) => self.volume(state, volumes),
            Kind::User(user) => self.user(state, user),
            Kind::StopSignal(signal) => self.stop_signal(state, signal),
            Kind::Cmd(command) => state.cmd(command, step.instruction.span),
            Kind::Entrypoint(command) => state.entrypoint(command, step.instruction.span),
            Kind::Healthcheck(check) => state.healthcheck(check, step.instruction.span),
            Kind::Shell(words) => state.shell(words),
            Kind::Maintainer(name) => state.maintainer(name),
            Kind::Onbuild(onbuild) => state.config.config.on_build.push(onbuild.trigger.clone()),
        }
    }

    pub(super) fn expander(&self) -> Expander {
        Expander::new(self.plan.file.directives.escape)
    }

    /// Expands a word with the stage's variables; a fault gives `None`.
    pub(super) fn expand(&mut self, state: &StageState, word: &Located) -> Option<String> {
        self.expand_text(state, &word.text, word.span)
    }

    pub(super) fn expand_text(
        &mut self,
        state: &StageState,
        text: &str,
        span: Span,
    ) -> Option<String> {
        match self.expander().expand(text, &state.env) {
            Ok(expanded) => Some(expanded.text),
            Err(error) => {
                self.faults.push(Diagnostic::new(span, error.to_string()).help(error.help()));
                None
            }
        }
    }
}
