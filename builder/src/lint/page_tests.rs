//! Each rule's page: its bad example breaks that rule and no other, its good one breaks none. The index
//! docs/rules/README.md is made of the pages; `UPDATE_GOLDEN=1` writes it.

use std::{fs, path::Path};

use super::{rule::RULES, subject::Reach, *};
use crate::{
    dockerfile::Dockerfile,
    graph::{BaseConfigs, BuildOptions},
    oci::{config::ImageConfig, platform::Platform},
};

/// The code blocks of a language in a section of a page.
fn block(page: &str, section: &str, language: &str) -> Option<String> {
    let section = page.split("\n## ").find(|part| part.starts_with(section))?;
    let block = section.split(&format!("```{language}\n")).nth(1)?;
    Some(block.split("```").next()?.to_owned())
}

/// The image that an example is about, for the platform that its tag names.
fn configs() -> BaseConfigs {
    let linux =
        |architecture: &str| -> Platform { format!("linux/{architecture}").parse().unwrap() };
    ["amd64", "arm64"]
        .into_iter()
        .map(|tag| {
            let image = format!("registry.example/tools:{tag}");
            ((image, "linux/amd64".to_owned()), ImageConfig::scratch(&linux(tag)))
        })
        .collect()
}

fn found(rule: &Rule, section: &str) -> Vec<&'static str> {
    let source = block(rule.page, section, "dockerfile").expect("an example");
    let ignore = block(rule.page, section, "ignore").unwrap_or_default();
    let (file, _) = Dockerfile::parse_tolerant(&source);
    let mut options = BuildOptions::new("linux/amd64".parse().unwrap());
    let text = format!("experimental={}", rule.name);
    options.build_args.insert(selection::ARGUMENT.into(), Some(text));
    let selection = Selection::new(&file, &options, false).unwrap();
    let ignored = |path: &str| {
        let mut rules =
            ignore.lines().map(|line| (!line.starts_with('!'), line.trim_start_matches('!')));
        rules.rfind(|(_, rule)| path.starts_with(rule)).is_some_and(|(hides, _)| hides)
    };
    let configs = configs();
    let subject = Subject {
        file: &file,
        options: &options,
        configs: &configs,
        ignored: &ignored,
        reach: Reach::All,
    };
    let mut names: Vec<_> =
        lint(&subject, &selection).into_iter().map(|finding| finding.rule.name).collect();
    names.dedup();
    names
}

#[test]
fn each_page_is_true() {
    for rule in RULES {
        assert!(rule.page.starts_with(&format!("# {}\n", rule.name)), "{}", rule.name);
        assert_eq!(found(rule, "Bad"), [rule.name], "the bad example of {}", rule.name);
        assert_eq!(found(rule, "Good"), [""; 0], "the good example of {}", rule.name);
    }
}

#[test]
fn the_index_is_made_of_the_pages() {
    let mut text = String::from(
        "# Rules\n\nWhat `touchmark lint`, `touchmark build --check` and every build look at; how to choose \
         among them stands in\n[docs/lint.md](../lint.md). Made of the pages by a test; `UPDATE_GOLDEN=1` \
         writes it anew.\n",
    );
    let heading = |kind: Kind| match kind {
        Kind::Standard => "BuildKit's checks",
        Kind::Experimental => "BuildKit's experimental checks",
        Kind::Own => "Own checks",
        Kind::Advice => "Own advice, for `--strict`",
    };
    for kind in [Kind::Standard, Kind::Experimental, Kind::Own, Kind::Advice] {
        text.push_str(&format!("\n## {}\n\n| rule | what it wants |\n|---|---|\n", heading(kind)));
        for rule in RULES.iter().filter(|rule| rule.kind == kind) {
            let summary = rule.page.lines().nth(2).unwrap_or_default();
            text.push_str(&format!("| [{0}]({0}.md) | {summary} |\n", rule.name));
        }
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(docs.join("README.md"), &text).unwrap();
    }
    let written = fs::read_to_string(docs.join("README.md")).unwrap_or_default();
    assert!(written == text, "docs/rules/README.md is not made of the pages: UPDATE_GOLDEN=1");
    let pages = fs::read_dir(docs).unwrap().count();
    assert_eq!(pages, RULES.len() + 1, "a page without a rule");
}
