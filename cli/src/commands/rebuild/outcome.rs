//! What a rebuild found, for people and programs.

use std::process::ExitCode;

use serde_json::{Value, json};
use touchmark_builder::{compare::difference::Difference, oci::digest::Digest};

use super::again::{Original, Rebuilt};
use crate::{
    error::CliError,
    ui::{printer::Printer, table::columns, text::harmless},
};

/// The result for what was named.
pub(super) struct Outcome {
    pub(super) recorded: Digest,
    /// None where not all of it could be built.
    pub(super) rebuilt: Option<Digest>,
    pub(super) difference: Option<Difference>,
    pub(super) other_source: Option<String>,
    /// Of an index: each image in it.
    pub(super) images: Vec<ImageOutcome>,
}

/// The result for one image of an index.
pub(super) struct ImageOutcome {
    pub(super) platform: String,
    pub(super) recorded: Digest,
    /// None where it could not be built.
    pub(super) rebuilt: Option<Digest>,
    pub(super) difference: Option<Difference>,
}

impl Outcome {
    pub(super) fn single(original: &Original, rebuilt: &Rebuilt) -> Self {
        Self {
            recorded: original.subject.image.digest,
            rebuilt: Some(rebuilt.image.digest),
            difference: rebuilt.difference.clone(),
            other_source: rebuilt.other_source.clone(),
            images: Vec::new(),
        }
    }

    fn identical(&self) -> bool {
        self.rebuilt == Some(self.recorded)
    }

    /// The document for programs, and of an index the table.
    pub(super) fn tell(&self, json: bool, printer: &Printer) -> Result<(), CliError> {
        if !self.images.is_empty() {
            printer.talk(columns(&self.table()).trim_end());
        }
        match json {
            true => printer.data(&self.document().to_string()),
            false => Ok(()),
        }
    }

    fn document(&self) -> Value {
        let text = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
        let mut document = json!({
            "image": self.recorded.to_string(),
            "rebuilt": text(self.rebuilt),
            "identical": self.identical(),
            "firstDifference": self.difference,
        });
        if !self.images.is_empty() {
            let image = |one: &ImageOutcome| {
                json!({
                    "platform": one.platform,
                    "image": one.recorded.to_string(),
                    "rebuilt": text(one.rebuilt),
                    "identical": one.rebuilt == Some(one.recorded),
                    "firstDifference": one.difference,
                })
            };
            document["images"] = self.images.iter().map(image).collect();
        }
        document
    }

    fn table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![["PLATFORM", "IMAGE", "RESULT"].map(str::to_owned).to_vec()];
        for one in &self.images {
            let result = match (&one.rebuilt, &one.difference) {
                (None, _) => "could not be built here, see above".to_owned(),
                (Some(new), _) if *new == one.recorded => "identical".to_owned(),
                (Some(_), Some(difference)) => harmless(&difference.to_string()),
                (Some(new), None) => format!("became {new}"),
            };
            rows.push(vec![harmless(&one.platform), one.recorded.to_string(), result]);
        }
        let index = match (self.identical(), self.rebuilt) {
            (true, _) => "identical".to_owned(),
            (false, Some(new)) => format!("became {new}"),
            (false, None) => "not all of its images could be built".to_owned(),
        };
        rows.push(vec!["index".to_owned(), self.recorded.to_string(), index]);
        rows
    }

    /// Success when it is the same.
    pub(super) fn conclude(self, printer: &Printer) -> Result<ExitCode, CliError> {
        let recorded = self.recorded;
        let Some(rebuilt) = self.rebuilt else {
            let known = |one: &ImageOutcome| one.rebuilt.is_none();
            let left: Vec<_> =
                self.images.into_iter().filter(known).map(|one| harmless(&one.platform)).collect();
            let message = format!("not rebuilt here: {}", left.join(", "));
            return Err(CliError::failed(message)
                .hint("--platform rebuilds one image of the index by itself")
                .hint(
                    "an image for another processor needs its emulator, or a machine that has it",
                ));
        };
        if self.identical() {
            printer.talk(&format!("identical: {recorded}"));
            return Ok(ExitCode::SUCCESS);
        }
        let mut message = format!("the rebuilt image {rebuilt} is not {recorded}");
        if let Some(found) = &self.difference {
            message.push_str(&format!("\nfirst difference: {}", harmless(&found.to_string())));
        }
        Err(match self.other_source {
            Some(sentence) => CliError::failed(message)
                .hint(format!("the source is another one: {sentence}")),
            None => CliError::failed(message)
                .hint("the source is the one that was built: a step gives something else each time, or with another version of touchmark"),
        })
    }
}
