//! Every case of `tests/differential/cases` comes out as it does with Docker's BuildKit, whose results are kept beside
//! it. `DIFFERENTIAL=part/of-a-name` builds only the cases with this in their name.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;
use touchmark_tests::{
    differential::{EPOCH, agreement, bases, case::Case, comparison, context, record},
    home::Home,
    registry::Registry,
    repository, run,
};

/// Builds at the same time.
const JOBS: usize = 2;

#[test]
fn every_case_comes_out_as_with_buildkit() {
    let filter = std::env::var("DIFFERENTIAL").unwrap_or_default();
    let cases = Case::all(&filter);
    let (home, registry) = (Home::new(), bases::registry());
    // Without hosts to reach there is no authority to trust, which a step that prints its environment would show.
    home.policy(&registry, "[network]\nallow = []\n");
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let fault = check(case, &home, &registry);
                    faults.lock().unwrap().extend(fault.map(|fault| (case.title(), fault)));
                }
            });
        }
    });
    let mut faults = faults.into_inner().unwrap();
    faults.sort();
    let told: Vec<String> = faults.iter().map(|(case, fault)| format!("{case}: {fault}")).collect();
    assert!(faults.is_empty(), "{} of {}\n{}", faults.len(), cases.len(), told.join("\n"));
}

/// What is wrong with a case.
fn check(case: &Case, home: &Home, registry: &Registry) -> Option<String> {
    let Some(peers) = case.recorded() else {
        return Some("has no peer.json: run `stagehand record-peer`".into());
    };
    let ours = build(case, home, registry);
    let found = comparison::differences(&peers, &ours);
    match (found.is_empty(), case.agreed_difference()) {
        (true, None) | (false, Some(_)) => None,
        (true, Some(_)) => Some("agrees now: remove its agreed-difference".into()),
        (false, None) => Some(format!("differs\n  {}", found.join("\n  "))),
    }
}

fn build(case: &Case, home: &Home, registry: &Registry) -> Value {
    let work = home.path(&case.title().replace('/', "-"));
    fs::create_dir(&work).unwrap();
    case.write_contexts(&work);
    give(&work, home);
    let archive = work.join("image.tar").to_string_lossy().into_owned();
    let output = format!("type=oci,dest={archive}");
    let mut args = vec!["build", "--progress", "plain", "--policy", "touchmark.toml"];
    args.extend(["--harden", "off", "--no-sign", "--sbom=false", "--provenance=false"]);
    // Times enter no cache key, here and there: another case's layer may hold the same file with another one.
    args.push("--no-cache");
    let own = case.arguments(&work, &registry.host());
    let context = context::folder(&work, "").to_string_lossy().into_owned();
    args.extend(["-o", &output]);
    args.extend(own.iter().map(String::as_str));
    args.push(&context);
    let mut command = home.touchmark(&args);
    command.env("SOURCE_DATE_EPOCH", EPOCH.to_string());
    let told = run::start(command).wait(std::time::Duration::from_secs(120));
    let made = match told.code {
        0 => record::of_layout(Path::new(&archive)),
        _ => record::refused(&told.stderr),
    };
    fs::remove_dir_all(&work).unwrap();
    made
}

/// Makes what root wrote the user's, links included.
fn give(path: &Path, home: &Home) {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let account = home.account();
    let mode = fs::symlink_metadata(path).unwrap().permissions();
    std::os::unix::fs::lchown(path, Some(account.uid), Some(account.gid)).unwrap();
    if !path.is_symlink() {
        // A change of owner clears setuid.
        fs::set_permissions(path, mode).unwrap();
    }
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap().flatten() {
            give(&entry.path(), home);
        }
    }
}

#[test]
fn the_document_tells_the_agreement() {
    let version = repository().join("tests/differential/peer.txt");
    let version = fs::read_to_string(version).unwrap_or_default();
    let text = agreement::document(version.trim(), &Case::all(""));
    let path = repository().join("docs/compatibility.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "docs/compatibility.md is old: run this test with UPDATE_GOLDEN=1");
}
