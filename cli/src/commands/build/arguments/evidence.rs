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
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = Detail::read)]
    pub(crate) provenance: Option<Detail>,
    /// The same in one flag: `type=sbom` or `type=provenance[,mode=min|max][,disabled=true]`
    #[arg(long, value_name = "SPEC", value_parser = Attest::read)]
    pub(crate) attest: Vec<Attest>,
    /// Private key that signs the image, its SBOM and its provenance [default: what the policy says]
    #[arg(long, value_name = "FILE")]
    pub(crate) sign_key: Option<String>,
    /// Neither sign nor attach anything
    #[arg(long, conflicts_with = "sign_key")]
    pub(crate) no_sign: bool,
}

/// How much provenance says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// There is none.
    None,
    /// The values of build arguments are left out.
    Min,
    /// Everything.
    Max,
}

impl Detail {
    /// Reads docker's forms: `true`, `min`, `mode=max`, `mode=min,disabled=false` …
    fn read(text: &str) -> Result<Self, String> {
        let mut detail = Self::Max;
        for field in text.split(',') {
            detail = match field {
                "false" | "disabled=true" => return Ok(Self::None),
                "min" | "mode=min" => Self::Min,
                "true" | "max" | "mode=max" => Self::Max,
                "disabled=false" => detail,
                _ => return Err(format!("'{field}' is neither true, false, min nor max")),
            };
        }
        Ok(detail)
    }
}

/// One `--attest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attest {
    /// An SBOM, or none.
    Sbom(bool),
    /// Provenance.
    Provenance(Detail),
}

impl Attest {
    fn read(text: &str) -> Result<Self, String> {
        let fields = || text.split(',').map(str::trim);
        let kind = fields().find_map(|field| field.strip_prefix("type="));
        let rest: Vec<&str> = fields().filter(|field| !field.starts_with("type=")).collect();
        match (kind, rest.as_slice()) {
            (Some("sbom"), rest) => match rest.iter().find(|field| !field.starts_with("disabled="))
            {
                Some(field) => {
                    Err(format!("'{field}' is not known: the SBOM is made by touchmark"))
                }
                None => Ok(Self::Sbom(!rest.contains(&"disabled=true"))),
            },
            (Some("provenance"), []) => Ok(Self::Provenance(Detail::Max)),
            (Some("provenance"), rest) => Detail::read(&rest.join(",")).map(Self::Provenance),
            (Some(other), _) => {
                Err(format!("the type '{other}' is not known: give sbom or provenance"))
            }
            (None, _) => Err("type= is missing: write type=sbom or type=provenance".into()),
        }
    }
}

impl EvidenceArgs {
    /// Is an SBOM wanted? None where nobody said.
    pub(crate) fn sbom(&self) -> Option<bool> {
        let attest = self.attest.iter().rev().find_map(|one| match one {
            Attest::Sbom(wanted) => Some(*wanted),
            Attest::Provenance(_) => None,
        });
        self.sbom.or(attest)
    }

    /// How much provenance is wanted? None where nobody said.
    pub(crate) fn provenance(&self) -> Option<Detail> {
        let attest = self.attest.iter().rev().find_map(|one| match one {
            Attest::Provenance(detail) => Some(*detail),
            Attest::Sbom(_) => None,
        });
        self.provenance.or(attest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_forms_mean_the_same() {
        let read = |text| Detail::read(text).unwrap();
        assert_eq!(["true", "max", "mode=max"].map(read), [Detail::Max; 3]);
        assert_eq!(["min", "mode=min", "mode=min,disabled=false"].map(read), [Detail::Min; 3]);
        assert_eq!(["false", "mode=max,disabled=true"].map(read), [Detail::None; 2]);
        assert_eq!(Detail::read("some").unwrap_err(), "'some' is neither true, false, min nor max");
        assert_eq!(Attest::read("type=sbom").unwrap(), Attest::Sbom(true));
        assert_eq!(Attest::read("type=sbom,disabled=true").unwrap(), Attest::Sbom(false));
        let min = Attest::read("type=provenance,mode=min").unwrap();
        assert_eq!(min, Attest::Provenance(Detail::Min));
        assert_eq!(
            Attest::read("type=vex").unwrap_err(),
            "the type 'vex' is not known: give sbom or provenance"
        );
        assert_eq!(
            Attest::read("mode=min").unwrap_err(),
            "type= is missing: write type=sbom or type=provenance"
        );
    }
}
