//! A signed statement about what a rebuild found (docs/rebuild.md).

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::Value;
use touchmark_attest::{
    digest_set::DigestSet,
    key::PrivateKey,
    predicate::{
        slsa,
        test_result::{Outcome, PREDICATE_TYPE, REBUILD, Rebuild, RebuiltImage, TestResult},
    },
    resource_descriptor::ResourceDescriptor,
};
use touchmark_builder::{
    attestations::{attach, find::Place},
    export::artifact::BUNDLE_TYPE,
    oci::descriptor::Descriptor,
};

use super::{
    RebuildArgs, Session,
    again::{Original, Rebuilt},
    index::Part,
};
use crate::{
    error::CliError,
    policy_file::PolicyFile,
    runtime,
    signing_key::{self, is_service},
    ui::printer::Printer,
};

/// Who signs, and where the statement goes.
pub(super) struct Attest {
    key: Option<PrivateKey>,
    file: Option<PathBuf>,
}

impl Attest {
    /// Is a statement wanted, and can it be one?
    pub(super) fn choose(args: &RebuildArgs) -> Result<Option<Self>, CliError> {
        let Some(file) = args.attest.clone() else { return Ok(None) };
        if args.statement.keys().is_empty() {
            return Err(CliError::usage("--attest: whose provenance is rebuilt is not said")
                .hint("give the public key that signed the image: --key cosign.pub"));
        }
        let dir = file.as_deref().and_then(Path::parent);
        if let Some(dir) = dir.filter(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()) {
            return Err(CliError::usage(format!(
                "--attest: there is no directory {}",
                dir.display()
            )));
        }
        Ok(Some(Self { key: None, file }))
    }

    /// Reads the key before anything is built.
    pub(super) fn open(
        self,
        args: &RebuildArgs,
        policy: &PolicyFile,
        printer: &Printer,
    ) -> Result<Self, CliError> {
        let of_policy = policy.policy.sign.key.as_ref().map(|key| match is_service(key) {
            true => key.clone(),
            false => policy.dir.join(key).display().to_string(),
        });
        let Some(key) = args.sign_key.clone().or(of_policy) else {
            return Err(CliError::usage("there is no key to sign the statement with").hint(
                "make one with 'touchmark key generate' and give it by --sign-key cosign.key",
            ));
        };
        if is_service(&key) {
            return Err(CliError::usage(format!("the key '{key}' is not a file"))
                .hint("tokens and key services are not supported yet; give a key file"));
        }
        Ok(Self { key: Some(signing_key::load(key.as_ref(), printer)?), ..self })
    }

    /// A layout is not written to.
    pub(super) fn needs_a_file(&self) -> Result<(), CliError> {
        match self.file {
            Some(_) => Ok(()),
            None => Err(CliError::usage("statements are pushed beside images in registries")
                .hint("write it to a file: --attest=rebuild.sigstore.json")),
        }
    }

    /// Signs the result for one image. It is written where a file was asked for only if it is about `all` that was
    /// named.
    pub(super) fn image(
        &self,
        session: &Session<'_>,
        original: &Original,
        rebuilt: &Rebuilt,
        all: bool,
    ) -> Result<(), CliError> {
        self.result(session, original, (&rebuilt.image, &[rebuilt]), Vec::new(), all)
    }

    /// Signs the result for an index, all of whose images were built again.
    pub(super) fn index(
        &self,
        session: &Session<'_>,
        original: &Original,
        index: &Descriptor,
        parts: &[Part],
    ) -> Result<(), CliError> {
        let image = |part: &Part| RebuiltImage {
            platform: part.platform.clone(),
            recorded: part.entry.digest.to_string(),
            rebuilt: part.rebuilt.image.digest.to_string(),
        };
        let images = parts.iter().map(image).collect();
        let each: Vec<&Rebuilt> = parts.iter().map(|part| &*part.rebuilt).collect();
        self.result(session, original, (index, &each), images, true)
    }

    /// Signs what came out, and of it `each` image. A difference that another source explains is no finding about
    /// the image that was recorded.
    fn result(
        &self,
        session: &Session<'_>,
        original: &Original,
        (out, each): (&Descriptor, &[&Rebuilt]),
        images: Vec<RebuiltImage>,
        all: bool,
    ) -> Result<(), CliError> {
        let differing = || each.iter().filter(|one| one.difference.is_some());
        if let Some(sentence) = differing().find_map(|one| one.other_source.as_ref()) {
            session.printer.warning(&format!(
                "nothing was attested, because another source says nothing about {}: {sentence}",
                original.subject.image.digest
            ));
            return Ok(());
        }
        let difference = differing().find_map(|one| one.difference.as_ref());
        let value = difference.map(serde_json::to_value).transpose();
        let ended = |one: &&Rebuilt| one.provenance.run_details.metadata.as_ref()?.finished_on;
        let not_recorded: BTreeSet<&String> =
            each.iter().flat_map(|one| &one.not_recorded).collect();
        let found = Rebuild {
            recorded: original.subject.image.digest.to_string(),
            rebuilt: out.digest.to_string(),
            images,
            first_difference: value.map_err(|error| CliError::failed(error.to_string()))?,
            words: difference.map(ToString::to_string),
            not_recorded: not_recorded.into_iter().cloned().collect(),
            finished_on: each.iter().rev().find_map(ended),
        };
        let configuration = configuration(original, each)?;
        self.publish(
            session,
            &original.subject.image,
            TestResult::of_rebuild(configuration, found),
            all,
        )
    }

    fn publish(
        &self,
        session: &Session<'_>,
        subject: &Descriptor,
        result: TestResult,
        all: bool,
    ) -> Result<(), CliError> {
        let Some(key) = &self.key else { return Ok(()) };
        let verdict = match result.result {
            Outcome::Passed => "identical",
            Outcome::Warned | Outcome::Failed => "not identical",
        };
        let name = match session.place {
            Place::Registry(_, reference) => Some(reference.to_string()),
            Place::Layout(..) => None,
        };
        let signed = attach::signed(subject, name.as_deref(), PREDICATE_TYPE, &result, key);
        let signed = signed.map_err(|error| CliError::failed(error.to_string()))?;
        match (&self.file, session.place) {
            (Some(_), _) if !all => return Ok(()),
            (Some(file), _) => {
                crate::commands::build::save(file, &signed.bundle)?;
                session.printer.talk(&format!("=> wrote {}: {verdict}", file.display()));
            }
            (None, Place::Registry(client, reference)) => {
                let pushed = attach::push(&signed, subject, reference, client);
                runtime::block_on(pushed)?.map_err(|error| match error.is_environment() {
                    true => CliError::environment(error.to_string()),
                    false => CliError::failed(error.to_string()),
                })?;
                let digest = subject.digest;
                session.printer.talk(&format!("=> attested {digest}: {verdict}"));
            }
            (None, Place::Layout(..)) => self.needs_a_file()?,
        }
        Ok(())
    }
}

/// What the test was made with: the program, the provenance that was followed, and what went in.
fn configuration(
    original: &Original,
    rebuilt: &[&Rebuilt],
) -> Result<Vec<ResourceDescriptor>, CliError> {
    let mut inputs: Vec<ResourceDescriptor> = Vec::new();
    let mut program = ResourceDescriptor {
        name: "touchmark".into(),
        uri: REBUILD.into(),
        ..ResourceDescriptor::default()
    };
    for one in rebuilt {
        let versions = &one.provenance.run_details.builder.version;
        let versions = versions.iter().map(|(name, text)| (name.clone(), text.clone().into()));
        program.annotations.extend(versions);
        for input in &one.provenance.build_definition.resolved_dependencies {
            if !inputs.contains(input) {
                inputs.push(input.clone());
            }
        }
    }
    let digest = DigestSet::sha256(&original.origin.bundle.hex());
    let builder = &original.provenance.run_details.builder;
    let mut provenance = ResourceDescriptor {
        name: "provenance".into(),
        uri: slsa::PREDICATE_TYPE.into(),
        digest: digest.map_err(|error| CliError::failed(error.to_string()))?,
        media_type: BUNDLE_TYPE.into(),
        ..ResourceDescriptor::default()
    };
    let mut note = |key: &str, value: Option<String>| {
        let value = value.map(|value| (key.to_owned(), Value::from(value)));
        provenance.annotations.extend(value);
    };
    note("signedBy", original.origin.key.clone());
    note("builder", Some(builder.id.clone()));
    note("touchmark", builder.version.get("touchmark").cloned());
    Ok([program, provenance].into_iter().chain(inputs).collect())
}
