//! One RUN step as a container: a containerd task in a nested user namespace, so that its root is a
//! subordinate id on the host and never the invoking user. In reading order:
//!
//! - [`request`]: what is to run; [`output`]: where its output goes
//! - [`spec`]: the OCI runtime configuration; `rights`: its capabilities and what is hidden; [`seccomp`]:
//!   the system calls it may make
//! - [`step_dir`]: the step's pipes and generated files; [`stubs`]: mount points that must not stay behind
//! - [`task`]: create, start, wait, delete; [`Executor`] runs a request from end to end
//!
//! Absent on purpose: making the step's network (that is `egress/`), reading the changes (`layer/`).

mod error;
mod mounts;
pub mod output;
pub mod request;
mod rights;
mod run;
pub mod seccomp;
pub mod spec;
mod step_dir;
mod stubs;
mod task;

pub use error::ExecError;
pub use output::{OutputSink, Stream};
pub use request::{ExecRequest, ExtraMount, MountSource, ResolvedUser, StepNetns, Ulimit};
pub use run::{Executor, ExitCode};
