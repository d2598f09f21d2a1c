//! SSH for RUN steps: an agent that does two things, list public keys and sign. A step talks to a socket
//! of its own, served by the build process; neither the user's agent socket nor a key file is ever
//! mounted. In reading order:
//!
//! - [`wire`]: messages of the agent protocol (draft-miller-ssh-agent) and its data types (RFC 4251)
//! - [`key`]: private keys from files, which never leave this process
//! - [`agent`]: [`SshAgent`], the keys or the user's own agent; [`server`]: a step's socket
//!
//! Absent on purpose: adding, removing and locking keys, and every extension.

pub mod agent;
pub mod key;
pub mod server;
pub mod wire;

pub use agent::SshAgent;
pub use key::{AgentKey, SshKeyError};
