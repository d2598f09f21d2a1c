//! The OCI documents, with a fixed byte form: `digest` ← `platform` ← `descriptor` ← `manifest`,
//! `config`; `reference` names an image; `media_type` names the documents.

pub mod config;
pub mod descriptor;
pub mod digest;
pub mod manifest;
pub mod media_type;
pub mod platform;
pub mod reference;
