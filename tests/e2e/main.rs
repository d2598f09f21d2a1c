//! End-to-end tests: the real binary, a real worker, a real registry. One file per topic; each test has a home, a
//! worker and a registry of its own, so they run in parallel and in any order.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bad_context;
mod bad_dockerfile;
mod bad_key;
mod bad_layer;
mod bad_registry;
mod blobs;
mod build_push_verify;
mod cache;
mod caches;
mod clients;
mod command_line;
mod contexts;
mod cosign;
mod crash;
mod crowd;
mod deaths;
mod docker_plugin;
mod escape;
mod examples;
mod failing_steps;
mod faulty_registry;
mod full_disk;
mod git_kept;
mod inspection;
mod integrity;
mod isolation;
mod lint;
mod materials;
mod misses;
mod mounts;
mod network;
mod outputs;
mod platforms;
mod policy;
mod progress;
mod provenance;
mod rebuild;
mod remote_add;
mod replay;
mod reproducible;
mod scene;
mod shared_cache;
mod space;
mod ssh;
mod step_flags;
mod tampering;
mod trace;
mod trust;
mod unplugged;
mod uploads;
mod way_out;
mod worker;
