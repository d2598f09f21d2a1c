//! What an image holds: `dpkg` and `apk` read the package databases of a tree, `inventory` keeps of
//! them what the tree really has, `fetched` joins the record of downloads, `spdx` writes it
//! down. `license`, `copyright` and `os_release` are the vocabularies.
//!
//! An inventory is true to its tree: a package whose files are all gone is not in it, a file counts
//! only when it is there, and what no package owns is listed too.

pub mod apk;
pub mod copyright;
pub mod dpkg;
pub mod fetched;
pub mod inventory;
pub mod license;
pub mod os_release;
pub mod spdx;

#[cfg(test)]
mod hostile_tests;

pub use inventory::{Inventory, inventory, wants};
