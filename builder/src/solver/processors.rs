//! Can this machine run the programs of every RUN step? Found out before anything runs, by the steps that
//! the targets need: a Dockerfile that cross-compiles needs no emulator.

use std::sync::Arc;

use super::{Solver, error::SolveError, event::Event};
use crate::{
    emulation::Runner,
    graph::{Op, Origin, Vertex},
    oci::platform::Platform,
};

impl Solver {
    /// Sees to it that every RUN step finds its processor.
    pub(super) async fn emulate(&self, vertices: &[Vertex]) -> Result<(), Arc<SolveError>> {
        let mut steps: Vec<(Platform, &Origin)> = Vec::new();
        for vertex in vertices {
            if let Op::Run(op) = &vertex.op
                && !steps.iter().any(|(platform, _)| *platform == op.platform)
            {
                steps.push((op.platform.clone(), &vertex.origin));
            }
        }
        let platforms: Vec<Platform> = steps.iter().map(|(platform, _)| platform.clone()).collect();
        let (emulation, wanted) = (self.host.emulation.clone(), platforms.clone());
        let work = tokio::task::spawn_blocking(move || emulation.ready(&wanted));
        let runners = work.await.map_err(SolveError::from)?.map_err(|error| {
            let line = steps.iter().find(|(platform, _)| platform == error.platform());
            let error = SolveError::from(error);
            match line {
                Some((_, origin)) => Arc::new(error.at(origin)),
                None => Arc::new(error),
            }
        })?;
        for (platform, runner) in platforms.iter().zip(runners) {
            if let Runner::Emulator(program) = runner {
                let text = format!("{} runs the programs for {platform}", program.display());
                self.observer.event(Event::Activity(&text));
            }
        }
        Ok(())
    }
}
