//! What can be said about a Dockerfile without building it: doubts by rule, the targets it offers, what a
//! target takes. Nothing is read and nobody is asked; what is not known about a base image is left out.
//!
//! In reading order: [`rule`] names the rules, [`finding`] is what one of them found, [`subject`] is what
//! they look at, `scope` the variables at an instruction, `rules` has one file for each rule or small
//! family; [`selection`] says which findings count, [`report`] writes them. [`targets`] and [`outline`]
//! answer two other questions, `faults` says why a file cannot be built, [`answer`] writes those; [`place`] says where things stand.
//!
//! BuildKit's rules have BuildKit's names and fire in the same cases (build checks, frontend 1.26).

pub mod answer;
mod faults;
pub mod finding;
pub mod outline;
pub mod place;
pub mod report;
pub mod rule;
mod rules;
pub mod sarif;
mod scope;
pub mod selection;
pub mod subject;
pub mod targets;

pub use self::{
    faults::faults,
    finding::Finding,
    rule::{Kind, Rule},
    selection::Selection,
    subject::Subject,
};
pub(crate) use rules::secret_name::speaks_of_a_secret;

/// Looks at a Dockerfile with every rule that counts. The findings come in the order of the file.
#[must_use]
pub fn lint(subject: &Subject<'_>, selection: &Selection) -> Vec<Finding> {
    let mut findings = rules::run(&subject.view());
    findings.retain(|finding| selection.counts(finding.rule));
    findings.sort_by_key(|finding| {
        (finding.lines.first_line, finding.diagnostic.span.first_line, finding.rule.name)
    });
    findings
}

#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod peer_tests;
