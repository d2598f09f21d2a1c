//! Statements, signatures and verification. Bytes, time, randomness and trust come in as arguments;
//! verdicts and bytes go out.
//!
//! # Map, in reading order
//!
//! | module | what it does |
//! |---|---|
//! | [`digest_set`], [`image_digest`] | content by digest; when two digest sets mean the same content |
//! | [`resource_descriptor`] | a thing that went into a build |
//! | [`statement`] | in-toto Statement v1: of these subjects, this predicate holds |
//! | [`predicate`] | what can be said: signature, SLSA provenance, SPDX document, hardening report |
//! | [`key`] | P-256 keys and cosign's encrypted key file |
//! | [`envelope`] | DSSE v1: bytes, their type and a signature over both |
//! | [`sign`] | the `Signer` seam: a key in memory, later a token or a service |
//! | [`bundle`] | Sigstore bundle v0.3: an envelope in the form that cosign 3 reads |
//! | [`trust`] | what a verifier believes beforehand |
//! | [`verify`] | the chain of checks from a bundle to a `Verified<Statement>` |
//! | [`policy`] | from all evidence to one verdict |
//!
//! The way of a mark: `Statement::about_image` → `Bundle::sign` → `Bundle::to_json` → (a registry) →
//! `policy::evaluate` → `Verdict`.
//!
//! # Deliberately absent
//!
//! - No files, network, environment, clock or source of randomness: a verifier can be run on what is
//!   given to it and on nothing else.
//! - No OCI types and no registry: this crate does not know where bundles are kept.
//! - No public way to read a statement from bytes that nobody verified, except
//!   `Bundle::statement_unverified_unsafe`, which says so.
//! - No certificates, transparency logs or time stamps yet: bundles with a certificate are refused by
//!   name, and log entries beside a key signature are reported as skipped.
//! - No second signature algorithm, and no choice of algorithm by the evidence: only ECDSA P-256 with
//!   SHA-256.

pub mod bundle;
pub mod digest_set;
pub mod envelope;
mod excerpt;
pub mod image_digest;
pub mod key;
pub mod policy;
pub mod predicate;
pub mod resource_descriptor;
pub mod sign;
pub mod statement;
mod strict_json;
pub mod trust;
pub mod verify;

pub use strict_json::JsonFault;
