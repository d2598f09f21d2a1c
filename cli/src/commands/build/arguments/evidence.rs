//! What is said about the image, and who signs it.

use clap::Args;

/// What is said about the image, and who signs it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Evidence")]
pub(crate) struct EvidenceArgs {
    /// Attach an SBOM [default: on for --push and type=oci]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) sbom: Option<bool>,
    /// Attach provenance [default: on for --push and type=oci]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = provenance_mode)]
    pub(crate) provenance: Option<bool>,
    /// Private key that signs the image, its SBOM and its provenance [default: what the policy says]
    #[arg(long, value_name = "FILE")]
    pub(crate) sign_key: Option<String>,
    /// Neither sign nor attach anything
    #[arg(long, conflicts_with = "sign_key")]
    pub(crate) no_sign: bool,
}

fn provenance_mode(text: &str) -> Result<bool, String> {
    match text {
        "false" => Ok(false),
        "true" | "max" | "mode=max" => Ok(true),
        _ => Err("give true, false or max".into()),
    }
}
