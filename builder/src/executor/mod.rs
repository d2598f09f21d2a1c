//! One RUN step as a container: the OCI runtime in a nested user namespace, so that the step's root is a
//! subordinate id on the host and never the invoking user. In reading order:
//!
//! - [`request`]: what is to run; [`output`]: where its output goes
//! - [`spec`]: the OCI runtime configuration; `rights`: its capabilities and what is hidden; [`seccomp`]:
//!   the system calls it may make
//! - [`step_dir`]: the step's generated files; [`stubs`]: mount points that must not stay behind
//! - [`runtime`]: crun or runc and how it is called; [`probe`]: which of them works here
//! - [`container`]: start, wait, end; [`Executor`] runs a request from end to end
//!
//! Absent on purpose: making the step's network (that is `egress/`), reading the changes (`layer/`).

mod container;
mod error;
mod mounts;
pub mod output;
mod probe;
pub mod request;
mod rights;
mod run;
mod runtime;
pub mod seccomp;
pub mod spec;
mod step_dir;
mod stubs;

pub use error::ExecError;
pub use output::{OutputSink, Stream};
pub use request::{ExecRequest, ExtraMount, MountSource, ResolvedUser, StepNetns, Ulimit};
pub use run::{Executor, ExitCode, StepRoot};
