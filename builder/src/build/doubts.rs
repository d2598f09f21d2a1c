//! What the rules find in the stages that are built.

use super::{BuildRequest, plan::options};
use crate::{
    dockerfile::Dockerfile,
    graph::BaseConfigs,
    lint::{
        Selection, lint,
        selection::CheckError,
        subject::{Reach, Subject},
    },
    solver::event::{Event, Observer},
};

/// Tells each finding once, also where several platforms have it; an error where the file wants one.
pub(super) fn tell(
    file: &Dockerfile,
    request: &BuildRequest,
    configs: &BaseConfigs,
    observer: &dyn Observer,
) -> Result<(), CheckError> {
    let ignored = |path: &str| request.context.ignore().is_some_and(|ignore| ignore.hides(path));
    let selection = Selection::new(file, &request.options, false)?;
    let mut findings = Vec::new();
    for platform in &request.platforms {
        let options = &options(request, platform);
        let subject = Subject { file, options, configs, ignored: &ignored, reach: Reach::Needed };
        for finding in lint(&subject, &selection) {
            if !findings.contains(&finding) {
                observer.event(Event::Doubt(&finding.diagnostic));
                findings.push(finding);
            }
        }
    }
    selection.judge(&findings)
}
