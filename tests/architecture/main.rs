//! The architecture of `docs/architecture.md` as a test: floors, circles, absences, sizes.
//!
//! Each rule is a function from source files (path and text, nothing is read inside a rule) to a list of
//! sentences that name the guilty file and line. So the self-tests in [`planted`] hand the same functions a
//! text with a violation in it and look for the sentence.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod absences;
mod circles;
mod floors;
mod paths;
mod planted;
mod promises;
mod shape;
mod source;

use source::SourceFile;

/// Fails with every sentence on its own line.
fn assert_clean(sentences: &[String]) {
    assert!(sentences.is_empty(), "\n{}\n", sentences.join("\n"));
}

fn product() -> Vec<SourceFile> {
    source::read(&["attest/src", "builder/src", "cli/src"])
}

#[test]
fn rooms_import_only_lower_rooms() {
    assert_clean(&floors::violations(&product()));
}

#[test]
fn every_room_stands_in_the_table_and_in_the_map() {
    assert_clean(&floors::unregistered(&product()));
    assert_clean(&floors::map_out_of_order(&product()));
}

#[test]
fn rooms_form_no_circle() {
    assert_clean(&circles::violations(&product()));
}

#[test]
fn attest_has_no_files_network_environment_or_clock() {
    assert_clean(&absences::attest_is_pure(&product()));
    let manifest = std::fs::read_to_string(source::root().join("attest/Cargo.toml")).unwrap();
    assert_clean(&absences::attest_knows_nobody(&manifest));
}

#[test]
fn pure_rooms_do_no_io() {
    assert_clean(&absences::pure_rooms_do_no_io(&product()));
}

#[test]
fn no_clock_reaches_image_content() {
    assert_clean(&absences::no_clock_in_content(&product()));
}

#[test]
fn only_the_cli_prints_reads_the_environment_and_exits() {
    assert_clean(&absences::only_cli_talks(&product()));
}

#[test]
fn unsafe_lives_in_one_file_at_most() {
    assert_clean(&absences::unsafe_in_one_file(&product()));
}

#[test]
fn files_are_short_and_named_after_their_idea() {
    let mut files = product();
    files.extend(source::read(&["tests"]));
    assert_clean(&shape::too_long(&files));
    assert_clean(&shape::names_without_an_idea(&files));
}

#[test]
fn every_exception_to_a_lint_gives_its_reason() {
    let mut files = product();
    files.extend(source::read(&["tests"]));
    assert_clean(&shape::exceptions_without_reason(&files));
}

#[test]
fn documents_name_what_there_is() {
    let read =
        |name: &str| std::fs::read_to_string(source::root().join("docs").join(name)).unwrap();
    let tests = source::read(&["tests/e2e"]);
    assert_clean(&promises::named_but_missing(&read("specification.md"), &tests));
    assert_clean(&promises::missing_on_the_map(&read("architecture.md")));
}
