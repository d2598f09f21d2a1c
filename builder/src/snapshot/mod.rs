//! File systems made of layers. containerd's overlayfs snapshotter keeps them; this room asks it for mounts
//! and does the mounting itself, in the build process's private mount namespace. In reading order:
//!
//! - [`mount`]: what the snapshotter answers; [`mounted`]: mount(2) and the unmounting
//! - [`snapshots`]: prepare, view, commit, remove; [`lease`]: what keeps the collector away
//! - [`recovery`]: after the machine went down
//!
//! Absent on purpose: reading or writing layers (that is `layer/`), containerd's own diff and apply.

mod lease;
pub mod mount;
pub mod mounted;
pub mod recovery;
pub mod snapshots;

pub use mount::Mount;
pub use mounted::{MountError, Mounted};
pub use snapshots::{SnapshotError, SnapshotInfo, SnapshotKind, Snapshots, chain_of};

/// Every owner in a snapshot is the layer's plus this: root of a step is the worker's 1, because the
/// worker's 0 is the invoking user.
pub const OWNER_SHIFT: u32 = 1;
