//! A build cache that machines share: what `--cache-from` reads and `--cache-to` writes
//! (docs/shared-cache.md). `options` (what was asked for) ← `error` ← `index` (keys, results, layers) ←
//! `statement` (who stands for a cache) ← `opened` (a place that is read) ← `source` (layers out of it) ←
//! `import`; `contents` (what is worth sharing of a build) ← `deposit` (putting it there) ← `export`.
//! Whatever is wrong with a cache costs its use and nothing else.

mod contents;
mod deposit;
mod error;
pub mod export;
pub mod import;
pub mod index;
mod opened;
pub mod options;
mod source;
mod statement;

pub use error::CacheError;
pub use options::{CachePlace, CacheSource, CacheTarget, Mounts, SharedCache, TargetPlace};

/// Artifact type of a cache's manifest.
pub const ARTIFACT_TYPE: &str = "application/vnd.touchmark.cache.v1";
/// Media type of the index of results, the manifest's configuration.
pub const INDEX_TYPE: &str = "application/vnd.touchmark.cache.index.v1+json";
/// Media type of an inventory of an image.
pub const INVENTORY_TYPE: &str = "application/vnd.touchmark.cache.inventory.v1+json+zstd";
/// Media type of an archive of cache mounts.
pub const MOUNTS_TYPE: &str = "application/vnd.touchmark.cache.mounts.v1.tar+zstd";
