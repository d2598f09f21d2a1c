//! What must hold of any bytes, one file per reader of outside bytes: each `run` panics when it does
//! not. The fuzz targets call them, and so does a short test of fixed mutations
//! (`builder/tests/mutations.rs`), which is why nothing here needs libFuzzer.

mod checksums;

pub mod bundle;
pub mod dockerfile;
pub mod expansion;
pub mod flags;
pub mod ignore;
pub mod image;
pub mod index;
pub mod key;
pub mod layer;
pub mod layout;
pub mod mount;
pub mod network;
pub mod oci;
pub mod policy;
pub mod records;
pub mod registry;
pub mod remote;
pub mod signed;
pub mod unpack;
