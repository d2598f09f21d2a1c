//! The rootless worker: containerd under rootlesskit, started on demand, in a user namespace that maps 0
//! to the invoking user and 1..=65536 to the user's subordinate ids. In reading order:
//!
//! - [`config`]: where the worker keeps its files
//! - [`subid`]: subordinate id ranges; [`doctor`]: what is missing and the command that repairs it
//! - [`start`]: [`Worker::ensure`] and [`Worker::find`]; [`containerd_config`]: its configuration file
//! - [`enter`]: the build process joins the worker's user and mount namespaces
//! - [`connection`]: the one way to talk to containerd
//! - [`death`]: its end, as those who work on it notice it
//! - [`process`]: who a process is, also after its number was given away again
//! - [`unsettled`]: whose snapshots the disk may not have yet
//! - [`sweep`]: removes what a killed build left, its [`steps`] first; [`parts`]; [`status`]; [`stop`]
//!
//! Absent on purpose: a daemon of our own, images and content in containerd, anything that needs root.

pub mod config;
pub mod connection;
mod containerd_config;
pub mod death;
pub mod doctor;
pub mod enter;
mod error;
pub mod parts;
pub mod process;
pub mod start;
pub mod status;
pub(crate) mod steps;
pub mod stop;
pub mod subid;
pub mod sweep;
pub mod unsettled;

pub use config::{WorkerConfig, WorkerUser};
pub use connection::{Connection, ConnectionError};
pub use death::Death;
pub use error::WorkerError;
pub use process::ProcessIdentity;
pub use start::Worker;
pub use unsettled::Unsettled;
