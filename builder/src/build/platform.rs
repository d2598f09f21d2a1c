//! What was solved for one platform becomes its image, hardened and described.

use std::sync::Arc;

use time::OffsetDateTime;
use touchmark_attest::predicate::hardening::HardeningReport;

use super::{BuildError, BuildRequest, plan::PlatformPlan};
use crate::{
    attestations::Predicates,
    export::uploads::Uploads,
    graph::Target,
    harden::HardenOptions,
    image::{
        Image, Sealed,
        assemble::assemble,
        described::{Describing, Description},
        form::{Form, formed},
        hardened::{HardenedImage, Hardening},
        outcomes::Outcomes,
    },
    oci::{descriptor::Descriptor, digest::Digest, platform::Platform},
    provenance::{self, ContextRecord, Facts, Materials, Parameters},
    sbom::fetched::fetched,
    solver::{
        Solved,
        event::Observer,
        host::Host,
        phase::{Phase, PhaseKind},
        telling::told,
    },
};

/// A build whose steps are done.
pub(super) struct Run<'a> {
    pub(super) request: &'a BuildRequest,
    pub(super) host: &'a Arc<Host>,
    /// Who hears about it.
    pub(super) tell: &'a dyn Observer,
    /// Where layers that are final go at once.
    pub(super) uploads: &'a Uploads,
    /// What came of images before.
    pub(super) outcomes: &'a Outcomes,
    pub(super) context: ContextRecord,
    /// When the steps were done.
    pub(super) finished: OffsetDateTime,
}

/// The image of a platform and what there is to say about it.
pub(super) struct Made {
    pub(super) platform: Platform,
    pub(super) image: Sealed,
    pub(super) diff_ids: Vec<Digest>,
    pub(super) hardening: HardeningReport,
    pub(super) predicates: Predicates,
    /// Did any of its steps run, rather than being answered from the cache?
    pub(super) ran: bool,
}

impl Run<'_> {
    /// Assembles and hardens.
    pub(super) async fn image(
        &self,
        plan: &PlatformPlan,
        solved: &Solved,
    ) -> Result<HardenedImage, BuildError> {
        let (request, host) = (self.request, self.host);
        let (target, epoch) = (&plan.graph.target, request.solve.epoch);
        let platform = self.subject(plan);
        let phase = |kind| Phase::of(kind, &platform);
        let assembled = assemble(target, solved, &host.chains, epoch);
        let image = told(self.tell, phase(PhaseKind::Assemble), assembled).await;
        let image = image.map_err(Arc::new)?;
        let inherited_cmd = target.lines.cmd.is_none();
        let options = HardenOptions { inherited_cmd, ..request.harden.clone() };
        self.upload_steps(&image);
        told(self.tell, phase(PhaseKind::Harden), self.hardened(image, options, target)).await
    }

    /// The image hardened: as it is known, or now.
    async fn hardened(
        &self,
        image: Image,
        options: HardenOptions,
        target: &Target,
    ) -> Result<HardenedImage, BuildError> {
        let (chains, outcomes) = (&self.host.chains, self.outcomes);
        let fault = |error| {
            let lines = Box::new(target.lines.clone());
            BuildError::Harden { error: Box::new(error), lines }
        };
        let hardening = Hardening::of(image, options).map_err(fault)?;
        if let Some(known) = hardening.known(outcomes, chains) {
            return Ok(known);
        }
        chains.ensure(&hardening.layers()).await.map_err(Arc::new)?;
        hardening.done(&self.host.content, outcomes).await.map_err(fault)
    }

    /// The layers of steps go up while the image is hardened, which mostly leaves them as they are. What the
    /// user wants removed must not leave this machine, not even in a blob that nothing refers to.
    fn upload_steps(&self, image: &Image) {
        let (request, chains) = (self.request, &self.host.chains);
        if !request.harden.remove.is_empty() {
            return;
        }
        let made = image.layers().filter(|(diff_id, _)| !chains.is_of_base(diff_id));
        let made: Vec<Descriptor> = made.map(|(_, layer)| layer.clone()).collect();
        for form in request.outputs.forms() {
            if form.compression == chains.compression() && !form.docker_types {
                self.uploads.begin(&request.outputs, &form, &made);
            }
        }
    }

    /// The image in one form, and what there is to say about it.
    pub(super) async fn made(
        &self,
        plan: &PlatformPlan,
        solved: &Solved,
        hardened: &HardenedImage,
        form: &Form,
    ) -> Result<Made, BuildError> {
        let (request, host) = (self.request, self.host);
        let platform = self.subject(plan);
        let phase = |kind| Phase::of(kind, &platform);
        let formed = formed(&hardened.image, form, &host.chains);
        let image = told(self.tell, phase(PhaseKind::Compress), formed).await.map_err(Arc::new)?;
        let sealed = image.seal(form)?;
        self.uploads.begin(&request.outputs, form, &sealed.layers);
        let diff_ids = image.config.rootfs.diff_ids;
        let sbom = match request.sbom && request.signer.is_some() {
            true => {
                let description = Description {
                    name: request.outputs.name().unwrap_or_else(|| "image".into()),
                    diff_ids: diff_ids.clone(),
                    epoch: request.solve.epoch,
                    fetched: fetched(solved.requests()),
                    looks: hardened.looks.clone(),
                };
                let described = self.described(&sealed, description);
                Some(told(self.tell, phase(PhaseKind::Inventory), described).await?)
            }
            false => None,
        };
        self.complete(form, &diff_ids, &sealed).await?;
        let materials = Materials { images: plan.images.iter().collect(), solved };
        let report = serde_json::to_vec(&hardened.report)?;
        let products = vec![provenance::hardening_report(&report)?];
        let parameters = Parameters {
            build_args: plan.graph.used_args.clone(),
            platform: plan.platform.to_string(),
            compression: Some(form.parameter()),
            ..request.parameters.clone()
        };
        let provenance = self.provenance(parameters, materials, products)?;
        Ok(Made {
            platform: plan.platform.clone(),
            image: sealed,
            diff_ids,
            hardening: hardened.report.clone(),
            predicates: Predicates { provenance, sbom, hardening: Some(hardened.report.clone()) },
            ran: solved.ran(),
        })
    }

    /// The SBOM of an image: as it is known, or now.
    pub(super) async fn described(
        &self,
        image: &Sealed,
        description: Description,
    ) -> Result<Vec<u8>, BuildError> {
        let (content, outcomes) = (&self.host.content, self.outcomes);
        let describing = Describing::of(image, description)?;
        if let Some(known) = describing.known(content, outcomes).await? {
            return Ok(known);
        }
        self.host.chains.ensure(&describing.layers()).await.map_err(Arc::new)?;
        Ok(describing.done(content, outcomes).await?)
    }

    /// Brings the layers that are not here, and that somebody wants here or no registry took from where they are.
    async fn complete(
        &self,
        form: &Form,
        diff_ids: &[Digest],
        image: &Sealed,
    ) -> Result<(), BuildError> {
        let chains = &self.host.chains;
        let needed = self.request.outputs.needs_bytes(form);
        let mut lacking = Vec::new();
        for (diff_id, blob) in diff_ids.iter().zip(&image.layers) {
            if !chains.has(blob) && (needed || !self.uploads.came(&blob.digest).await) {
                lacking.push((*diff_id, blob.clone()));
            }
        }
        Ok(chains.ensure(&lacking).await.map_err(Arc::new)?)
    }

    /// What events about a platform's image name it by: nothing where it is the only one.
    fn subject(&self, plan: &PlatformPlan) -> String {
        match self.request.platforms.len() {
            0 | 1 => String::new(),
            _ => plan.platform.to_string(),
        }
    }

    /// The provenance of an image or of an index, where one is asked for.
    pub(super) fn provenance(
        &self,
        parameters: Parameters,
        materials: Materials<'_>,
        byproducts: Vec<provenance::Byproduct>,
    ) -> Result<Option<provenance::Predicate>, BuildError> {
        if !self.request.provenance {
            return Ok(None);
        }
        let facts = Facts {
            parameters: &parameters,
            materials,
            context: &self.context,
            byproducts,
            invocation: self.request.invocation.clone(),
            finished: self.finished,
            versions: self.request.versions.clone(),
        };
        Ok(Some(provenance::provenance(facts)?))
    }
}
