//! Source trees and what is copied out of them: `pattern` → `pattern_set` → `ignore` say what is
//! hidden; `rooted` resolves paths inside a directory; `context` is a tree to copy from; `walk` is
//! the one walk that `tree_digest` (which reads `contents`) and `copy` share, over the disk or over a `survey` of it; a copy's `destination` is a mounted root (`target`) or the
//! list of what a layer holds (`layout`); `selection` finds what COPY names; `listing` tells what of it
//! changed, `fingerprint` that nothing did; `passwd` resolves owners; `git` says which commit a context is.

pub mod archive;
pub mod chmod;
mod contents;
pub mod context;
pub mod copy;
mod decompressed;
mod destination;
pub mod error;
mod fingerprint;
pub mod git;
pub mod ignore;
pub mod image;
pub mod layout;
pub mod listing;
pub mod passwd;
mod path;
pub mod pattern;
pub mod pattern_set;
mod rooted;
pub mod selection;
pub mod stat_cache;
mod steady;
pub mod survey;
mod target;
pub mod tree_digest;
mod walk;
mod xattrs;
