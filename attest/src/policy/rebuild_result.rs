//! What a test result must say to count as a rebuild. Any test has this predicate type, and one that failed is a
//! statement as well: neither may pass for "it was rebuilt and is the same".

use super::Unfit;
use crate::{
    predicate::test_result::{BIT_IDENTICAL, Outcome, REBUILD, TestResult},
    statement::Statement,
    verify::Verified,
};

/// Reads the result; gives a line of what it says.
///
/// # Errors
/// It is not a rebuild's, or the rebuild gave something else.
pub(super) fn check(statement: &Verified<Statement>) -> Result<String, Unfit> {
    let result: TestResult = statement
        .value()
        .predicate_as()
        .map_err(|fault| Unfit::Form { kind: "test result", fault })?;
    let named = |tests: &[String]| tests.iter().any(|test| test == BIT_IDENTICAL);
    let failed = named(&result.failed_tests);
    if !failed && !named(&result.passed_tests) {
        return Err(Unfit::OtherTest);
    }
    let rebuild = result.touchmark_rebuild.as_ref();
    let contradicts = rebuild.is_some_and(|rebuild| !rebuild.is_identical());
    if failed || result.result != Outcome::Passed || contradicts {
        let words = rebuild.and_then(|rebuild| rebuild.words.clone());
        return Err(Unfit::NotRebuilt {
            reason: words.unwrap_or_else(|| "no reason is given".into()),
        });
    }
    let program = result.configuration.iter().find(|one| one.uri == REBUILD);
    let version = program.and_then(|one| one.annotations.get("touchmark")?.as_str());
    Ok(match version {
        Some(version) => {
            format!("built again bit for bit by touchmark {}", crate::excerpt::Excerpt(version))
        }
        None => "built again bit for bit".to_owned(),
    })
}
