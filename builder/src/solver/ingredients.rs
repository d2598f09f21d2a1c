//! What went into a step, kept to tell a later build what is different. It is made of the same values as the
//! cache key, so that nothing can change the key and not be found here. Values of build arguments and
//! variables are kept as they are, as the provenance has them; of those whose name speaks of a secret, and of
//! those that hold a secret of this build, only a digest.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reason::{Change, Input, Reason};
use crate::{lint::speaks_of_a_secret, oci::digest::Digest, source::listing::Listing};

/// The inputs of one step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ingredients {
    /// Its instruction as it is shown.
    pub(super) text: String,
    /// Which operation of its stage.
    pub(super) step: usize,
    /// Its cache key.
    pub(super) key: Option<Digest>,
    /// What it is made on, and what it takes files from: the name and the content.
    pub(super) below: Vec<Below>,
    /// Everything else.
    pub(super) facts: BTreeMap<String, Fact>,
    /// The files of the context that it takes ([`Listing::to_text`]); empty where it takes none.
    pub(super) files: String,
}

/// Something that a step is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Below {
    /// A reference, or a step's name.
    pub(super) name: String,
    /// An image's own digest, where it is one.
    pub(super) image: Option<Digest>,
    /// Its layers.
    pub(super) layers: Digest,
}

/// One input that has a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fact {
    /// It may be shown.
    Shown(String),
    /// It may not; its digest.
    Hidden(Digest),
}

/// Names of facts about environments begin so.
const ENV: &str = "env ";
/// The content of what a COPY takes.
const CONTENT: &str = "content";
/// A longer value is cut, in characters.
const MAX_SHOWN: usize = 120;
/// Changes that are told of a step.
const MAX_TOLD: usize = 6;

impl Ingredients {
    /// The facts in the inputs of a cache key. `hides` says of a text that it holds a secret.
    pub(super) fn facts(inputs: &Value, hides: &dyn Fn(&str) -> bool) -> BTreeMap<String, Fact> {
        let mut facts = BTreeMap::new();
        let mut add = |name: String, value: &Value| {
            let secret = name.strip_prefix(ENV).is_some_and(speaks_of_a_secret);
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Array(words) if words.iter().all(Value::is_string) => {
                    words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
                }
                Value::Null => String::new(),
                other => other.to_string(),
            };
            let fact = match secret || hides(&text) {
                true => Fact::Hidden(Digest::of(text.as_bytes())),
                false => Fact::Shown(text),
            };
            facts.insert(name, fact);
        };
        let Value::Object(fields) = inputs else {
            add("inputs".into(), inputs);
            return facts;
        };
        for (field, value) in fields {
            let parts = value.as_array().map(Vec::as_slice).unwrap_or_default();
            match (&**field, value) {
                ("env" | "files", _) => {
                    for pair in parts {
                        let name = pair[0].as_str().unwrap_or_default();
                        let kind = if field == "env" { ENV } else { "script " };
                        add(format!("{kind}{name}"), &pair[1]);
                    }
                }
                ("mounts", _) => {
                    for mount in parts {
                        let target = mount["target"].as_str().unwrap_or_default();
                        add(format!("mount {target}"), mount);
                    }
                }
                ("settings", Value::Object(settings)) => {
                    settings.iter().for_each(|(name, value)| add(name.clone(), value));
                }
                _ => add(field.clone(), value),
            }
        }
        facts
    }

    /// Does it take the same files as the earlier one?
    pub(super) fn takes_the_same_as(&self, earlier: &Self) -> bool {
        let content = |of: &Self| of.facts.get(CONTENT).cloned();
        self.key == earlier.key || (content(self).is_some() && content(self) == content(earlier))
    }

    /// Why a step with these inputs has not the result of `earlier`. `arguments` are the names of the build
    /// arguments.
    pub(super) fn reasons(&self, earlier: &Self, arguments: &BTreeSet<String>) -> Vec<Reason> {
        if self.key.is_some() && self.key == earlier.key {
            return vec![Reason::Forgotten];
        }
        let mut changes = self.below_changes(earlier);
        // A list that was not made says nothing.
        let files = match self.files.is_empty() || earlier.files.is_empty() {
            true => Vec::new(),
            false => Listing::from_text(&earlier.files).changes(&Listing::from_text(&self.files)),
        };
        let names: BTreeSet<&String> = earlier.facts.keys().chain(self.facts.keys()).collect();
        for name in names {
            let (from, to) = (earlier.facts.get(name), self.facts.get(name));
            // Where it copies from a stage that changed, that was said; and files are told by name.
            let told = *name == CONTENT && (!files.is_empty() || self.is_from_changed(earlier));
            if from != to && !told {
                changes.push(change(name, from, to, arguments));
            }
        }
        changes.extend(files.into_iter().map(Change::from));
        changes.sort_by_key(|change| change.input);
        let more = changes.len().saturating_sub(MAX_TOLD);
        changes.truncate(MAX_TOLD);
        let mut reasons: Vec<Reason> = changes.into_iter().map(Reason::Changed).collect();
        reasons.extend((more > 0).then_some(Reason::More(more)));
        // Such as another version of touchmark.
        if reasons.is_empty() { vec![Reason::New] } else { reasons }
    }

    fn is_from_changed(&self, earlier: &Self) -> bool {
        let layers = |of: &Self| of.below.get(1).map(|below| below.layers);
        layers(self).is_some() && layers(self) != layers(earlier)
    }

    fn below_changes(&self, earlier: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (place, now) in self.below.iter().enumerate() {
            let before = earlier.below.get(place);
            if before.is_some_and(|before| before.layers == now.layers) {
                continue;
            }
            let before_image = before.and_then(|before| before.image);
            changes.push(match (now.image, before) {
                // A step took its place, or another one did; or it copies from something new.
                (None, _) => {
                    Change { input: Input::Step, name: now.name.clone(), from: None, to: None }
                }
                (Some(image), Some(before)) if before.name == now.name => Change {
                    input: Input::BaseImage,
                    name: now.name.clone(),
                    from: before_image.map(|image| short(&image)),
                    to: Some(short(&image)),
                },
                (Some(_), before) => Change {
                    input: Input::Other,
                    name: "the base image".into(),
                    from: before.map(|before| before.name.clone()),
                    to: Some(now.name.clone()),
                },
            });
        }
        changes
    }
}

fn change(
    name: &str,
    from: Option<&Fact>,
    to: Option<&Fact>,
    arguments: &BTreeSet<String>,
) -> Change {
    let (input, name) = match (name, name.split_once(' ')) {
        (_, Some(("env", name))) if arguments.contains(name) => (Input::Argument, name.to_owned()),
        (_, Some(("env", name))) => (Input::Variable, name.to_owned()),
        (_, Some(("mount", target))) => (Input::Other, format!("the mount at {target}")),
        (_, Some(("script", name))) => (Input::Other, format!("the script {name}")),
        (CONTENT, _) => (Input::Files, "what it copies".to_owned()),
        (field, _) => (Input::Other, in_words(field)),
    };
    let opaque = matches!(input, Input::Files) || name.starts_with("the mount");
    let hidden = |fact: Option<&Fact>| matches!(fact, Some(Fact::Hidden(_)));
    if opaque || hidden(from) || hidden(to) {
        // That it was not there before may be told.
        let there = |fact: Option<&Fact>| fact.map(|_| String::new());
        let (from, to) = match from.is_some() && to.is_some() {
            true => (None, None),
            false => (there(from), there(to)),
        };
        return Change { input, name, from, to };
    }
    let shown = |fact: Option<&Fact>| match fact {
        Some(Fact::Shown(text)) => Some(cut(text)),
        _ => None,
    };
    Change { input, name, from: shown(from), to: shown(to) }
}

fn in_words(field: &str) -> String {
    match field {
        "args" => "the command".into(),
        "cwd" => "the working directory".into(),
        "user" => "the user".into(),
        "network" => "the network mode".into(),
        "insecure" => "--security".into(),
        "platform" => "the platform".into(),
        "dest" => "the destination".into(),
        "hosts" => "--add-host".into(),
        "shm_size" => "--shm-size".into(),
        "ulimits" => "--ulimit".into(),
        "remote" => "what the address leads to".into(),
        "epoch" => "SOURCE_DATE_EPOCH".into(),
        "inputs" => "the instruction".into(),
        other => format!("--{other}"),
    }
}

fn short(digest: &Digest) -> String {
    digest.to_string().chars().take("sha256:".len() + 12).chain(['…']).collect()
}

/// One line of at most so many characters.
fn cut(text: &str) -> String {
    let line = text.replace(['\n', '\r', '\t'], " ");
    match line.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "(empty)".into(),
        None => line,
    }
}

#[cfg(test)]
mod tests;
