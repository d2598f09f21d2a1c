//! How a build tells why its steps run: [`Story`] is what it knows of earlier builds and of the plan, [`Tale`]
//! what it knows of one step.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;

use super::{
    VertexResult,
    diary::{Diary, Earlier},
    ingredients::{Below, Ingredients},
    reason::Reason,
};
use crate::{
    graph::{BuildGraph, Op, Origin, Vertex},
    oci::digest::Digest,
    source::{image::ResolvedImages, listing::Listing},
};

/// What is known of a build.
#[derive(Debug)]
pub(super) struct Story {
    diary: Diary,
    epoch: i64,
    /// The names of the build arguments.
    arguments: BTreeSet<String>,
    /// The instructions of each stage.
    planned: HashMap<String, Vec<String>>,
    /// Each vertex's name, and the digest of an image.
    names: Vec<(String, Option<Digest>)>,
}

impl Story {
    /// Of a build that executes `vertices`, made of `graphs`.
    pub(super) fn new(
        diary: Diary,
        epoch: i64,
        graphs: &[&BuildGraph],
        vertices: &[Vertex],
        images: &ResolvedImages,
    ) -> Self {
        let arguments = graphs.iter().flat_map(|graph| graph.used_args.keys().cloned()).collect();
        let mut planned: HashMap<String, Vec<String>> = HashMap::new();
        for Vertex { origin, .. } in vertices {
            planned.entry(origin.stage.clone()).or_default().push(origin.text.clone());
        }
        let name = |vertex: &Vertex| match &vertex.op {
            Op::Image(op) => {
                let image = images.get(&op.reference, &op.platform);
                (op.reference.to_string(), image.map(|image| image.digest))
            }
            Op::Scratch => ("scratch".to_owned(), None),
            Op::Named(op) => (format!("the context {}", op.name), None),
            _ => (step_name(&vertex.origin), None),
        };
        let names = vertices.iter().map(name).collect();
        Self { diary, epoch, arguments, planned, names }
    }

    /// Begins to tell of a step.
    pub(super) fn tale(self: &Arc<Self>, vertex: &Vertex, inputs: &[VertexResult]) -> Tale {
        let below = vertex.op.inputs().into_iter().zip(inputs).filter_map(|(id, result)| {
            let (name, image) = self.names.get(id.0)?.clone();
            let layers: Vec<String> = result.layers.iter().map(ToString::to_string).collect();
            Some(Below { name, image, layers: Digest::of(layers.join(" ").as_bytes()) })
        });
        let ingredients = Ingredients {
            text: vertex.origin.text.clone(),
            step: vertex.origin.step,
            below: below.collect(),
            ..Ingredients::default()
        };
        let state = Mutex::new((ingredients, Listing::default(), Vec::new()));
        Tale { story: Some(self.clone()), stage: vertex.origin.stage.clone(), state }
    }

    /// Keeps what a later build has to know.
    pub(super) fn end(&self) {
        self.diary.save();
    }
}

fn step_name(origin: &Origin) -> String {
    format!("[{} {}/{}]", origin.stage, origin.step, origin.steps)
}

/// What is known of a step.
#[derive(Debug, Default)]
pub(super) struct Tale {
    story: Option<Arc<Story>>,
    stage: String,
    state: Mutex<(Ingredients, Listing, Vec<Reason>)>,
}

/// Why the cache did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Miss {
    /// It was not asked.
    NotRead,
    /// It has no result under the key.
    Unknown,
    /// Of the result that it has, the layer is gone.
    LayerGone,
    /// Of the result that it has, the policy refuses this request.
    Refused(String),
    /// Of the result that it has, the lock file has this request otherwise.
    Unlocked(String),
}

impl Tale {
    /// Notes the inputs of the step's cache key. `hides` says of a text that it holds a secret.
    pub(super) fn inputs<T: Serialize>(&self, inputs: &T, hides: &dyn Fn(&str) -> bool) {
        let (Some(story), Ok(inputs)) = (&self.story, serde_json::to_value(inputs)) else { return };
        let mut facts = Ingredients::facts(&inputs, hides);
        let epoch = serde_json::json!({"epoch": story.epoch});
        facts.extend(Ingredients::facts(&epoch, hides));
        self.with(|(ingredients, ..)| ingredients.facts = facts);
    }

    /// Notes files of the context that the step takes.
    pub(super) fn files(&self, listing: Listing) {
        self.with(|(_, files, _)| files.extend(listing));
    }

    /// The step does not depend on what it lies on.
    pub(super) fn without_base(&self) {
        self.with(|(ingredients, ..)| {
            if !ingredients.below.is_empty() {
                ingredients.below.remove(0);
            }
        });
    }

    /// Notes that the cache did not answer.
    pub(super) fn missed(&self, key: &Digest, miss: &Miss) {
        let Some(story) = &self.story else { return };
        self.with(|(ingredients, files, reasons)| {
            ingredients.key = Some(*key);
            ingredients.files = files.to_text();
            *reasons = match miss {
                Miss::NotRead => vec![Reason::NotRead],
                Miss::LayerGone => vec![Reason::LayerGone],
                Miss::Refused(url) => vec![Reason::Refused(url.clone())],
                Miss::Unlocked(url) => vec![Reason::Unlocked(url.clone())],
                Miss::Unknown => story.unknown(&self.stage, ingredients),
            };
        });
    }

    /// Why the step runs.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        self.with(|(_, _, reasons)| reasons.clone())
    }

    /// Notes that the step is done, and with which key.
    pub(super) fn done(&self, key: &Digest) {
        let Some(story) = &self.story else { return };
        let ingredients = self.with(|(ingredients, ..)| {
            ingredients.key = Some(*key);
            ingredients.clone()
        });
        story.diary.note(&self.stage, ingredients);
    }

    fn with<T>(&self, work: impl FnOnce(&mut (Ingredients, Listing, Vec<Reason>)) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Story {
    fn unknown(&self, stage: &str, ingredients: &Ingredients) -> Vec<Reason> {
        let planned = self.planned.get(stage).into_iter().flatten();
        let planned: Vec<&str> = planned.map(String::as_str).collect();
        match self.diary.earlier(stage, (&ingredients.text, ingredients.step), &planned) {
            Earlier::Nothing => vec![Reason::First],
            Earlier::OtherSteps => vec![Reason::New],
            Earlier::Step(earlier) => ingredients.reasons(&earlier, &self.arguments),
        }
    }
}
