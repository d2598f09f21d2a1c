//! From a Dockerfile to an image and what is known about it. The rooms in reading order, lowest floor
//! first; a room imports only rooms above it in this list:
//!
//! - [`oci`]: digests, descriptors, manifests, configurations, references

pub mod oci;
