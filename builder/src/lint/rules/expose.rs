//! ExposeProtoCasing, ExposeInvalidFormat: the words of EXPOSE.

use crate::{
    dockerfile::Kind,
    lint::{
        finding::{Finding, shown},
        rule::{EXPOSE_INVALID_FORMAT, EXPOSE_PROTO_CASING},
        scope::Scope,
        subject::{Step, View},
    },
};

pub(super) fn check(step: &Step<'_>, scope: &Scope, view: &View<'_>, findings: &mut Vec<Finding>) {
    let Kind::Expose(ports) = &step.instruction.kind else { return };
    for port in ports {
        let words = view.expander().expand(&port.text, scope).unwrap_or_default().words;
        for word in words {
            let protocol = word.rsplit_once('/').map(|(_, protocol)| protocol).unwrap_or_default();
            if protocol != protocol.to_lowercase() {
                findings.push(Finding::new(
                    &EXPOSE_PROTO_CASING,
                    step.lines,
                    step.place(port.span),
                    format!("the protocol of '{}' has capital letters", shown(&word)),
                    format!("write {}", shown(&word.to_lowercase())),
                ));
            }
            if word.contains(':') {
                findings.push(Finding::new(
                    &EXPOSE_INVALID_FORMAT,
                    step.lines,
                    step.place(port.span),
                    format!("'{}' names an address or a port of the host", shown(&word)),
                    "write the container's port alone; the host's is chosen when it runs",
                ));
            }
        }
    }
}
