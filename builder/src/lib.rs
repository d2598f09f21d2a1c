//! From a Dockerfile to an image and what is known about it. The rooms in reading order, lowest floor
//! first; a room imports only rooms above it in this list:
//!
//! - [`oci`]: digests, descriptors, manifests, configurations, references
//! - [`dockerfile`]: the text of a Dockerfile as instructions, with faults that show their line

pub mod dockerfile;
pub mod oci;
