//! What went into the steps of earlier builds of the same Dockerfile, and of this one. One document per stage
//! in the cache's index, written only when something in it changed.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::ingredients::Ingredients;
use crate::{
    content::{index::Table, records::Records},
    oci::digest::Digest,
};

/// Steps of a stage that are kept.
const MAX_STEPS: usize = 500;
/// Bytes of file lists that are kept of a stage.
const MAX_FILES: usize = 1 << 20;

/// Earlier builds and this one.
#[derive(Debug)]
pub(super) struct Diary {
    records: Records,
    /// What tells this Dockerfile from others.
    project: String,
    stages: Mutex<BTreeMap<String, Stage>>,
}

#[derive(Debug, Default)]
struct Stage {
    earlier: Vec<Ingredients>,
    /// By place and text: named contexts all have the same place.
    now: BTreeMap<(usize, String), Ingredients>,
}

/// What is known of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Earlier {
    /// No build with this stage.
    Nothing,
    /// Builds with this stage had no such step.
    OtherSteps,
    /// What went into it.
    Step(Box<Ingredients>),
}

impl Diary {
    /// Of the builds of `project`, kept in `records`.
    pub(super) fn new(records: &Records, project: &str) -> Self {
        let records = records.of(Table::Ingredients);
        Self { records, project: project.to_owned(), stages: Mutex::default() }
    }

    /// The step of an earlier build that does best for this one: one with the same text, the nearest where
    /// there are several; else the one in its place, unless `planned`, the texts of the stage today, has that
    /// one elsewhere.
    pub(super) fn earlier(
        &self,
        stage: &str,
        (text, step): (&str, usize),
        planned: &[&str],
    ) -> Earlier {
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let steps = &self.stage(&mut stages, stage).earlier;
        if steps.is_empty() {
            return Earlier::Nothing;
        }
        let same = steps.iter().filter(|known| known.text == text);
        let nearest = same.min_by_key(|known| known.step.abs_diff(step));
        let word = |text: &str| text.split_whitespace().next().map(str::to_uppercase);
        let in_place = |known: &&Ingredients| {
            known.step == step
                && word(&known.text) == word(text)
                && !planned.contains(&&*known.text)
        };
        match nearest.or_else(|| steps.iter().find(in_place)) {
            Some(found) => Earlier::Step(Box::new(found.clone())),
            None => Earlier::OtherSteps,
        }
    }

    /// Notes what went into a step that is done. A list of files that was not made again is taken over.
    pub(super) fn note(&self, stage: &str, mut ingredients: Ingredients) {
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let stage = self.stage(&mut stages, stage);
        let same = stage.earlier.iter().find(|known| ingredients.takes_the_same_as(known));
        if let Some(known) = same.filter(|_| ingredients.files.is_empty()) {
            ingredients.files.clone_from(&known.files);
        }
        stage.now.insert((ingredients.step, ingredients.text.clone()), ingredients);
    }

    /// Keeps what was noted; of stages that did not come to their end, the rest stays as it was.
    pub(super) fn save(&self) {
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, stage) in stages.iter().filter(|(_, stage)| !stage.now.is_empty()) {
            let last = stage.now.keys().next_back().map_or(0, |(step, _)| *step);
            let rest = stage.earlier.iter().filter(|known| known.step > last);
            let mut steps: Vec<Ingredients> = stage.now.values().chain(rest).cloned().collect();
            steps.truncate(MAX_STEPS);
            let mut files = 0;
            for step in &mut steps {
                files += step.files.len();
                if files > MAX_FILES {
                    step.files.clear();
                }
            }
            if steps != stage.earlier {
                // One that is lost costs an explanation.
                let _ = self.records.put(&self.key(name), &steps);
            }
        }
    }

    fn stage<'s>(&self, stages: &'s mut BTreeMap<String, Stage>, name: &str) -> &'s mut Stage {
        stages.entry(name.to_owned()).or_insert_with(|| Stage {
            earlier: self.records.get(&self.key(name)).unwrap_or_default(),
            now: BTreeMap::new(),
        })
    }

    fn key(&self, stage: &str) -> Digest {
        // No name of a stage has a line break.
        Digest::of(format!("ingredients\n{stage}\n{}", self.project).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::content::index::Index;

    fn step(step: usize, text: &str, files: &str) -> Ingredients {
        let key = Some(Digest::of(text.as_bytes()));
        Ingredients { step, text: text.into(), files: files.into(), key, ..Default::default() }
    }

    #[test]
    fn a_step_is_found_by_its_text_and_else_by_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(Arc::new(Index::open(dir.path())), Table::Results);
        let first = Diary::new(&records, "project");
        assert_eq!(first.earlier("build", ("RUN a", 2), &[]), Earlier::Nothing);
        for (number, text) in [(2, "RUN a"), (3, "COPY b c"), (4, "RUN a")] {
            first.note("build", step(number, text, "files"));
        }
        first.save();

        let second = Diary::new(&records, "project");
        let found =
            |text, number, planned: &[&str]| match second.earlier("build", (text, number), planned)
            {
                Earlier::Step(found) => Some(found.step),
                _ => None,
            };
        assert_eq!(found("RUN a", 5, &[]), Some(4));
        assert_eq!(found("RUN a", 1, &[]), Some(2));
        assert_eq!(found("RUN x", 2, &["RUN x"]), Some(2));
        assert_eq!(found("RUN x", 2, &["RUN x", "RUN a"]), None, "RUN a only moved");
        assert_eq!(found("RUN x", 3, &["RUN x"]), None, "COPY is no RUN");
        assert_eq!(second.earlier("other", ("RUN a", 2), &[]), Earlier::Nothing);
        let other = Diary::new(&records, "other project");
        assert_eq!(other.earlier("build", ("RUN a", 2), &[]), Earlier::Nothing);
        // A build that failed at its second step.
        second.note("build", step(2, "RUN a", ""));
        second.note("build", step(3, "COPY b d", ""));
        second.save();
        let third = Diary::new(&records, "project");
        let steps: Vec<_> = (2..5)
            .map(|place| match third.earlier("build", ("RUN ?", place), &[]) {
                Earlier::Step(found) => (found.text.clone(), found.files.clone()),
                _ => Default::default(),
            })
            .collect();
        assert_eq!(steps[0], ("RUN a".into(), "files".into()), "the list is taken over");
        assert_eq!(steps[2].0, "RUN a");
    }
}
