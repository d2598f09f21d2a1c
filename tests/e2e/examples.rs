//! The examples beside `examples/hello`: built as they are, from the registries of their ecosystems.

use std::fs;

use touchmark_tests::{home::Home, referrers, repository};

use crate::{clients::tools, scene::Scene};

/// Builds `examples/NAME`, looks for its package, builds it again offline, and runs what it made.
fn tried(name: &str, base: &str, package: &str, command: &str, says: &str) {
    let scene = Scene { home: Home::new(), registry: tools::registry() };
    let folder = repository().join("examples").join(name);
    scene.home.copy(&folder, "ctx");
    scene.home.make_keys();
    let policy = fs::read_to_string(folder.join("touchmark.toml")).unwrap();
    let (_, rest) = policy.split_once("[network]").unwrap();
    scene.home.policy(&scene.registry, &format!("[network]{rest}"));
    let base = format!("BASE={base}");
    let build = |more: &[&str]| {
        let _ = scene.push_signed(&[&["--build-arg", &base], more].concat()).succeeded();
        scene.registry.tag("app", "1").unwrap()
    };
    let image = build(&["--lock"]);
    let provenance = referrers::predicate(&scene.registry, "app", &image, referrers::PROVENANCE);
    let definition = &provenance["buildDefinition"];
    assert_eq!(definition["internalParameters"]["hermetic"], true);
    let known = definition["resolvedDependencies"].as_array().unwrap().iter().find(|one| {
        let purl = one["annotations"]["purl"].as_str().unwrap_or_default();
        purl.starts_with(package) && one["digest"]["sha256"].is_string()
    });
    let known = known.unwrap_or_else(|| panic!("{package} is unknown: {definition:#}"));
    assert!(known["annotations"]["verified-by"].is_string(), "{known:#}");
    let name = scene.registry.image("app:1");
    let verified = scene.home.run(&["verify", &name, "--key", "cosign.pub"]);
    let _ = verified.succeeded();
    assert_eq!(build(&["--locked", "--offline", "--no-cache"]), image);
    // The image has no shell, so a step of another one runs the program itself.
    scene.dockerfile(&format!("FROM {name}\nRUN {command}\n"));
    let run = scene.build(&["--harden", "off", "-o", "type=cacheonly"]).succeeded();
    assert!(run.mentions(says), "{run:?}");
}

#[test]
fn a_python_program_with_a_dependency_is_built_offline_too_and_runs() {
    let command = r#"["/app/bin/python", "/app/greet.py", "world"]"#;
    tried("python", "debian:bookworm", "pkg:pypi/tabulate@0.9.0", command, "hello   world");
}

#[test]
fn a_program_for_node_with_a_dependency_is_built_offline_too_and_runs() {
    let command = r#"["node", "/app/greet.js", "world"]"#;
    tried("node", "web", "pkg:npm/kleur@4.1.5", command, "hello world");
}
