//! The same findings as BuildKit: `peer/cases.txt` holds Dockerfiles and what Docker 28.5 (BuildKit's
//! `--call check`) found in them, as `first-last rule`; `error` where it stopped at a fault, so that it
//! may have missed something. Rules of our own are left out.

use super::{subject::Reach, *};
use crate::{
    dockerfile::Dockerfile,
    graph::{BaseConfigs, BuildOptions},
    oci::config::ImageConfig,
};

const CASES: &str = include_str!("peer/cases.txt");

/// What the ignore file of every case hides.
fn ignored(path: &str) -> bool {
    path == "ignored.txt" || path.split('/').any(|part| part.ends_with(".log"))
}

fn found(source: &str) -> Vec<String> {
    let (file, _) = Dockerfile::parse_tolerant(source);
    let options = BuildOptions::new("linux/amd64".parse().unwrap());
    let known = ImageConfig::scratch(&options.platform);
    let configs: BaseConfigs = ["linux/amd64", "linux/arm64"]
        .map(|platform| {
            (("registry.example/known:1".to_owned(), platform.to_owned()), known.clone())
        })
        .into();
    let subject = Subject {
        file: &file,
        options: &options,
        configs: &configs,
        ignored: &ignored,
        reach: Reach::All,
    };
    let selection = Selection::new(&file, &options, false).unwrap();
    let mut lines: Vec<String> = lint(&subject, &selection)
        .into_iter()
        .filter(|finding| matches!(finding.rule.kind, Kind::Standard | Kind::Experimental))
        .map(|finding| {
            let lines = finding.lines;
            format!("{}-{} {}", lines.first_line, lines.last_line, finding.rule.name)
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn the_findings_are_buildkits() {
    let (mut different, mut cases) = (Vec::new(), 0);
    for case in CASES.split("=== ").skip(1) {
        let (name, rest) = case.split_once('\n').unwrap();
        let (source, expected) = rest.split_once("--- found\n").unwrap();
        let stopped = expected.lines().any(|line| line == "error");
        let mut expected: Vec<&str> = expected.lines().filter(|line| *line != "error").collect();
        expected.sort_unstable();
        let mut ours = found(source);
        if stopped {
            ours.retain(|line| expected.contains(&line.as_str()));
        }
        if ours != expected {
            different.push(format!("{name}\n  BuildKit {expected:?}\n  ours     {ours:?}"));
        }
        cases += 1;
    }
    assert!(cases >= 100, "{cases} cases");
    assert!(
        different.is_empty(),
        "{} of {cases} differ:\n{}",
        different.len(),
        different.join("\n")
    );
}
