//! The engine: executes a build graph, in parallel as far as its edges allow, and answers from the cache
//! what it can. `key` (what enters a cache key) ← `step_result` ← `claims` (the same step is done once) ←
//! `active`, `view` (snapshots being written, and looked at) ← `pack`, `layer_blobs` (layers in each
//! compression; `background`: while later steps run), `arrival`, `base_layers` (layers from elsewhere), `shared`
//! (what other machines made) ← `chain` (stacks of layers; `elsewhere`: blobs that need not come) ← `mounts` (what RUN gets
//! beside its root; `cache_mount` is what outlives a build, `cache_store` all of that at once and
//! `cache_archive` as a file, `lent` what does not outlive the step) ← `run`,
//! `copy`, `add`, `named` (one kind of step each; `lay` is COPY without a snapshot, `remote_files` what an
//! address leads to) ← `processors`
//! (who runs the steps' programs) ← `lookup` (what the cache knows of a step; `reason` ← `ingredients` ←
//! `diary` ← `story` say why it knows nothing) ← `schedule` (`options`: what it is asked beside the graph;
//! `uses`: what becomes of each step's result; `failures`: what it ends with when steps failed), which leaves
//! a `trail`; `phase`, `transfer` ← `event` tell (`telling`: from begin to
//! end), `output` passes on what a step writes, `secret_mask` keeps secrets out of it; `record` is what comes
//! out, `stack` what its layers are called, `host` what a build
//! works with.

mod active;
mod add;
mod arrival;
mod background;
mod base_layers;
pub mod cache_archive;
pub mod cache_mount;
pub mod cache_store;
pub mod chain;
mod claims;
mod copy;
mod diary;
mod elsewhere;
pub mod error;
pub mod event;
mod failures;
mod foresight;
mod grounds;
pub mod host;
mod ingredients;
pub mod key;
mod lay;
mod layer_blobs;
mod lent;
mod lookup;
mod mounts;
mod named;
mod options;
mod output;
mod pack;
mod permit;
pub mod phase;
mod processors;
pub mod reason;
pub mod record;
mod remote_files;
mod run;
mod schedule;
mod secret_mask;
pub mod settings;
pub mod shared;
mod sharing;
pub mod stack;
pub mod step_result;
mod story;
mod taken;
pub mod telling;
pub mod trail;
pub mod transfer;
mod trusted;
mod uses;
mod view;

pub use named::NamedFiles;
pub use options::SolveOptions;
pub use record::{Solution, Solved, VertexResult};
pub use schedule::Solver;
