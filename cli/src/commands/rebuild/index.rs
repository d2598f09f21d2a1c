//! An image index: each of its images is built again, and then the index out of them.

use std::{collections::BTreeMap, process::ExitCode};

use touchmark_attest::verify::Role;
use touchmark_builder::{
    compare::index::rebuilt_index,
    oci::{descriptor::Descriptor, digest::Digest},
};

use super::{
    Session,
    again::{self, Attempt, Original, Rebuilt},
    attest::Attest,
    outcome::{ImageOutcome, Outcome},
};
use crate::{commands::build, error::CliError, index, statement, ui::text::harmless};

/// One image of the index, built again.
pub(super) struct Part {
    pub(super) platform: String,
    /// As the index lists it.
    pub(super) entry: Descriptor,
    pub(super) rebuilt: Box<Rebuilt>,
}

/// Builds all of it again. What cannot be built here leaves the others as they are.
pub(super) fn rebuild(
    session: &Session<'_>,
    original: Original,
    attest: Option<&Attest>,
) -> Result<ExitCode, CliError> {
    let entries = index::entries(&original.subject);
    let (mut built, mut outcomes) = (Vec::new(), Vec::new());
    for entry in entries {
        let platform =
            entry.platform.as_ref().map_or_else(|| "not named".into(), ToString::to_string);
        session.printer.talk(&format!("=> rebuilding {}", harmless(&platform)));
        let rebuilt = image(session, &entry, attest).unwrap_or_else(|error| {
            session.printer.error(&error);
            None
        });
        if build::was_interrupted() {
            return Err(CliError::interrupted());
        }
        outcomes.push(ImageOutcome {
            platform: platform.clone(),
            recorded: entry.digest,
            rebuilt: rebuilt.as_ref().map(|rebuilt| rebuilt.image.digest),
            difference: rebuilt.as_ref().and_then(|rebuilt| rebuilt.difference.clone()),
        });
        built.extend(rebuilt.map(|rebuilt| Part { platform, entry, rebuilt }));
    }
    let whole = match built.len() == outcomes.len() {
        true => Some(gathered(&original, &built)?),
        false => None,
    };
    let outcome = Outcome {
        recorded: original.subject.image.digest,
        rebuilt: whole.as_ref().map(|index| index.digest),
        difference: outcomes.iter().find_map(|one| one.difference.clone()),
        other_source: built.iter().find_map(|one| one.rebuilt.other_source.clone()),
        images: outcomes,
    };
    outcome.tell(session.args.json, session.printer)?;
    match (attest, &whole) {
        (Some(attest), Some(index)) => attest.index(session, &original, index, &built)?,
        (Some(_), None) => session
            .printer
            .warning("nothing was attested about the index, because not all of it was built again"),
        (None, _) => {}
    }
    outcome.conclude(session.printer)
}

/// One image of it; none where the build failed and said why.
fn image(
    session: &Session<'_>,
    entry: &Descriptor,
    attest: Option<&Attest>,
) -> Result<Option<Box<Rebuilt>>, CliError> {
    let args = &session.args.statement;
    let (subject, said) = statement::of_platform(args, session.place, entry, Role::Provenance)?;
    let Some((statement, origin)) = said else {
        return Err(CliError::failed(format!(
            "the image {} has no provenance of its own",
            entry.digest
        ))
        .hint(format!("touchmark verify {} says what there is", harmless(args.image()))));
    };
    let original = Original::new(subject, &statement, origin)?;
    session.bring(&original)?;
    let Attempt::Built(rebuilt) = again::rebuild(session, &original)? else { return Ok(None) };
    if let Some(attest) = attest {
        attest.image(session, &original, &rebuilt, false)?;
    }
    Ok(Some(rebuilt))
}

/// The index of what came out.
fn gathered(original: &Original, built: &[Part]) -> Result<Descriptor, CliError> {
    let images: BTreeMap<Digest, Descriptor> =
        built.iter().map(|one| (one.entry.digest, one.rebuilt.image.clone())).collect();
    let index = rebuilt_index(&original.subject.bytes, &images);
    let index = index.map_err(|error| CliError::failed(error.to_string()))?;
    Ok(Descriptor::of(&original.subject.image.media_type, &index))
}
