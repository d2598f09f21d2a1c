//! Images that are made to cost: time stays in proportion to their size, and no stack is used up.

use std::time::Instant;

use crate::harden::{
    HardenError,
    bench::{Image, LayerBytes, layer},
};

fn lines(count: usize, line: impl Fn(usize) -> String) -> LayerBytes {
    let lines: Vec<String> = (0..count).map(line).collect();
    layer(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

fn in_time(name: &str, image: &Image) {
    let start = Instant::now();
    match image.harden() {
        Ok(_) | Err(HardenError::Start(_)) => {}
        Err(error) => panic!("{name}: {error}"),
    }
    let took = start.elapsed();
    assert!(took.as_secs() < 20, "{name} took {took:?}");
}

#[test]
fn a_chain_of_scripts_uses_no_stack() {
    let chain = lines(20_000, |n| format!("x bin/s{n} #!/bin/s{}", n + 1));
    let image = Image::plain(&[chain]).cmd(&["/bin/s0"]);
    let hardened = image.harden().unwrap();
    let last = &hardened.findings.last().unwrap().detail;
    assert_eq!(last, "'/bin/s0' was followed over 10000 names, not to its end");
}

#[test]
fn many_of_a_kind_take_linear_time() {
    let copies = lines(6000, |n| format!("x opt/sh{n}/sh the same shell"));
    in_time("copies", &Image::plain(&[copies]));
    let links = lines(20_000, |n| format!("h opt/{n} nowhere/{n}"));
    in_time("hard links into nothing", &Image::plain(&[links]));
    let roots =
        lines(6000, |n| if n % 2 == 0 { format!("l {n} usr") } else { format!("f usr/{n} x") });
    in_time("links in the root", &Image::plain(&[roots]).remove(&["/bin/x", "/**/y"]));
    let stanza = |n: usize| format!("Package: a\\nVersion: {n}\\nArchitecture: {n}\\n\\n");
    let status: String = (0..6000).map(stanza).collect();
    let list = "/usr/bin/x\\n".repeat(6000);
    let database = layer(&[
        &format!("f var/lib/dpkg/status {status}"),
        &format!("f var/lib/dpkg/info/a.list {list}"),
    ]);
    in_time("packages of one name", &Image::plain(&[database]));
}
