//! Keeping all that builds leave within the user's cap.

use std::sync::Arc;

use touchmark_builder::{
    content::index::Index,
    solver::host::Host,
    space::{Removed, Space, SpaceError, exceeded},
    worker::Worker,
};

use crate::{
    config::Config,
    error::CliError,
    ui::{printer::Printer, text::size},
    user_file::UserFile,
};

/// What a build needs to know to make room.
#[derive(Debug)]
pub(super) struct Room<'a> {
    config: &'a Config,
    printer: &'a Printer,
    cap: Option<u64>,
}

impl<'a> Room<'a> {
    /// Reads the user's settings.
    pub(super) fn new(config: &'a Config, printer: &'a Printer) -> Result<Self, CliError> {
        let cap = UserFile::read(&config.user_file)?.cap(&config.data_dir);
        Ok(Self { config, printer, cap })
    }

    /// Before the first step: where there was too much already, as after a cap was lowered or a build was
    /// killed, room is made first.
    pub(super) async fn before(&self, host: &Host, worker: &Worker) {
        let index = host.cache.index();
        if let Some(cap) = self.cap.filter(|cap| exceeded(index, *cap)) {
            self.make(cap, index, worker, false).await;
        }
    }

    /// After the result is out: what is not written yet is, and where this build wrote anything, that may be too much.
    pub(super) async fn after(&self, host: &Host, worker: &Worker) {
        let index = host.cache.index();
        index.flush();
        index.warning().iter().for_each(|warning| self.printer.warning(warning));
        host.hold.release();
        if let Some(cap) = self.cap.filter(|_| host.hold.has_written()) {
            self.make(cap, index, worker, true).await;
        }
    }

    async fn make(&self, cap: u64, index: &Arc<Index>, worker: &Worker, last: bool) {
        match self.removed(cap, index, worker, last).await {
            Ok(removed) if removed.items.is_empty() => {}
            Ok(removed) => self.printer.talk(&format!(
                "=> cache: {} removed, the longest unused, to keep within {}",
                size(removed.bytes()),
                size(cap)
            )),
            // No build fails because of its cache.
            Err(error) => self.printer.warning(&format!("the cache was not cut back: {error}")),
        }
    }

    async fn removed(
        &self,
        cap: u64,
        index: &Arc<Index>,
        worker: &Worker,
        last: bool,
    ) -> Result<Removed, SpaceError> {
        let data = &self.config.data_dir;
        let space = Space::open(data, worker.socket(), index.clone()).await?;
        let removed = space.keep_within(cap).await;
        // The lease is the build's own until the build has ended.
        if last {
            space.close(false).await?;
        }
        removed
    }
}
