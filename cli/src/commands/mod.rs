//! One file per subcommand: its arguments, whose comments are the help, and `run`.

pub(crate) mod build;
pub(crate) mod cache;
pub(crate) mod completion;
pub(crate) mod key;
pub(crate) mod lint;
pub(crate) mod materials;
pub(crate) mod policy;
pub(crate) mod provenance;
pub(crate) mod rebuild;
pub(crate) mod sbom;
pub(crate) mod verify;
pub(crate) mod worker;
