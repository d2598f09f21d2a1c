//! What went into an image, read back from its provenance. `material`: one thing each; `overview`: counted by
//! where it came from and what it is; `observed`: as the policy proposes rules from it; `artifact`: the
//! fetched bytes beside the image, `transfer` moves them.

pub mod artifact;
pub mod material;
pub mod observed;
pub mod overview;
pub mod transfer;
