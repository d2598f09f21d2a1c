//! Whatever parses can be lowered without a panic, in time in proportion to its length.

use std::time::Instant;

use super::{
    base_images, base_images_with,
    golden_tests::{configs, options},
    lower,
};
use crate::dockerfile::{
    Dockerfile,
    robustness_tests::{Random, corpus, mutate},
};

fn build(source: &str) -> bool {
    let options = options("arg=A=1\nlabel=x=y");
    let Ok(file) = Dockerfile::parse(source) else { return false };
    let Ok(images) = base_images(&file, &options) else { return false };
    let Ok(images) = base_images_with(&file, &options, &configs(&images)) else { return false };
    lower(&file, &options, &configs(&images)).is_ok()
}

#[test]
fn mutations_do_not_panic() {
    let mut corpus = corpus("graph");
    corpus.extend(crate::dockerfile::robustness_tests::corpus("dockerfile"));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut sound = 0;
    for round in 0..20_000 {
        let source = mutate(&corpus[round % corpus.len()], &corpus, &mut random);
        sound += usize::from(build(&source));
    }
    assert!(sound > 2000, "only {sound} mutations still built; the test tests nothing");
}

#[test]
fn long_inputs_take_linear_time() {
    let stages: String = (0..5000).map(|n| format!("FROM scratch AS s{n}\n")).collect();
    let chain: String = (1..5000).map(|n| format!("FROM s{} AS s{n}\nUSER a\n", n - 1)).collect();
    let copies: String = (0..5000).map(|n| format!("COPY --from=s{n} a b\n")).collect();
    let forward: String =
        (0..3000).map(|n| format!("FROM scratch AS s{n}\nCOPY --from=s{} a b\n", n + 1)).collect();
    let env: String = (0..10_000).map(|n| format!("ENV A{n}=$A{}\n", n + 1)).collect();
    let word = format!("{}\\\n", "${A%?}".repeat(10_000)).repeat(17);
    let triggers = "ONBUILD ENV A=b\n".repeat(3000);
    let double = "ENV A=$A$A\n".repeat(1000);
    let run = "RUN a\n".repeat(20_000);
    let cases = [
        ("copies", format!("{stages}FROM scratch\n{copies}")),
        ("chain", format!("FROM scratch AS s0\n{chain}")),
        ("forward", format!("{forward}FROM scratch AS s3000\n")),
        ("env", format!("FROM scratch\n{env}")),
        ("double", format!("FROM scratch\nENV A=aaaaaaaa\n{double}")),
        ("word", format!("FROM scratch\nENV A=ab\nLABEL a={word}\n")),
        ("triggers", format!("FROM scratch AS a\n{triggers}FROM a AS b\n{triggers}FROM b\n")),
        ("run", format!("FROM scratch\n{run}")),
        ("expose", format!("FROM scratch\n{}", "EXPOSE 1-65535\n".repeat(5))),
    ];
    for (name, source) in cases {
        let start = Instant::now();
        let _ = build(&source);
        let took = start.elapsed();
        assert!(took.as_secs() < 10, "{name} took {took:?}");
    }
}
