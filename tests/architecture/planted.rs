//! The rules find what is planted: each text here holds one violation, or looks like one and is none.

use crate::{absences, circles, floors, promises, shape, source::SourceFile};

fn file(path: &str, text: &str) -> Vec<SourceFile> {
    vec![SourceFile::new(path, text)]
}

#[test]
fn an_import_of_a_higher_floor() {
    let planted =
        file("builder/src/registry/pull.rs", "//! a\nuse std::io;\nuse crate::egress::Egress;\n");
    let told = ["builder/src/registry/pull.rs:3: imports egress (work) from registry (edges)"];
    assert_eq!(floors::violations(&planted), told);
}

#[test]
fn an_import_in_a_group_with_a_rename_and_over_several_lines() {
    let text =
        "use crate::{\n    oci::{Digest, Manifest as M},\n    solver::{self as engine},\n};\n";
    let told = ["builder/src/layer/pack.rs:3: imports solver (engine) from layer (bytes)"];
    assert_eq!(floors::violations(&file("builder/src/layer/pack.rs", text)), told);
}

#[test]
fn a_path_in_an_expression_and_one_over_super() {
    let text =
        "fn f() { let x = crate::build::run(); super::super::export::go(); super::pull(); }\n";
    let told = [
        "builder/src/registry/push.rs:1: imports build (roof) from registry (edges)",
        "builder/src/registry/push.rs:1: imports export (product) from registry (edges)",
    ];
    assert_eq!(floors::violations(&file("builder/src/registry/push.rs", text)), told);
}

#[test]
fn a_neighbour_to_the_right_is_higher_too() {
    let told = ["builder/src/oci/mod.rs:1: imports policy (pure) from oci (pure)"];
    assert_eq!(
        floors::violations(&file("builder/src/oci/mod.rs", "use crate::policy::Policy;")),
        told
    );
    assert!(
        floors::violations(&file("builder/src/policy/mod.rs", "use crate::oci::Reference;"))
            .is_empty()
    );
}

#[test]
fn comments_strings_and_tests_are_free() {
    let text = "// use crate::build;\n/* use /* crate::build */ */\nconst A: &str = \"crate::build::x\";\n\
                const B: &str = r#\"crate::build \"quoted\" \"#;\nconst C: char = '\"';\n\
                #[cfg(test)]\nmod tests {\n    use crate::build::Build;\n}\n";
    assert!(floors::violations(&file("builder/src/oci/digest.rs", text)).is_empty());
    let after = format!("{text}use crate::build::Build;\n");
    assert_eq!(floors::violations(&file("builder/src/oci/digest.rs", &after)).len(), 1);
    assert!(
        floors::violations(&file("builder/src/oci/digest/tests.rs", "use crate::build::Build;"))
            .is_empty()
    );
}

#[test]
fn a_room_without_a_floor() {
    let told = floors::unregistered(&file("builder/src/cellar/wine.rs", ""));
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("builder/src/cellar/wine.rs: room 'cellar' stands on no floor"),
        "{told:?}"
    );
}

#[test]
fn a_map_in_the_wrong_order_or_with_a_gap() {
    let text = "//! - [`layer`]: tar\n//! - [`oci`]: documents\npub mod layer;\npub mod oci;\npub mod graph;\n";
    let told = [
        "builder/src/lib.rs: lists oci after layer, which stands higher",
        "builder/src/lib.rs: declares graph, but its map does not say what it is",
    ];
    assert_eq!(floors::map_out_of_order(&file("builder/src/lib.rs", text)), told);
}

#[test]
fn a_circle_of_three() {
    let files = [
        SourceFile::new("cli/src/ui/mod.rs", "use crate::config::Config;"),
        SourceFile::new("cli/src/config.rs", "\nuse crate::error::CliError;"),
        SourceFile::new("cli/src/error.rs", "use crate::ui::Printer;"),
        SourceFile::new("cli/src/args.rs", "use crate::ui::Printer;"),
    ];
    let told = "circle:\n  config imports error at cli/src/config.rs:2\n  error imports ui at cli/src/error.rs:1\n  \
                ui imports config at cli/src/ui/mod.rs:1";
    assert_eq!(circles::violations(&files), [told]);
}

#[test]
fn outside_things_in_attest() {
    let text = "use std::{collections::BTreeMap, fs};\nfn f() -> std::time::Instant { std::time::Instant::now() }\n";
    let told = absences::attest_is_pure(&file("attest/src/key.rs", text));
    assert_eq!(
        told[0],
        "attest/src/key.rs:1: names std::fs, but attest takes bytes, time and trust as arguments"
    );
    assert_eq!(told.len(), 3);
    let manifest = "[package]\nname = \"touchmark-attest\"\n[dependencies]\nserde = \"1\"\ntokio = \"1\"\n[lints]\n";
    let told = ["attest/Cargo.toml: depends on 'tokio = \"1\"', but attest knows nobody"];
    assert_eq!(absences::attest_knows_nobody(manifest), told);
}

#[test]
fn io_in_a_pure_room_and_a_clock_in_content() {
    let read = file("builder/src/dockerfile/parse.rs", "fn f() { std::fs::read(p) }");
    assert_eq!(absences::pure_rooms_do_no_io(&read).len(), 1);
    let clock = file("builder/src/layer/pack.rs", "use std::time::SystemTime;\n");
    assert_eq!(absences::no_clock_in_content(&clock).len(), 1);
    let elsewhere = file("builder/src/registry/retry.rs", "use std::time::Instant;\n");
    assert!(absences::no_clock_in_content(&elsewhere).is_empty());
}

#[test]
fn talk_outside_the_command_line() {
    let text = "use std::env;\nfn f() { env::var(\"HOME\"); println!(\"x\"); std::process::exit(1); }\n\
                fn g() { std::env::consts::ARCH; write!(out, \"x\"); }\n";
    let told = [
        "builder/src/solver/mod.rs:2: names env::var, but only cli reads the environment, prints and exits",
        "builder/src/solver/mod.rs:2: names std::process::exit, but only cli reads the environment, prints and exits",
        "builder/src/solver/mod.rs:2: uses println!, but only cli prints",
    ];
    assert_eq!(absences::only_cli_talks(&file("builder/src/solver/mod.rs", text)), told);
    assert!(absences::only_cli_talks(&file("cli/src/main.rs", text)).is_empty());
}

#[test]
fn unsafe_in_the_wrong_room_and_in_two_files() {
    let files = [
        SourceFile::new("builder/src/executor/namespace.rs", "fn f() { unsafe { g() } }"),
        SourceFile::new("builder/src/oci/digest.rs", "#![deny(unsafe_code)]\nunsafe fn f() {}"),
    ];
    assert!(absences::unsafe_in_one_file(&files[..1]).is_empty());
    let told = [
        "builder/src/oci/digest.rs: holds unsafe code, which may live in executor or worker only",
        "unsafe code in 2 files, one is allowed: builder/src/executor/namespace.rs, builder/src/oci/digest.rs",
    ];
    assert_eq!(absences::unsafe_in_one_file(&files), told);
}

#[test]
fn long_files_empty_names_and_silent_exceptions() {
    let long = file("builder/src/oci/mod.rs", &"\n".repeat(401));
    assert_eq!(
        shape::too_long(&long),
        ["builder/src/oci/mod.rs: 401 lines, at most 400: split it by noun"]
    );
    assert_eq!(shape::names_without_an_idea(&file("builder/src/oci/utils.rs", "")).len(), 1);
    let text =
        "#[allow(dead_code, reason = \"shown\")]\nfn a() {}\n#[allow(dead_code)]\nfn b() {}\n";
    let told = ["cli/src/ui.rs:3: #[allow(…) gives no reason"];
    assert_eq!(shape::exceptions_without_reason(&file("cli/src/ui.rs", text)), told);
}

#[test]
fn a_promise_whose_test_is_gone() {
    let tests = file("tests/e2e/network.rs", "#[test]\nfn a_wall_stands() {}\n");
    let rows = "| promise | proof |\n| a | `network::a_wall_stands` |\n| b | `network::a_wall_fell`, `worker::doctor` |\n\
                | c | *pending* |\n| d | `network` |\n";
    let told = ["docs/specification.md: names network::a_wall_fell, which is not in tests/e2e"];
    assert_eq!(promises::named_but_missing(rows, &tests), told);
    assert!(promises::missing_on_the_map("").iter().any(|told| told.contains("'egress'")));
}
