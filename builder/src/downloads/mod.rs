//! What was fetched, kept for the next build: `answer` (one answer of an upstream, without its body) ← `store` (answers
//! by address, bodies by digest in the content store); `image_documents` (what names of images led to). `lock` is the
//! text that pins all of it, `terms` say what a build may rely on.
//!
//! Absent: HTTP itself (that is `egress` and `fetch`), and the room that it takes (that is `space`).

pub mod answer;
pub mod image_documents;
pub mod lock;
pub mod store;
pub mod terms;

pub(crate) use answer::GIT_PROTOCOL;
pub use answer::{StoredAnswer, git_commit, git_name};
pub use image_documents::ImageDocuments;
pub use lock::Lock;
pub use store::DownloadStore;
pub use terms::{Breach, Breaches, Terms};
