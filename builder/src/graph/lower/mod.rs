//! From stages to operations: each needed stage's instructions are walked in order, with the state that
//! they change.

mod argument;
mod copy;
mod created_by;
mod expose;
mod mount;
mod path;
mod run;
mod setting;
mod stage;

use std::collections::BTreeMap;

use self::stage::StageState;
use super::{
    build_graph::{BuildGraph, Origin, StageHistory, Target, Vertex, VertexId},
    operation::{CopyFrom, ImageOp, NamedOp, Op},
    options::{BaseConfigs, BuildOptions},
    plan::{Base, Plan, Source},
};
use crate::{
    dockerfile::{Diagnostic, Dockerfile, Span},
    oci::{config::History, platform::Platform, reference::Reference},
};

/// Turns a Dockerfile into the graph of what the target needs.
///
/// # Errors
/// All independent faults.
pub fn lower(
    file: &Dockerfile,
    options: &BuildOptions,
    configs: &BaseConfigs,
) -> Result<BuildGraph, Vec<Diagnostic>> {
    let mut plan = Plan::new(file, options, Some(configs))?;
    let mut lowering = Lowering {
        used_args: std::mem::take(&mut plan.used_args),
        plan: &plan,
        configs,
        vertices: Vec::new(),
        images: BTreeMap::new(),
        scratch: None,
        named: BTreeMap::new(),
        states: file.stages.iter().map(|_| None).collect(),
        histories: Vec::new(),
        faults: Vec::new(),
    };
    for index in plan.needed() {
        let mut state = lowering.stage(index);
        lowering.histories.push((index, std::mem::take(&mut state.history)));
        lowering.states[index] = Some(state);
    }
    lowering.finish()
}

/// A graph that is being made.
struct Lowering<'p, 'a> {
    plan: &'p Plan<'a>,
    configs: &'p BaseConfigs,
    vertices: Vec<Vertex>,
    /// Images by reference and platform, as displayed.
    images: BTreeMap<(String, String), VertexId>,
    scratch: Option<VertexId>,
    /// Named contexts by name.
    named: BTreeMap<String, VertexId>,
    /// The stages that are done.
    states: Vec<Option<StageState>>,
    /// The history entries of each stage that is done, by its index; without those of its base.
    histories: Vec<(usize, Vec<StageHistory>)>,
    faults: Vec<Diagnostic>,
    used_args: BTreeMap<String, String>,
}

impl Lowering<'_, '_> {
    fn push(&mut self, op: Op, origin: Origin) -> VertexId {
        self.vertices.push(Vertex { op, origin });
        VertexId(self.vertices.len() - 1)
    }

    fn image(&mut self, reference: &Reference, platform: &Platform, origin: Origin) -> VertexId {
        let key = (reference.to_string(), platform.to_string());
        if let Some(id) = self.images.get(&key) {
            return *id;
        }
        let op = ImageOp { reference: reference.clone(), platform: platform.clone() };
        let id = self.push(Op::Image(op), origin);
        self.images.insert(key, id);
        id
    }

    fn named(&mut self, name: &str, origin: Origin) -> VertexId {
        if let Some(id) = self.named.get(name) {
            return *id;
        }
        let id = self.push(Op::Named(NamedOp { name: name.to_owned() }), origin);
        self.named.insert(name.to_owned(), id);
        id
    }

    fn scratch(&mut self, origin: Origin) -> VertexId {
        if let Some(id) = self.scratch {
            return id;
        }
        let id = self.push(Op::Scratch, origin);
        self.scratch = Some(id);
        id
    }

    /// Where COPY or a mount takes its files. Faults of the name were found by the plan; a trigger of a
    /// base image may still bring one in.
    fn copy_from(&mut self, name: Option<&str>, span: Span, stage: &str) -> Option<CopyFrom> {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Some(CopyFrom::Context);
        };
        let origin = |text: String| Origin { span, stage: stage.into(), step: 0, steps: 0, text };
        match self.plan.source(name, span) {
            Ok(Source::Stage(index)) => {
                let state = self.states.get(index).and_then(Option::as_ref);
                state.map(|state| CopyFrom::Vertex(state.vertex))
            }
            Ok(Source::Image(reference)) => {
                let origin = origin(format!("FROM {reference}"));
                let platform = self.plan.options.platform.clone();
                Some(CopyFrom::Vertex(self.image(&reference, &platform, origin)))
            }
            Ok(Source::Scratch) => {
                Some(CopyFrom::Vertex(self.scratch(origin("FROM scratch".into()))))
            }
            Ok(Source::Named(context)) => {
                let origin = origin(format!("FROM {context}"));
                Some(CopyFrom::Vertex(self.named(&context, origin)))
            }
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    /// The history of the target: its own entries behind those of the stages it builds on.
    fn history(&mut self) -> Vec<StageHistory> {
        let mut parts = Vec::new();
        let mut next = Some(self.plan.target);
        for (index, entries) in self.histories.drain(..).rev() {
            if next == Some(index) {
                parts.push(entries);
                next = match self.plan.stages[index].base {
                    Base::Stage(base) => Some(base),
                    _ => None,
                };
            }
        }
        let mut history: Vec<StageHistory> = parts.into_iter().rev().flatten().collect();
        for entry in &mut history {
            entry.layer = entry.vertex.map(|id| self.layer(id)).unwrap_or_default();
        }
        history
    }

    /// What BuildKit calls the layer of an operation.
    fn layer(&self, id: VertexId) -> String {
        let Vertex { op, origin } = &self.vertices[id.0];
        if let Op::Run(run) = op {
            return format!("mount / from exec {}", run.args.join(" "));
        }
        let stage = match self.plan.stages.len() {
            1 => String::new(),
            _ => format!("{} ", origin.stage),
        };
        format!("[{stage}{}/{}] {}", origin.step, origin.steps, origin.text)
    }

    fn finish(mut self) -> Result<BuildGraph, Vec<Diagnostic>> {
        let state = self.states[self.plan.target].take();
        let Some(state) = state.filter(|_| self.faults.is_empty()) else {
            self.faults.sort_by_key(|fault| (fault.span.first_line, fault.span.first_column));
            self.faults.dedup();
            return Err(self.faults);
        };
        let target = target(state, self.history(), self.plan.options);
        let used_args = self.used_args;
        Ok(BuildGraph { vertices: self.vertices, target, used_args })
    }
}

/// The target's state as an image.
fn target(state: StageState, history: Vec<StageHistory>, options: &BuildOptions) -> Target {
    let mut config = state.finished_config();
    config.config.labels.extend(options.labels.clone());
    if options.platform_given {
        config.os.clone_from(&options.platform.os);
        config.architecture.clone_from(&options.platform.architecture);
        config.variant.clone_from(&options.platform.variant);
    }
    let base_history = state.base_history.to_vec();
    let ours = history.iter().map(|entry| History {
        created: None,
        created_by: Some(entry.created_by.clone()),
        author: None,
        comment: Some(entry.comment.clone()),
        empty_layer: entry.vertex.is_none(),
    });
    config.history = base_history.iter().cloned().chain(ours).collect();
    Target { vertex: state.vertex, config, history, base_history, lines: state.lines }
}
