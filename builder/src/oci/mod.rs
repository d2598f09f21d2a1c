//! The OCI documents, with a fixed byte form: `digest` ← `platform` ← `descriptor` ← `manifest`,
//! `config`; `reference` names an image; `media_type` names the documents; `json` writes them.

pub mod config;
pub mod descriptor;
pub mod digest;
pub mod json;
pub mod manifest;
pub mod media_type;
pub mod platform;
pub mod reference;
