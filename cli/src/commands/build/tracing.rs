//! The trace of a build: `--trace`, OpenTelemetry, and the times in the metadata file (docs/trace.md). It costs nothing
//! where nobody asks for it.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use touchmark_builder::{
    solver::event::Observer,
    trace::{
        chrome::chrome,
        recorder::Recorder,
        span::{Outcome, Trace},
        tee::Tee,
    },
};

use super::{arguments::BuildArgs, report};
use crate::{config, error::CliError, telemetry::Telemetry, ui::printer::Printer};

/// Who wants the trace, and what is heard for them.
#[derive(Debug)]
pub(super) struct Tracing {
    recorder: Option<Arc<Recorder>>,
    telemetry: Option<Telemetry>,
}

impl Tracing {
    /// Begins to listen where somebody wants to know. What is wrong with the wishes in the environment is a
    /// warning: no build fails because of those who watch it.
    pub(super) fn begin(args: &BuildArgs, printer: &Printer) -> Self {
        let asked = Telemetry::asked(|name| config::text_variable(name).ok().flatten());
        let telemetry = asked.unwrap_or_else(|error| {
            printer.warning(&error);
            None
        });
        let wanted = telemetry.is_some()
            || args.progress.trace.is_some()
            || args.result.metadata_file.is_some();
        let recorder = wanted.then(|| Arc::new(Recorder::new(Instant::now(), SystemTime::now())));
        Self { recorder, telemetry }
    }

    /// `display`, and whoever listens beside it.
    pub(super) fn beside(&self, display: Arc<dyn Observer>) -> Arc<dyn Observer> {
        match &self.recorder {
            Some(recorder) => Arc::new(Tee(display, recorder.clone())),
            None => display,
        }
    }

    /// Writes and sends the trace of a build that has ended, and gives it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) async fn end(
        &self,
        done: bool,
        interrupted: bool,
        args: &BuildArgs,
        printer: &Printer,
    ) -> Result<Option<Trace>, CliError> {
        let Some(recorder) = &self.recorder else { return Ok(None) };
        let outcome = match (done, interrupted) {
            (true, _) => Outcome::Done,
            (false, true) => Outcome::Cancelled,
            (false, false) => Outcome::Failed,
        };
        let trace = recorder.trace(Instant::now(), outcome);
        if let Some(telemetry) = self.telemetry.as_ref().filter(|_| !interrupted)
            && let Err(error) = telemetry.collector.send(&trace, &telemetry.identity).await
        {
            printer
                .warning(&format!("{error}\nhelp: the image is none the worse; see docs/trace.md"));
        }
        match &args.progress.trace {
            Some(path) => {
                report::save(path, chrome(&trace).to_string().as_bytes()).map(|()| Some(trace))
            }
            None => Ok(Some(trace)),
        }
    }
}
