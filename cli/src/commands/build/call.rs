//! `touchmark build --call` and `--check`: questions that need neither worker nor network, but to fetch a context
//! that is elsewhere.

use std::process::ExitCode;

use touchmark_builder::{
    dockerfile::Dockerfile,
    graph,
    graph::BaseConfigs,
    lint::{answer::json, outline::Outline, targets::Targets},
};

use super::{
    arguments::{
        BuildArgs,
        call::{Question, What},
    },
    context::{self, Asked, Found, Gathered, NamedContexts},
    plan,
};
use crate::{
    commands::lint::{self, Format, Looked},
    config::Config,
    error::CliError,
    ui::{printer::Printer, table::columns, text::harmless},
};

/// Answers the question on standard output.
pub(super) fn answer(
    args: &BuildArgs,
    asked: &Asked,
    gathered: Gathered,
    question: Question,
    config: &Config,
    printer: &Printer,
) -> Result<ExitCode, CliError> {
    let Found { context, name, source, .. } = context::found(asked, gathered, config)?;
    let platforms = plan::platforms(&args.source.platform)?;
    let named = NamedContexts::read(&args.source.build_context)?;
    let options = plan::options(args, &platforms, &named)?;
    if question.what == What::Check {
        let ignore = context.ignore();
        let format = if question.json { Format::Json } else { Format::Text };
        let looked = Looked { name: &name, source: &source, options: &options, ignore };
        return lint::look(&looked, false, format, printer);
    }
    let file = Dockerfile::parse(&source).map_err(|found| super::faults(&name, &source, &found))?;
    let survey = graph::survey(&file, &options, &BaseConfigs::new());
    if !survey.faults.is_empty() && question.what == What::Outline {
        return Err(super::faults(&name, &source, &survey.faults));
    }
    let text = match (question.what, question.json) {
        (What::Targets, true) => json(&Targets::of(&file), &source).map_err(unwritten)?,
        (What::Targets, false) => columns(&clean(Targets::of(&file).table())),
        (_, true) => json(&Outline::of(&file, &options), &source).map_err(unwritten)?,
        (_, false) => outline(&Outline::of(&file, &options)),
    };
    printer.data(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn outline(outline: &Outline) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(name) = &outline.name {
        let about = outline.description.iter().map(|text| format!("\n{}", harmless(text)));
        parts.push(format!("TARGET: {}{}\n", harmless(name), about.collect::<String>()));
    }
    parts.extend(outline.tables().into_iter().map(|table| columns(&clean(table))));
    match parts.is_empty() {
        true => "This target takes nothing.\n".into(),
        false => parts.join("\n"),
    }
}

/// Names and comments are foreign text.
fn clean(table: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let row = |row: Vec<String>| row.iter().map(|cell| harmless(cell)).collect();
    table.into_iter().map(row).collect()
}

fn unwritten(error: serde_json::Error) -> CliError {
    CliError::failed(error.to_string())
}
