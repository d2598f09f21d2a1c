//! Caches that machines share.

use clap::Args;

/// Caches that machines share.
#[derive(Debug, Args)]
#[command(next_help_heading = "Shared cache")]
pub(crate) struct SharedCacheArgs {
    /// Cache to read: an image or cache in a registry by its name, `type=registry,ref=NAME`, or
    /// `type=local,src=DIRECTORY`. What nobody trusted signed is not read
    #[arg(long, value_name = "SPEC")]
    pub(crate) cache_from: Vec<String>,
    /// Cache to write and sign: `type=registry,ref=NAME`, `type=local,dest=DIRECTORY`, or `type=inline`
    /// beside the image; `mode=max` holds all stages, `mounts=ID` or `mounts=all` cache mounts too
    #[arg(long, value_name = "SPEC")]
    pub(crate) cache_to: Vec<String>,
}
