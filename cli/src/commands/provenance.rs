//! `touchmark provenance`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;
use touchmark_attest::{predicate::slsa::Provenance, verify::Role};
use touchmark_builder::materials::{material::Material, overview::Overview};

use crate::{
    error::CliError,
    statement::{self, StatementArgs},
    ui::{materials_table, printer::Printer},
};

/// Print an image's provenance.
///
/// With --key it is printed only if it was signed by that key and is about the image; without one it is
/// printed with a warning that nobody checked it.
#[derive(Debug, Args)]
pub(crate) struct ProvenanceArgs {
    #[command(flatten)]
    statement: StatementArgs,
    /// Instead: a table of what came from where, and what has no digest
    #[arg(long)]
    materials: bool,
    /// How --materials prints: a table, or one JSON document with the totals and every material
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text, requires = "materials")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table
    Text,
    /// One JSON document
    Json,
}

/// Runs `touchmark provenance`.
pub(crate) fn run(args: &ProvenanceArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    if !args.materials {
        return statement::print(&args.statement, Role::Provenance, printer);
    }
    let read = statement::read(&args.statement, Role::Provenance, printer)?;
    let provenance = predicate(read.statement.predicate_json())?;
    printer.data(&match args.format {
        Format::Text => text(&provenance),
        Format::Json => json(&provenance)?,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The predicate of a statement of provenance.
pub(crate) fn predicate(json: &str) -> Result<Provenance, CliError> {
    serde_json::from_str(json).map_err(|error| {
        CliError::failed(format!("it is no SLSA provenance of version 1: {error}"))
    })
}

fn text(provenance: &Provenance) -> String {
    let materials = Material::all(provenance);
    materials_table::draw(&Overview::of(&materials), &materials)
}

fn json(provenance: &Provenance) -> Result<String, CliError> {
    let materials = Material::all(provenance);
    let Overview { groups, total } = Overview::of(&materials);
    let hermetic = provenance.build_definition.internal_parameters.get("hermetic");
    let document = json!({
        "groups": groups,
        "total": total,
        "hermetic": hermetic,
        "materials": materials,
    });
    serde_json::to_string_pretty(&document).map_err(|error| CliError::failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// Every folder of the materials room's `golden/` is a case: `provenance.json` in, `table.txt` and
    /// `overview.json` out. `UPDATE_GOLDEN=1` writes what is found.
    #[test]
    fn golden() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../builder/src/materials/golden");
        let mut different = Vec::new();
        let cases: Vec<_> = fs::read_dir(root).unwrap().map(|case| case.unwrap().path()).collect();
        assert!(cases.len() >= 3);
        for case in cases {
            let source = fs::read_to_string(case.join("provenance.json")).unwrap();
            let provenance = predicate(&source).unwrap();
            compare(&case.join("table.txt"), &text(&provenance), &mut different);
            let json = format!("{}\n", json(&provenance).unwrap());
            compare(&case.join("overview.json"), &json, &mut different);
        }
        assert!(different.is_empty(), "{}", different.join("\n"));
    }

    fn compare(file: &Path, found: &str, different: &mut Vec<String>) {
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(file, found).unwrap();
        }
        if fs::read_to_string(file).unwrap_or_default() != found {
            different.push(format!("{}\n--- found\n{found}", file.display()));
        }
    }
}
