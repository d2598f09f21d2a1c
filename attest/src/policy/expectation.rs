//! What a provenance must say to count, and what was asked of it.

use super::{Requirement, Unfit};
use crate::{
    excerpt::Excerpt,
    predicate::slsa::{self, Provenance},
    resource_descriptor::ResourceDescriptor,
    statement::Statement,
    verify::Verified,
};

/// Reads the provenance and compares it with the requirement; gives a line of what it says.
///
/// # Errors
/// The first thing that is missing or not as asked for.
pub(super) fn check(
    statement: &Verified<Statement>,
    requirement: &Requirement,
) -> Result<String, Unfit> {
    let provenance: Provenance = statement
        .value()
        .predicate_as()
        .map_err(|fault| Unfit::Form { kind: "provenance", fault })?;
    let incomplete = shape(&provenance)?;
    expected(&provenance, requirement)?;
    if requirement.hermetic {
        hermetic(&provenance, incomplete)?;
    }
    let count = provenance.build_definition.resolved_dependencies.len();
    let builder = Excerpt(&provenance.run_details.builder.id).to_string();
    Ok(match incomplete {
        0 => format!("built by '{builder}', dependencies: {count}, each with a digest"),
        gaps => format!(
            "built by '{builder}', dependencies: {count}, marked as without a digest: {gaps}"
        ),
    })
}

/// Whether the provenance is whole; the number of dependencies that admit to have no digest.
fn shape(provenance: &Provenance) -> Result<usize, Unfit> {
    if provenance.run_details.builder.id.trim().is_empty() {
        return Err(Unfit::ProvenanceLacks("builder id"));
    }
    if provenance.build_definition.build_type.trim().is_empty() {
        return Err(Unfit::ProvenanceLacks("build type"));
    }
    let dependencies = &provenance.build_definition.resolved_dependencies;
    let open = || dependencies.iter().filter(|dependency| !dependency.digest.identifies());
    match open().find(|dependency| dependency.incomplete().is_none()) {
        Some(dependency) => Err(Unfit::DependencyWithoutDigest { which: label(dependency) }),
        None => Ok(open().count()),
    }
}

fn label(dependency: &ResourceDescriptor) -> String {
    let ResourceDescriptor { name, uri, .. } = dependency;
    if uri.is_empty() { name.clone() } else { uri.clone() }
}

fn expected(provenance: &Provenance, requirement: &Requirement) -> Result<(), Unfit> {
    let found = &provenance.run_details.builder.id;
    if !requirement.builders.is_empty() && !requirement.builders.contains(found) {
        let expected = listed(&requirement.builders);
        return Err(Unfit::Builder { found: found.clone(), expected });
    }
    let found = &provenance.build_definition.build_type;
    if let Some(expected) = requirement.build_type.as_ref().filter(|expected| *expected != found) {
        return Err(Unfit::BuildType { found: found.clone(), expected: expected.clone() });
    }
    match requirement.sources.as_slice() {
        [] => Ok(()),
        expected => source(provenance, expected),
    }
}

/// Alternatives in the words of a message.
pub(super) fn listed(alternatives: &[String]) -> String {
    alternatives.join("' or '")
}

fn hermetic(provenance: &Provenance, gaps: usize) -> Result<(), Unfit> {
    let said = provenance.build_definition.internal_parameters.get("hermetic");
    match (said.and_then(serde_json::Value::as_bool), gaps) {
        (Some(true), 0) => Ok(()),
        (Some(true), gaps) => Err(Unfit::NotHermetic {
            reason: format!(
                "it says so, but dependencies without a digest are among its own: {gaps}"
            ),
        }),
        (Some(false), _) => Err(Unfit::NotHermetic { reason: "it says so itself".into() }),
        (None, _) => Err(Unfit::NotHermetic { reason: "it does not say that it is".into() }),
    }
}

/// Only the dependency called `context` is what was built; a repository that a step merely fetched is
/// not the source. Two of them would leave open which one is meant, so neither counts.
fn source(provenance: &Provenance, expected: &[String]) -> Result<(), Unfit> {
    let dependencies = &provenance.build_definition.resolved_dependencies;
    let contexts: Vec<_> =
        dependencies.iter().filter(|dependency| dependency.name == slsa::CONTEXT).collect();
    match contexts.as_slice() {
        [context] if context.annotations.get(slsa::CLEAN) == Some(&false.into()) => {
            let found = format!("{} with changes that are in no commit", context.uri);
            Err(Unfit::Source { found, expected: listed(expected) })
        }
        [context] if expected.iter().any(|one| same_source(&context.uri, one)) => Ok(()),
        [context] => Err(Unfit::Source { found: context.uri.clone(), expected: listed(expected) }),
        [] => Err(Unfit::ProvenanceLacks("dependency named 'context', so its source is not known")),
        _ => Err(Unfit::ProvenanceLacks("single dependency named 'context'; there are several")),
    }
}

/// `expected` itself, or followed by `@ref` or `#fragment`. Without a path in `expected` nothing may
/// follow: `https://a.example` must not match `https://a.example@b.example/`, which is another host.
/// With `*` at its end, anything may follow after the host and its slash, but no way back up.
fn same_source(found: &str, expected: &str) -> bool {
    let path = |text: &str| Some(text.split_once("://")?.1.split_once('/')?.1.len());
    if let Some(start) = expected.strip_suffix('*') {
        let climbs = found.split(['/', '@', '#', '?', '%', '\\']).any(|part| part == "..");
        return path(start).is_some() && found.starts_with(start) && !climbs;
    }
    let has_path = path(expected).is_some_and(|length| length > 0);
    match found.strip_prefix(expected) {
        Some("") => true,
        Some(rest) => has_path && rest.starts_with(['@', '#']),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_matches_with_its_ref_but_not_by_its_beginning() {
        let app = "git+https://git.example/team/app";
        for found in [app, &format!("{app}@refs/heads/main"), &format!("{app}#v1")] {
            assert!(same_source(found, app), "{found}");
        }
        for found in
            [&format!("{app}-evil"), &format!("{app}/x"), "git+https://git.example/team", ""]
        {
            assert!(!same_source(found, app), "{found}");
        }
        assert!(!same_source("https://a.example@b.example/", "https://a.example"));
    }

    #[test]
    fn a_star_stands_for_a_continuation_on_the_same_host() {
        let team = "git+https://git.example/team/*";
        assert!(same_source("git+https://git.example/team/app@refs/heads/main", team));
        for found in ["git+https://git.example/other/app", "git+https://git.example/team/../x", ""]
        {
            assert!(!same_source(found, team), "{found}");
        }
        for open in ["*", "git+https://*", "git+https://git.example*"] {
            assert!(!same_source("git+https://git.example.evil.example/team/app", open), "{open}");
        }
    }
}
