//! What the ecosystems say about their own files: Debian's signed indexes, the hashes in the indexes of Python, Node,
//! Rust, Ruby, PHP and Maven, Go's checksum database. A fetched file that an index of the same build vouches for gets
//! a note of that; one that an index contradicts ends the build.
//!
//! `digest_of` (the hashes that indexes use), `plain` (a body without its compression), `openpgp` (signatures),
//! `keyrings` (an image's own keys) ← `statement` (what one line of an index says) ← one file for each form of index:
//! `packages`, `release`, `pypi`, `json_walk`, `cargo`, `golang`, `gem`, `beside` ← `index` (which form an address
//! has) ← `archive` (Debian's chain), `examine` (a step's requests), `same` (two fetches of one pinned thing).
//!
//! Absent: apk and rpm, whose clients check signatures that are not looked at here; and the age of keys.

mod archive;
mod beside;
mod cargo;
mod digest_of;
mod examine;
mod fault;
mod gem;
mod golang;
mod index;
mod json_walk;
mod keyrings;
pub mod openpgp;
mod packages;
mod plain;
mod pypi;
mod release;
mod same;
mod statement;

pub use archive::ReadIndexes;
pub use digest_of::{Algorithm, Hash};
pub use examine::{Examined, Seen};
pub use fault::{Contradiction, IntegrityError};
pub use index::{Form, read};
pub use keyrings::Keyrings;
pub use packages::Packages;
pub use release::Release;
pub use same::same;
pub use statement::{About, Statement};
