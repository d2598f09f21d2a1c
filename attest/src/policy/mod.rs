//! Judgement: given an image, every piece of evidence that was found for it, what is believed and what
//! is asked for, does the image pass? Nothing is fetched here and nothing is decided elsewhere.

mod coverage;
mod evaluate;
mod evidence;
mod expectation;
mod rebuild_result;
mod requirement;
mod sbom_shape;
mod unfit;
mod verdict;

pub use coverage::{Cover, Covered};
pub use evaluate::evaluate;
pub use evidence::Evidence;
pub use requirement::Requirement;
pub use unfit::Unfit;
pub use verdict::{Accepted, Check, CheckName, Rejected, SCHEMA_VERSION, Status, Verdict};
