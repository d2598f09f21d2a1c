//! One image, built again as its provenance says.

use std::{ffi::OsString, fs, path::Path, process::ExitCode, sync::OnceLock};

use clap::Parser;
use touchmark_attest::{predicate::slsa::Provenance, statement::Statement};
use touchmark_builder::{
    attestations::find::Found,
    compare::difference::Difference,
    export::{
        layout::OciLayout,
        layout_address::{LayoutAddress, LayoutForm},
        release::Release,
    },
    materials::material::Material,
    oci::{descriptor::Descriptor, manifest::Manifest, media_type},
};

use super::{Session, inputs, recorded, side};
use crate::{
    commands::{
        build::{self, arguments::BuildArgs},
        provenance::predicate,
    },
    error::CliError,
    statement::Origin,
    ui::text::harmless,
};

/// What is to be built again, and what was said about it.
pub(super) struct Original {
    /// The image or the index.
    pub(super) subject: Found,
    pub(super) provenance: Provenance,
    /// The signed document with the provenance.
    pub(super) origin: Origin,
    /// Everything that the provenance lists.
    pub(super) materials: Vec<Material>,
}

/// What came out.
pub(super) struct Rebuilt {
    pub(super) image: Descriptor,
    /// None: it is the same, bit for bit.
    pub(super) difference: Option<Difference>,
    /// The second build's own account of what went in.
    pub(super) provenance: Provenance,
    /// What could not be replayed, in sentences.
    pub(super) not_recorded: Vec<String>,
    /// How the source differs from the recorded one, a sentence.
    pub(super) other_source: Option<String>,
}

/// What became of a build.
pub(super) enum Attempt {
    /// There is an image.
    Built(Box<Rebuilt>),
    /// There is none; why was told.
    NotBuilt(ExitCode),
}

/// The arguments of the build that is made of them.
#[derive(Debug, Parser)]
struct Again {
    #[command(flatten)]
    build: BuildArgs,
}

impl Original {
    pub(super) fn new(
        subject: Found,
        statement: &Statement,
        origin: Origin,
    ) -> Result<Self, CliError> {
        let provenance = predicate(statement.predicate_json())?;
        let materials = Material::all(&provenance);
        Ok(Self { subject, provenance, origin, materials })
    }
}

/// Builds an image again and compares.
pub(super) fn rebuild(session: &Session<'_>, original: &Original) -> Result<Attempt, CliError> {
    let printer = session.printer;
    let not_recorded = recorded::obstacles(&original.provenance, &original.materials);
    for obstacle in &not_recorded {
        printer.warning(&format!("this cannot be replayed exactly: {}", harmless(obstacle)));
    }
    session.source.dockerfile(&original.provenance)?;
    session.bases(original)?;
    let fault = |error: std::io::Error| CliError::environment(error.to_string());
    let room = tempfile::tempdir().map_err(fault)?;
    let (layout, lock) = (room.path().join("image"), room.path().join("provenance.lock"));
    fs::write(&lock, recorded::lock(&original.materials).text()).map_err(fault)?;
    let given = command(session, original, (&layout, &lock))?;
    let again = Again::try_parse_from(given)
        .map_err(|error| CliError::failed(format!("the recorded parameters: {error}")))?;
    let said = OnceLock::new();
    let code = build::run_watched(&again.build, printer, &|built| {
        let releases = built.products.iter().map(|product| &product.release);
        let image = releases.filter_map(Release::image).next();
        if let Some(provenance) = image.and_then(|image| image.provenance.clone()) {
            let _ = said.set(provenance);
        }
    })?;
    match said.into_inner() {
        Some(mut provenance) if layout.exists() => {
            session.source.note(&mut provenance);
            let (image, difference) = compared(session, original, &layout)?;
            let other_source = inputs::other_source(&original.provenance, &provenance);
            let rebuilt = Rebuilt { image, difference, provenance, not_recorded, other_source };
            Ok(Attempt::Built(Box::new(rebuilt)))
        }
        _ => Ok(Attempt::NotBuilt(code)),
    }
}

fn compared(
    session: &Session<'_>,
    original: &Original,
    layout: &Path,
) -> Result<(Descriptor, Option<Difference>), CliError> {
    let fault = |error: &dyn std::fmt::Display| CliError::failed(error.to_string());
    let address =
        LayoutAddress { form: LayoutForm::Directory, path: layout.to_owned(), image: None };
    let rebuilt = OciLayout::open(&address).map_err(|error| fault(&error))?;
    let resolved = rebuilt.resolve(None).map_err(|error| fault(&error))?;
    let new = (&rebuilt, &*resolved.bytes);
    let old = &original.subject.bytes;
    let found = side::compare(session.place, old, new, session.store.content())?;
    Ok((resolved.descriptor, found))
}

/// The command line of the build: what was recorded, offline, into a layout.
fn command(
    session: &Session<'_>,
    original: &Original,
    (layout, lock): (&Path, &Path),
) -> Result<Vec<OsString>, CliError> {
    let (args, provenance) = (session.args, &original.provenance);
    let manifest: Manifest = serde_json::from_slice(&original.subject.bytes)
        .map_err(|error| CliError::failed(format!("the image's manifest: {error}")))?;
    let mut given: Vec<OsString> = vec!["build".into()];
    given.extend(recorded::flags(provenance).into_iter().map(OsString::from));
    let compression = recorded::compression(provenance, &manifest);
    let docker = manifest.config.media_type == media_type::DOCKER_CONFIG;
    let types = if docker { "oci-mediatypes=false" } else { "oci-mediatypes=true" };
    let dest = layout.display();
    let output = format!("--output=type=oci,tar=false,dest={dest},{compression},{types}");
    given.push(output.into());
    // Annotations are no parameters; the image has them in plain sight.
    given.extend(
        manifest
            .annotations
            .iter()
            .map(|(key, value)| format!("--annotation={key}={value}").into()),
    );
    let dockerfile = &provenance.build_definition.external_parameters.get("dockerfile");
    let file = dockerfile.and_then(|file| file["path"].as_str()).unwrap_or("Dockerfile");
    given.extend(["--file".into(), session.source.dir.join(file).into_os_string()]);
    if let Some(policy) = args.statement.policy() {
        given.extend(["--policy".into(), policy.as_os_str().to_owned()]);
    }
    for (name, values) in [("--build-context", &args.build_context), ("--secret", &args.secret)] {
        values.iter().for_each(|value| given.extend([name.into(), value.into()]));
    }
    given.push(format!("--locked={}", lock.display()).into());
    given.extend(["--offline", "--no-cache", "--no-sign"].map(OsString::from));
    given.extend(["--progress", "plain", "--"].map(OsString::from));
    given.push(session.source.dir.clone().into_os_string());
    Ok(given)
}
