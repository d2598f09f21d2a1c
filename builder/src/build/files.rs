//! The files of the target for outputs that are no image, and what is said about them where that was
//! asked for. They are not hardened: no image is made of them.

use std::sync::Arc;

use serde::Serialize;
use touchmark_attest::{
    digest_set::DigestSet,
    predicate::{slsa, spdx},
    statement::{Statement, Subject},
};

use super::{BuildError, plan::PlatformPlan, platform::Run};
use crate::{
    attestations::AttestError,
    export::file_tree::FileTree,
    image::{assemble::assemble, described::Description, form::Form},
    oci::digest::Digest,
    provenance::{Materials, Parameters},
    sbom::fetched::fetched,
    solver::Solved,
};

/// The names that docker gives these files.
const PROVENANCE: &str = "provenance.json";
const SBOM: &str = "sbom.spdx.json";

impl Run<'_> {
    /// The files on each platform, where an output wants them.
    pub(super) async fn trees(
        &self,
        each: &[(&PlatformPlan, &Solved)],
    ) -> Result<Vec<FileTree>, BuildError> {
        let mut trees = Vec::new();
        if self.request.outputs.files.is_empty() {
            return Ok(trees);
        }
        for (plan, solved) in each {
            let view = self.host.chains.view(&solved.target().layers).await.map_err(Arc::new)?;
            let mut tree = FileTree {
                platform: plan.platform.clone(),
                view: Arc::new(view),
                epoch: self.request.solve.epoch,
                documents: Vec::new(),
            };
            tree.documents = self.documents(plan, solved, &tree).await?;
            trees.push(tree);
        }
        Ok(trees)
    }

    /// Statements about every file of the tree, unsigned as docker writes them.
    async fn documents(
        &self,
        plan: &PlatformPlan,
        solved: &Solved,
        tree: &FileTree,
    ) -> Result<Vec<(String, Vec<u8>)>, BuildError> {
        let wanted = self.request.beside_files;
        let mut documents = Vec::new();
        if !wanted.provenance && !wanted.sbom {
            return Ok(documents);
        }
        let files = tree.clone();
        let digests = tokio::task::spawn_blocking(move || files.digests()).await?;
        let digests = digests.map_err(crate::export::ExportError::from)?;
        // A statement about nothing says nothing.
        if digests.is_empty() {
            return Ok(documents);
        }
        let parameters = Parameters {
            build_args: plan.graph.used_args.clone(),
            platform: plan.platform.to_string(),
            harden: "off".into(),
            ..self.request.parameters.clone()
        };
        let materials = Materials { images: plan.images.iter().collect(), solved };
        if wanted.provenance
            && let Some(provenance) = self.provenance(parameters, materials, Vec::new())?
        {
            let bytes = statement(&digests, slsa::PREDICATE_TYPE, &provenance)?;
            documents.push((PROVENANCE.into(), bytes));
        }
        if wanted.sbom {
            let sbom = self.sbom_of_files(plan, solved).await?;
            let sbom: Box<serde_json::value::RawValue> = serde_json::from_slice(&sbom)?;
            let bytes = statement(&digests, spdx::PREDICATE_TYPE, &sbom)?;
            documents.push((SBOM.into(), bytes));
        }
        Ok(documents)
    }

    async fn sbom_of_files(
        &self,
        plan: &PlatformPlan,
        solved: &Solved,
    ) -> Result<Vec<u8>, BuildError> {
        let (host, epoch) = (self.host, self.request.solve.epoch);
        let image = assemble(&plan.graph.target, solved, &host.chains, epoch).await;
        let image = image.map_err(Arc::new)?;
        let description = Description {
            name: "files".into(),
            diff_ids: image.config.rootfs.diff_ids.clone(),
            epoch,
            fetched: fetched(solved.requests()),
            looks: Arc::default(),
        };
        let sealed = image.seal(&Form::default())?;
        self.described(&sealed, description).await
    }
}

fn statement(
    files: &[(String, Digest)],
    predicate_type: &str,
    predicate: &impl Serialize,
) -> Result<Vec<u8>, AttestError> {
    let subjects = files.iter().filter_map(|(name, digest)| {
        let digest = DigestSet::sha256(&digest.hex()).ok()?;
        Some(Subject { name: Some(name.clone()), digest })
    });
    let statement = Statement::new(subjects.collect(), predicate_type, predicate)?;
    Ok(serde_json::to_vec_pretty(&statement)?)
}
