//! The Dockerfiles of `tests/corpus`, written in the style of well-known images and applications. Each parses,
//! lints and lowers without a fault; `golden.txt` holds what comes of it, and `buildkit.txt` what the
//! checks of Docker 28.5 find in it. `UPDATE_GOLDEN=1` writes `golden.txt`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use touchmark_builder::{
    dockerfile::{Dockerfile, Instruction, excerpt},
    graph::{BaseConfigs, BuildGraph, BuildOptions, NamedContext, Op, StageBase, lower, survey},
    lint::{
        Finding, Kind, Selection, lint,
        subject::{Reach, Subject},
    },
    oci::config::ImageConfig,
};

/// The folders with their Dockerfiles.
fn corpus() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
    let mut cases: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|case| case.unwrap().path())
        .filter(|case| case.is_dir())
        .map(|case| {
            let text = fs::read_to_string(case.join("Dockerfile")).unwrap();
            (case, text)
        })
        .collect();
    cases.sort();
    cases
}

fn options(case: &Path) -> BuildOptions {
    let mut options = BuildOptions::new("linux/amd64".parse().unwrap());
    if case.ends_with("monorepo-contexts") {
        options.named_contexts =
            ["shared", "protos"].map(|name| (name.to_owned(), NamedContext::Files)).into();
    }
    options
}

/// Every base image is known, and its configuration is empty.
fn configs(file: &Dockerfile, options: &BuildOptions) -> BaseConfigs {
    let stages = survey(file, options, &BaseConfigs::new()).stages;
    let images = stages.into_iter().filter_map(|stage| match stage.base {
        StageBase::Image(reference) => Some((reference, stage.platform)),
        _ => None,
    });
    images
        .map(|(reference, platform)| {
            let key = (reference.to_string(), platform.to_string());
            (key, ImageConfig::scratch(&platform))
        })
        .collect()
}

fn findings(file: &Dockerfile, options: &BuildOptions, configs: &BaseConfigs) -> Vec<Finding> {
    let ignored = |_: &str| false;
    let subject = Subject { file, options, configs, ignored: &ignored, reach: Reach::All };
    lint(&subject, &Selection::new(file, options, true).unwrap())
}

fn show(findings: &[Finding], graph: &BuildGraph) -> String {
    let mut out = String::new();
    for finding in findings {
        let (place, rule) = (finding.diagnostic.span, finding.rule.name);
        let _ = writeln!(out, "{place} {rule}: {}", finding.diagnostic.message);
    }
    for (id, vertex) in graph.vertices.iter().enumerate() {
        let origin = &vertex.origin;
        let inputs: Vec<String> =
            vertex.op.inputs().iter().map(|input| format!("#{}", input.0)).collect();
        let from =
            if inputs.is_empty() { String::new() } else { format!(" <- {}", inputs.join(" ")) };
        let place = format!("[{} {}/{}]", origin.stage, origin.step, origin.steps);
        let _ = writeln!(out, "#{id} {place} {}{from}\n    {}", kind(&vertex.op), origin.text);
    }
    let config = serde_json::to_string_pretty(&graph.target.config.config).unwrap();
    let _ = writeln!(out, "image #{} {config}", graph.target.vertex.0);
    for entry in &graph.target.history {
        let vertex = entry.vertex.map_or_else(|| "-".into(), |id| format!("#{}", id.0));
        let text: String = entry.created_by.chars().take(100).collect();
        let _ = writeln!(out, "{vertex} {}", text.replace('\n', "⏎"));
    }
    out
}

/// What an operation is, and of a RUN what it mounts.
fn kind(op: &Op) -> String {
    match op {
        Op::Run(run) => {
            let mounts = run.mounts.iter().map(|mount| format!(" {}", mount.target));
            let user = if run.user.is_empty() { "root" } else { &run.user };
            format!("run as {user} in {}{}", run.cwd, mounts.collect::<String>())
        }
        Op::Copy(copy) => format!("copy to {}", copy.dest),
        Op::Mkdir(made) => format!("mkdir {}", made.path),
        Op::Image(image) => format!("image {} {}", image.reference, image.platform),
        Op::Named(named) => format!("context {}", named.name),
        Op::Scratch => "scratch".into(),
    }
}

#[test]
fn every_file_parses_lints_and_lowers() {
    let (mut different, cases) = (Vec::new(), corpus());
    assert!(cases.len() >= 40, "{} cases", cases.len());
    for (case, source) in cases {
        let shown = |faults: Vec<_>| -> String {
            faults.iter().map(|fault| excerpt("Dockerfile", &source, fault)).collect()
        };
        let file = Dockerfile::parse(&source).map_err(shown).unwrap();
        let options = options(&case);
        let configs = configs(&file, &options);
        let graph = lower(&file, &options, &configs).map_err(shown).unwrap();
        let found = show(&findings(&file, &options, &configs), &graph);
        let golden = case.join("golden.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &found).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != found {
            different.push(format!("{}\n--- found\n{found}", golden.display()));
        }
    }
    assert!(different.is_empty(), "UPDATE_GOLDEN=1 rewrites these:\n{}", different.join("\n"));
}

#[test]
fn the_findings_are_buildkits() {
    let (mut different, mut cases) = (Vec::new(), 0);
    for (case, source) in corpus() {
        let file = Dockerfile::parse(&source).unwrap();
        let options = options(&case);
        let standard = |finding: &&Finding| finding.rule.kind == Kind::Standard;
        let all = findings(&file, &options, &configs(&file, &options));
        let mut ours: Vec<String> = all
            .iter()
            .filter(standard)
            .map(|finding| {
                let lines = finding.lines;
                format!("{}-{} {}", lines.first_line, lines.last_line, finding.rule.name)
            })
            .collect();
        ours.sort();
        let theirs = fs::read_to_string(case.join("buildkit.txt")).unwrap();
        if ours != theirs.lines().collect::<Vec<_>>() {
            different.push(format!("{}\n  BuildKit {theirs:?}\n  ours {ours:?}", case.display()));
        }
        cases += 1;
    }
    assert!(
        different.is_empty(),
        "{} of {cases} differ:\n{}",
        different.len(),
        different.join("\n")
    );
}

/// Every instruction of the language stands somewhere in the corpus.
#[test]
fn the_corpus_speaks_the_whole_language() {
    let files = corpus();
    let keywords: Vec<String> = files
        .iter()
        .flat_map(|(_, source)| Dockerfile::parse(source).unwrap().stages)
        .flat_map(|stage| stage.instructions)
        .map(|Instruction { keyword, .. }| keyword.to_uppercase())
        .collect();
    for name in [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ] {
        assert!(keywords.iter().any(|keyword| keyword == name), "no {name}");
    }
}
