//! `touchmark lint`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use touchmark_builder::{
    dockerfile::{Dockerfile, suggest},
    graph::{BaseConfigs, BuildOptions},
    lint::{
        self, Rule, Selection,
        report::Report,
        rule::RULES,
        subject::{Reach, Subject},
    },
    oci::platform::Platform,
    source::ignore::Ignore,
};

use crate::{config, error::CliError, ui::printer::Printer};

/// Look at a Dockerfile without building it.
///
/// Finds what `touchmark build --check` finds, and needs neither a worker nor a network. Ends with exit
/// code 1 when there are warnings, and with 2 when the Dockerfile cannot be built.
#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// Dockerfile; `-` is standard input
    #[arg(value_name = "DOCKERFILE", default_value = "Dockerfile")]
    dockerfile: PathBuf,
    /// How the findings are written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Give advice as well: pinned base images, no root, no shell form
    #[arg(long)]
    strict: bool,
    /// Look only at the stages that this one needs
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Value of an ARG; without `=VALUE` it is taken from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Print a rule's page: what it wants, why, and an example; `all` lists the rules
    #[arg(long, value_name = "RULE")]
    explain: Option<String>,
}

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Each with its line, for people
    Text,
    /// One JSON object, as BuildKit writes it
    Json,
    /// SARIF 2.1.0, for tools that show findings beside the text
    Sarif,
}

/// A Dockerfile that is looked at.
pub(crate) struct Looked<'a> {
    /// Its name as messages show it.
    pub(crate) name: &'a str,
    /// Its text.
    pub(crate) source: &'a str,
    /// Build arguments, target, platform.
    pub(crate) options: &'a BuildOptions,
    /// The ignore file that belongs to it.
    pub(crate) ignore: Option<&'a Ignore>,
}

/// A larger Dockerfile is none, in bytes.
const MAX_TEXT: u64 = 16 * 1024 * 1024;

/// Runs `touchmark lint`.
pub(crate) fn run(args: &LintArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    if let Some(rule) = &args.explain {
        printer.data(&page(rule)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let name = args.dockerfile.display().to_string();
    let source = text(&args.dockerfile, &name)?;
    let mut options = BuildOptions::new(Platform::host());
    options.target = args.target.clone();
    options.build_args = build_args(&args.build_arg)?;
    let ignore = ignore(&args.dockerfile)?;
    let looked =
        Looked { name: &name, source: &source, options: &options, ignore: ignore.as_ref() };
    look(&looked, args.strict, args.format, printer)
}

/// Writes what is found on standard output; the exit code says whether it is anything.
pub(crate) fn look(
    looked: &Looked<'_>,
    strict: bool,
    format: Format,
    printer: &Printer,
) -> Result<ExitCode, CliError> {
    let Looked { name, source, options, ignore } = looked;
    let (file, mut faults) = Dockerfile::parse_tolerant(source);
    let selection = Selection::new(&file, options, strict)
        .map_err(|error| CliError::usage(error.to_string()).hint(error.help()))?;
    let ignored = |path: &str| ignore.is_some_and(|ignore| ignore.hides(path));
    let configs = BaseConfigs::new();
    let reach = if options.target.is_some() { Reach::Needed } else { Reach::All };
    let subject = Subject { file: &file, options, configs: &configs, ignored: &ignored, reach };
    let findings = lint::lint(&subject, &selection);
    // Beside faults of the text, others would mostly follow from them.
    if faults.is_empty() {
        faults = lint::faults(&file, options);
    }
    let report = Report { name, source, findings: &findings, faults: &faults };
    let text = match format {
        Format::Text => Ok(report.text()),
        Format::Json => report.json(),
        Format::Sarif => report.sarif(env!("CARGO_PKG_VERSION")),
    };
    printer.data(&text.map_err(|error| CliError::failed(error.to_string()))?)?;
    Ok(match (faults.is_empty(), findings.is_empty()) {
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::from(1),
        (false, _) => ExitCode::from(2),
    })
}

fn page(name: &str) -> Result<String, CliError> {
    if name == "all" {
        let lines = RULES.iter().map(|rule| format!("{:<32}{}\n", rule.name, rule.summary));
        return Ok(lines.collect());
    }
    let known = RULES.iter().map(|rule| rule.name);
    match Rule::named(name) {
        Some(rule) => Ok(rule.page.to_owned()),
        None => Err(CliError::usage(format!("there is no rule '{name}'")).hint(
            match suggest::nearest(name, known) {
                Some(near) => format!("did you mean {near}?"),
                None => "touchmark lint --explain all lists them".into(),
            },
        )),
    }
}

fn text(path: &Path, name: &str) -> Result<String, CliError> {
    let fault = |error: io::Error| {
        CliError::usage(format!("the Dockerfile '{name}' cannot be read: {error}"))
    };
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(MAX_TEXT + 1).read_to_end(&mut bytes).map_err(fault)?;
    } else {
        let file = File::open(path).map_err(fault)?;
        file.take(MAX_TEXT + 1).read_to_end(&mut bytes).map_err(fault)?;
    }
    if bytes.len() as u64 > MAX_TEXT {
        let message = format!("the Dockerfile '{name}' has more than {MAX_TEXT} bytes");
        return Err(CliError::usage(message).hint("is it really a Dockerfile?"));
    }
    String::from_utf8(bytes).map_err(|_| {
        let message = format!("the Dockerfile '{name}' is not UTF-8 text");
        CliError::usage(message).hint("is it really a Dockerfile?")
    })
}

/// The ignore file beside the Dockerfile, whose directory is taken for the context.
fn ignore(path: &Path) -> Result<Option<Ignore>, CliError> {
    let Some(folder) = path.parent().filter(|_| path != Path::new("-")) else { return Ok(None) };
    let folder = if folder == Path::new("") { Path::new(".") } else { folder };
    Ignore::load(folder, Some(path)).map_err(|error| CliError::usage(error.to_string()))
}

fn build_args(texts: &[String]) -> Result<BTreeMap<String, Option<String>>, CliError> {
    let pair = |text: &String| {
        Ok(match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.clone(), config::text_variable_or_empty(text)?),
        })
    };
    texts.iter().map(pair).collect()
}
