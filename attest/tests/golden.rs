//! The bytes of a complete mark and of its verdict, as files: a change of form shows up in review.
//! `TOUCHMARK_UPDATE_GOLDEN=1 cargo test -p touchmark-attest --test golden` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mark;

use std::{env, fs, path::Path};

#[track_caller]
fn golden(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/mark").join(name);
    if env::var_os("TOUCHMARK_UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert_eq!(String::from_utf8_lossy(bytes), expected, "{name}");
}

#[test]
fn statements_bundles_and_key() {
    for (role, statement) in mark::statements() {
        golden(&format!("{role}.statement.json"), &statement.to_json().unwrap());
        golden(&format!("{role}.bundle.json"), &mark::bundle(&statement));
    }
    golden("key.pub", mark::key().public().to_pem().unwrap().as_bytes());
}

#[test]
fn verdicts() {
    let pretty = |evidence| serde_json::to_vec_pretty(&mark::judge(evidence)).unwrap();
    golden("verdict-passed.json", &pretty(mark::complete()));
    let mut spoiled = mark::complete();
    spoiled.remove(0);
    spoiled.push(mark::evidence("torn", "{"));
    golden("verdict-failed.json", &pretty(spoiled));
}
