//! From a Dockerfile to an image and what is known about it. The rooms in reading order, lowest floor
//! first; a room imports only rooms above it in this list:
//!
//! - [`oci`]: digests, descriptors, manifests, configurations, references
//! - [`dockerfile`]: the text of a Dockerfile as instructions, with faults that show their line
//! - [`policy`]: the policy file, decided on but never read from disk here
//! - [`secret`]: texts that no message, log or cache key may show
//! - [`purl`]: package URLs, also of downloads
//! - [`proxy`]: proxies on the way out, as the environment's variables name them
//! - [`remote`]: addresses of repositories, files and images that the command line names
//! - [`graph`]: what a Dockerfile asks for, as a graph of operations
//! - [`lint`]: what can be said about a Dockerfile without building it
//! - [`content`]: blobs by digest on disk, verified whenever they are read
//! - [`layer`]: layer archives: read, unpack, pack, compress, index
//! - [`downloads`]: what was fetched before, by address, and the lock file
//! - `authorities`: TLS for clients, by the authorities that the machine trusts
//! - [`registry`]: registries: look up, pull, push, referrers, credentials
//! - [`worker`]: the rootless containerd: start, enter, stop, sweep
//! - [`snapshot`]: snapshots in the worker and their mounts
//! - [`source`]: what goes into a build: base images, context, git, users
//! - [`egress`]: the network of a step: DNS, HTTP and TLS by the allowlist, and the record
//! - [`trust`]: a step's trust in the build's own authority, and its removal
//! - [`ssh`]: an SSH agent for steps that lists and signs
//! - [`fetch`]: what the builder fetches itself: files over HTTP, repositories by git
//! - [`integrity`]: what the ecosystems' own indexes and signatures say about fetched files
//! - [`emulation`]: programs for other processors
//! - [`executor`]: a process of a step: OCI spec, seccomp, task
//! - [`solver`]: the engine: schedule, cache keys, cache, events, record
//! - [`space`]: what builds leave on the disk, and making room
//! - [`trace`]: a build as spans: for viewers, collectors and the metadata file
//! - [`harden`]: rules on the exported stage, the rewrite of layers, the report
//! - [`sbom`]: the inventory of an image, as SPDX
//! - [`image`]: layers, configuration and history as an image
//! - [`compare`]: two images, and the first thing in which they differ
//! - [`export`]: to a registry or an OCI layout
//! - [`provenance`]: the record of a build as SLSA provenance
//! - [`attestations`]: what is said about an image: signing it, finding it again
//! - [`materials`]: what went into an image, and its bytes beside it
//! - [`base_trust`]: base images that the policy wants to be signed
//! - [`shared_cache`]: a build cache that machines share, signed
//! - [`build`]: the whole story

pub mod attestations;
mod authorities;
pub mod base_trust;
pub mod build;
pub mod compare;
pub mod content;
pub mod dockerfile;
pub mod downloads;
pub mod egress;
pub mod emulation;
pub mod executor;
pub mod export;
pub mod fetch;
pub mod graph;
pub mod harden;
pub mod image;
pub mod integrity;
pub mod layer;
pub mod lint;
pub mod materials;
pub mod oci;
pub mod policy;
pub mod provenance;
pub mod proxy;
pub mod purl;
pub mod registry;
pub mod remote;
pub mod sbom;
pub mod secret;
pub mod shared_cache;
pub mod snapshot;
pub mod solver;
pub mod source;
pub mod space;
pub mod ssh;
pub mod trace;
pub mod trust;
pub mod worker;
