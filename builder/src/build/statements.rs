//! The images of all platforms with their signed statements, and the index over them.

use std::collections::BTreeSet;

use super::{
    BuildError,
    plan::PlatformPlan,
    platform::{Made, Run},
};
use crate::{
    attestations::{Predicates, kept::sign_or_keep},
    export::{
        artifact::Artifact,
        release::{ImageIndex, PlatformImage, Release},
    },
    image::{form::Form, index::SealedIndex},
    oci::descriptor::Descriptor,
    provenance::{self, Materials, Parameters},
    solver::{
        Solution,
        phase::{Phase, PhaseKind},
        telling::told_now,
    },
};

impl Run<'_> {
    /// Signs what is said about each image, and about the index where there are several.
    pub(super) fn release(
        &self,
        plans: &[PlatformPlan],
        solution: &Solution,
        made: Vec<Made>,
        form: &Form,
    ) -> Result<Release, BuildError> {
        let signed = || self.signed(plans, solution, made, form);
        match self.request.signer {
            Some(_) => told_now(self.tell, Phase::only(PhaseKind::Sign), signed),
            None => signed(),
        }
    }

    fn signed(
        &self,
        plans: &[PlatformPlan],
        solution: &Solution,
        made: Vec<Made>,
        form: &Form,
    ) -> Result<Release, BuildError> {
        let index = match made.len() {
            0 | 1 => None,
            _ => Some(self.index(plans, solution, &made, form)?),
        };
        let mut images = Vec::with_capacity(made.len());
        for one in made {
            let artifacts = self.sign(&one.image.descriptor, &one.predicates, one.ran)?;
            let Made { platform, image, diff_ids, hardening, predicates, .. } = one;
            let provenance = predicates.provenance;
            images.push(PlatformImage {
                platform,
                image,
                diff_ids,
                hardening,
                provenance,
                artifacts,
            });
        }
        let mut images = images.into_iter();
        let first = images.next().ok_or(BuildError::NoPlatform)?;
        Ok(match index {
            Some(index) => Release::several(first, images.collect(), index),
            None => Release::single(first),
        })
    }

    /// What is in an image is said about the image of each platform; what holds for all of them, where
    /// they come from, is said about the index as well.
    fn index(
        &self,
        plans: &[PlatformPlan],
        solution: &Solution,
        made: &[Made],
        form: &Form,
    ) -> Result<ImageIndex, BuildError> {
        let images = made.iter().map(|one| (&one.platform, &one.image));
        let index = SealedIndex::of(images, form)?;
        let mut seen = BTreeSet::new();
        let images = plans.iter().flat_map(|plan| plan.images.iter());
        let images = images
            .filter(|image| seen.insert((image.reference.to_string(), image.platform.to_string())));
        let materials = Materials { images: images.collect(), solved: &solution.whole };
        let used = plans.iter().flat_map(|plan| plan.graph.used_args.clone());
        let platforms: Vec<String> = made.iter().map(|one| one.platform.to_string()).collect();
        let parameters = Parameters {
            build_args: used.collect(),
            platform: platforms.join(","),
            compression: Some(form.parameter()),
            ..self.request.parameters.clone()
        };
        let manifests =
            made.iter().map(|one| provenance::manifest(&one.platform, &one.image.descriptor));
        let byproducts = manifests.collect::<Result<Vec<_>, _>>()?;
        let provenance = self.provenance(parameters, materials, byproducts)?;
        let predicates = Predicates { provenance, sbom: None, hardening: None };
        let artifacts = self.sign(&index.descriptor, &predicates, solution.whole.ran())?;
        Ok(ImageIndex { index, artifacts })
    }

    fn sign(
        &self,
        subject: &Descriptor,
        predicates: &Predicates,
        ran: bool,
    ) -> Result<Vec<Artifact>, BuildError> {
        let Some(signer) = &self.request.signer else { return Ok(Vec::new()) };
        let name = self.request.outputs.name();
        let records = (&self.host.cache, ran);
        Ok(sign_or_keep(subject, name.as_deref(), predicates, signer.as_ref(), records)?)
    }
}
