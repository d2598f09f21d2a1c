//! The one door to standard output and standard error: `printer` writes, `progress` tells a build as it
//! happens, `table` draws verdicts, `transfers` the
//! blobs on their way, `text` makes foreign text harmless.

pub(crate) mod printer;
pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod transfers;
