//! What a build ends with when steps failed. A step that fails takes with it what needs it; all other
//! steps go on and report, so that one build tells every fault of a Dockerfile. A fault of the machine,
//! such as a full disk, would meet them all and ends them.

use std::sync::Arc;

use super::{error::SolveError, record::VertexResult};
use crate::registry::error::RegistryError;

/// All results, or why there are none: every step's own failure, each once, in the order of the
/// Dockerfile, and of the machine's failures the first.
pub(super) fn outcome(
    results: Vec<Result<VertexResult, Arc<SolveError>>>,
) -> Result<Vec<VertexResult>, Arc<SolveError>> {
    let mut causes: Vec<Arc<SolveError>> = Vec::new();
    // What needed a failed step has the same failure.
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        let known = causes.iter().any(|cause| Arc::ptr_eq(cause, error));
        let told = causes.iter().any(|cause| ends_all(cause)) && ends_all(error);
        if !(known || told || error.is_cancelled()) {
            causes.push(error.clone());
        }
    }
    match (causes.len(), results.into_iter().collect::<Result<Vec<_>, _>>()) {
        (_, Ok(results)) => Ok(results),
        (0, Err(cancelled)) => Err(cancelled),
        (1, Err(_)) => Err(causes.swap_remove(0)),
        (_, Err(_)) => Err(Arc::new(SolveError::Several(causes))),
    }
}

/// Would the other steps meet this too? If in doubt they would.
pub(super) fn ends_all(error: &SolveError) -> bool {
    use SolveError as E;
    match error {
        E::At { cause, .. } | E::Base { cause, .. } => ends_all(cause),
        E::Registry(error) => matches!(**error, RegistryError::Store(_)),
        // On a full disk the others fail too.
        E::Exit { full, .. } => full.is_some(),
        E::Forbidden { .. }
        | E::Unrunnable(_)
        | E::NoSecret(_)
        | E::SecretOfMirror(_)
        | E::NoAgent(_)
        | E::SecretNotText(_)
        | E::Unsupported { .. }
        | E::NoContext(_)
        | E::Checksum(_)
        | E::Fetch(_)
        | E::Source(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn failed(error: SolveError) -> Result<VertexResult, Arc<SolveError>> {
        Err(Arc::new(error))
    }

    fn exit(code: u32) -> SolveError {
        SolveError::Exit { code, refusals: Vec::new(), full: None }
    }

    fn full(path: &str) -> SolveError {
        let error = io::ErrorKind::StorageFull.into();
        SolveError::Store { path: path.into(), error }
    }

    fn told(results: Vec<Result<VertexResult, Arc<SolveError>>>) -> String {
        outcome(results).map_or_else(|error| error.to_string(), |all| format!("{} done", all.len()))
    }

    #[test]
    fn every_cause_is_told_once_and_no_consequence() {
        let scratch = || Ok(VertexResult::scratch());
        let first = failed(exit(1));
        let needs_it = first.clone();
        assert_eq!(told(vec![scratch(), scratch()]), "2 done");
        assert_eq!(
            told(vec![scratch(), first.clone(), needs_it.clone()]),
            "RUN ended with exit code 1"
        );
        let several =
            vec![failed(SolveError::Cancelled), first, needs_it, failed(exit(2)), scratch()];
        assert_eq!(told(several), "RUN ended with exit code 1\nRUN ended with exit code 2");
        assert_eq!(told(vec![scratch(), failed(SolveError::Cancelled)]), "cancelled");
    }

    #[test]
    fn what_the_machine_lacks_is_told_once_beside_what_a_step_did_wrong() {
        let results = vec![failed(full("/a")), failed(exit(1)), failed(full("/b"))];
        assert_eq!(told(results), "/a: no storage space\nRUN ended with exit code 1");
        assert!(ends_all(&full("/a")) && !ends_all(&exit(1)));
    }
}
