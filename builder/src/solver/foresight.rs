//! The digests of what COPY steps take out of the context. Each is found out once; those of steps to come, while the steps
//! before them are still at work.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::{Solver, copy, error::SolveError};
use crate::{
    graph::{Op, Vertex},
    oci::digest::Digest,
    source::{
        context::SourceRoot, listing::Listing, selection::Selection, survey::Survey,
        tree_digest::listed,
    },
};

/// What is known of the context.
#[derive(Debug, Default)]
pub(super) struct Contents(Mutex<Vec<Known>>);

/// The digest, and what was read for it.
type Found = (Digest, Option<Listing>);

#[derive(Debug)]
struct Known {
    survey: Arc<Survey>,
    selection: Arc<Selection>,
    found: Arc<OnceCell<Found>>,
}

impl Contents {
    fn of(&self, survey: &Arc<Survey>, selection: &Arc<Selection>) -> Arc<OnceCell<Found>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same =
            |known: &&Known| Arc::ptr_eq(&known.survey, survey) && known.selection == *selection;
        if let Some(known) = all.iter().find(same) {
            return known.found.clone();
        }
        let (survey, selection) = (survey.clone(), selection.clone());
        let found = Arc::new(OnceCell::new());
        all.push(Known { survey, selection, found: found.clone() });
        found
    }
}

impl Solver {
    /// The digest of what is copied out of the context as it was at that look, or as it is on disk.
    pub(super) async fn content(
        &self,
        selection: &Arc<Selection>,
        survey: Option<&Arc<Survey>>,
    ) -> Result<Digest, SolveError> {
        let Some(survey) = survey else {
            let (digest, listing) = self.listed(selection, None).await?;
            listing.into_iter().for_each(|listing| self.tale.files(listing));
            return Ok(digest);
        };
        let found = self.contents.of(survey, selection);
        let listed = || self.listed(selection, Some(survey));
        let (digest, listing) = found.get_or_try_init(listed).await?;
        listing.iter().for_each(|listing| self.tale.files(listing.clone()));
        Ok(*digest)
    }

    async fn listed(
        &self,
        selection: &Arc<Selection>,
        survey: Option<&Arc<Survey>>,
    ) -> Result<Found, SolveError> {
        let (context, selection) = (self.context.clone(), selection.clone());
        let (cache, survey) = (self.stat_cache.clone(), survey.cloned());
        let found = tokio::task::spawn_blocking(move || {
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            let root: SourceRoot<'_> = match &survey {
                Some(survey) => context.at(survey)?,
                None => context.root()?,
            };
            let (found, listing) = listed(&root, &selection, Some(&mut cache))?;
            Ok((found.digest, listing))
        });
        found.await?
    }

    /// Finds out ahead what these steps will ask for, in their order. What fails is told by the step itself.
    pub(super) async fn foresee(&self, vertices: &[Vertex]) {
        let context = self.context.clone();
        let mut taken: Vec<Arc<Selection>> = Vec::new();
        for vertex in vertices {
            if let Op::Copy(op) = &vertex.op
                && op.from.vertex().is_none()
                && op.remote.is_empty()
            {
                taken.push(Arc::new(copy::selection(op)));
            }
        }
        // The first one is asked for at once.
        if taken.len() < 2 {
            return;
        }
        let look = tokio::task::spawn_blocking(move || context.survey());
        let Ok(Ok(survey)) = look.await else { return };
        for selection in taken {
            let found = self.contents.of(&survey, &selection);
            if self.cancel.is_cancelled()
                || found.get_or_try_init(|| self.listed(&selection, Some(&survey))).await.is_err()
            {
                return;
            }
        }
    }
}
