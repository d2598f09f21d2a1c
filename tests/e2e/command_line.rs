//! `docs/cli.md` is what `--help` says.

use std::fs;

use touchmark_tests::{home::Home, repository};

const COMMANDS: &[&[&str]] = &[
    &[],
    &["build"],
    &["lint"],
    &["verify"],
    &["sbom"],
    &["provenance"],
    &["rebuild"],
    &["materials"],
    &["materials", "push"],
    &["materials", "pull"],
    &["policy"],
    &["policy", "init"],
    &["policy", "check"],
    &["key"],
    &["key", "generate"],
    &["key", "public"],
    &["cache"],
    &["cache", "du"],
    &["cache", "export"],
    &["cache", "import"],
    &["worker"],
    &["completion"],
];

#[test]
fn the_document_is_the_help() {
    let home = Home::new();
    let mut text = String::from(
        "# Command line\n\nGenerated from `--help` by a test; `UPDATE_GOLDEN=1` writes it anew.\n",
    );
    for command in COMMANDS {
        let output = home.run(&[command, &["--help"][..]].concat()).succeeded();
        let title = [&["touchmark"], *command].concat().join(" ");
        text.push_str(&format!("\n## `{title}`\n\n```\n{}\n```\n", output.stdout.trim_end()));
    }
    let path = repository().join("docs/cli.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/cli.md is not what --help says: run this test with UPDATE_GOLDEN=1"
    );
}
