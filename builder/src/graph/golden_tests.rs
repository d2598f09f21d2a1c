//! Every folder of `golden/` is a case: `Dockerfile`, `options.txt` where it needs some, and `graph.txt`
//! or `error.txt` (whole messages). `UPDATE_GOLDEN=1` writes what is found.

use std::{fmt::Write as _, fs};

use super::*;
use crate::{
    dockerfile::{Dockerfile, excerpt, golden_tests::compare},
    oci::config::{ContainerConfig, History, ImageConfig},
};

/// One option a line: `target=`, `arg=`, `context=NAME[=IMAGE]`, `label=`, `platform=`,
/// `several-platforms`, `no-network`.
pub(super) fn options(text: &str) -> BuildOptions {
    let mut options = BuildOptions::new("linux/amd64".parse().unwrap());
    for line in text.lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let pair = || {
            let (name, value) = value.split_once('=').unwrap_or((value, ""));
            (name.to_owned(), value.to_owned())
        };
        match key {
            "target" => options.target = Some(value.into()),
            "arg" => drop(options.build_args.insert(pair().0, Some(pair().1))),
            "context" => {
                let context = match pair().1.as_str() {
                    "" => NamedContext::Files,
                    "scratch" => NamedContext::Scratch,
                    image => NamedContext::Image(image.parse().unwrap()),
                };
                options.named_contexts.insert(pair().0, context);
            }
            "label" => drop(options.labels.insert(pair().0, pair().1)),
            "platform" => {
                options.platform = value.parse().unwrap();
                options.platform_given = true;
            }
            "several-platforms" => options.several_platforms = true,
            "no-network" => options.network = super::operation::NetworkMode::None,
            _ => panic!("{line}"),
        }
    }
    options
}

/// Every image has the same configuration, but for what its name asks for.
pub(super) fn configs(images: &[BaseImage]) -> BaseConfigs {
    let config = |image: &BaseImage| {
        let mut config = ImageConfig::scratch(&image.platform);
        config.config = ContainerConfig {
            env: vec!["PATH=/base/bin".into(), "BASE=1".into()],
            cmd: Some(vec!["base".into()]),
            labels: [("base".into(), "yes".into())].into(),
            ..ContainerConfig::default()
        };
        config.created = Some("2020-01-01T00:00:00Z".into());
        let created_by = Some("base layer".into());
        config.history = vec![History { created_by, ..History::default() }];
        if image.reference.repository().contains("bare") {
            config.config.env.clear();
        }
        if image.reference.repository().contains("trigger") {
            config.config.on_build = vec![
                "COPY --from=tools /bin/x /bin/".into(),
                "RUN <<E cat\n\thello\nE".into(),
                "ENV A=b".into(),
            ];
        }
        if image.reference.repository().contains("broken") {
            config.config.on_build =
                vec!["COYP a b".into(), "FROM x".into(), "RUN a\nRUN b".into()];
        }
        config
    };
    images
        .iter()
        .filter(|image| image.is_base)
        .map(|image| ((image.reference.to_string(), image.platform.to_string()), config(image)))
        .collect()
}

fn show(graph: &BuildGraph, images: &[BaseImage]) -> String {
    let mut out = String::new();
    for image in images {
        let kind = if image.is_base { "base" } else { "source" };
        let _ = writeln!(out, "{kind} {} {} {}", image.reference, image.platform, image.span);
    }
    for (id, vertex) in graph.vertices.iter().enumerate() {
        let origin = &vertex.origin;
        let _ = writeln!(
            out,
            "#{id} [{} {}/{}] {} {}\n{:#?}",
            origin.stage, origin.step, origin.steps, origin.span, origin.text, vertex.op
        );
        assert!(vertex.op.inputs().iter().all(|input| input.0 < id), "topological order");
    }
    let target = &graph.target;
    let _ = writeln!(out, "target #{}", target.vertex.0);
    for entry in &target.history {
        let _ = writeln!(out, "history {:?} {:?}", entry.vertex.map(|id| id.0), entry.created_by);
        assert_eq!(entry.comment, "buildkit.dockerfile.v0");
        assert_eq!(entry.layer.is_empty(), entry.vertex.is_none());
    }
    let _ = writeln!(out, "lines {:?}", target.lines);
    let _ = writeln!(out, "used {:?}", graph.used_args);
    let _ = writeln!(out, "{}", serde_json::to_string_pretty(&target.config).unwrap());
    out
}

fn run(source: &str, options: &BuildOptions) -> Result<String, String> {
    let faults = |faults: Vec<crate::dockerfile::Diagnostic>| -> String {
        faults.iter().map(|fault| excerpt("Dockerfile", source, fault)).collect()
    };
    let file = Dockerfile::parse(source).map_err(faults)?;
    let images = base_images(&file, options).map_err(faults)?;
    let images = base_images_with(&file, options, &configs(&images)).map_err(faults)?;
    let graph = lower(&file, options, &configs(&images)).map_err(faults)?;
    Ok(show(&graph, &images))
}

#[test]
fn golden() {
    compare("graph", "graph.txt", 25, |case, source| {
        let text = fs::read_to_string(case.join("options.txt")).unwrap_or_default();
        run(source, &options(&text))
    });
}

#[test]
fn a_base_whose_configuration_is_not_given_is_a_fault() {
    let file = Dockerfile::parse("FROM debian").unwrap();
    let faults = lower(&file, &options(""), &BaseConfigs::new()).unwrap_err();
    assert_eq!(
        faults[0].message,
        "nothing is known about the image docker.io/library/debian:latest"
    );
}
