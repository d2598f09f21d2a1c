//! A disk that is full: one message that names the place and what to do, nothing half-written, and all is well when
//! there is room again.

use std::fs;

use touchmark_tests::{
    account::Account, base, home::Home, image::Image, run::Output, small_disk::SmallDisk, snapshot,
    tarball::Tarball, worker_state,
};

use crate::scene::Scene;

const MIB: u64 = 1 << 20;

/// Bytes that no compression makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(size).collect()
}

/// Bases of which one does not fit as it is, and the other not when it is unpacked.
fn push_bases(scene: &Scene) {
    let with = |name: &str, file: Vec<u8>| {
        let mut image: Image = base::busybox();
        image.layers.push(Tarball::new().file("large", 0o644, file).finish());
        image.push(&scene.registry, &format!("library/{name}"), "latest");
    };
    with("dense", noise(12 * MIB as usize));
    with("sparse", vec![0; 12 * MIB as usize]);
}

/// A build of which every part writes something: base, context, steps, layers, files.
const ALL: &str =
    "FROM busybox\nRUN seq 40000 > /a && cat /a /a > /b\nCOPY data /data\nRUN cp /a /c\n";

/// Builds [`ALL`] anew; every answer but the right one has to name the disk.
fn build_all(scene: &Scene) -> Output {
    let dest = scene.home.dir().join("home/all.tar");
    let _ = fs::remove_file(&dest);
    scene.dockerfile(ALL);
    let output = format!("type=oci,dest={}", dest.display());
    scene.build(&["--no-sign", "--no-cache", "--iidfile", "all.id", "-o", &output])
}

fn message(home: &Home, output: &Output) -> String {
    let told = home.told(output);
    let message = told.find("error: ").map_or("", |at| &told[at..]);
    // Names made up for a file in the making.
    let mut words = Vec::new();
    for line in message.lines() {
        let made_up =
            |word: &str| word.find("/write-").or(word.find("/.touchmark-")).map(|at| at + 1);
        let word = |word: &str| {
            made_up(word).map_or_else(|| word.to_owned(), |at| format!("{}NAME", &word[..at]))
        };
        words.push(line.split(' ').map(word).collect::<Vec<_>>().join(" "));
    }
    format!("exit code {}\n{}\n", output.code, words.join("\n"))
}

#[test]
fn a_full_disk_is_named_and_heals() {
    if Account::root().is_none() {
        return;
    }
    let scene = Scene::new();
    push_bases(&scene);
    let at = scene.home.dir().join("home");
    let disk = SmallDisk::mounted(&at, 48 * MIB);
    scene.home.give(&at, 0o700);
    scene.home.write("ctx/data", noise(300_000));
    let _ = scene.build_only("FROM busybox\nRUN true\n").succeeded();

    let place = |name: &str| at.join(name).display().to_string();
    let oci = ["--no-sign", "-o", &format!("type=oci,dest={}", place("x.tar"))];
    let local = ["--no-sign", "-o", &format!("type=local,dest={}", place("x"))];
    let tar = ["--no-sign", "-o", &format!("type=tar,dest={}", place("x.tar"))];
    // Made while there is room, then written out.
    scene.home.write("ctx/large", noise(6 * MIB as usize));
    let out = "FROM busybox\nCOPY large /large\n";
    scene.dockerfile(out);
    let elsewhere = scene.home.path("elsewhere").display().to_string();
    let [image, files] = ["oci", "tar"].map(|kind| format!("type={kind},dest={elsewhere}.{kind}"));
    let _ = scene.build(&["--no-sign", "-o", &image, "-o", &files]).succeeded();
    let write = "FROM busybox\nRUN dd if=/dev/urandom of=/x bs=64k count=";
    // In this order what a failed step leaves, which is collected half a second later, makes no next one fit.
    let cases: [(&str, u64, String, &[&str]); 7] = [
        ("run", 2, format!("{write}900\n"), &[]),
        ("oci", 2, out.to_owned(), &oci),
        ("local", 2, out.to_owned(), &local),
        ("tar", 2, out.to_owned(), &tar),
        ("pack", 3, format!("{write}32\n"), &[]),
        ("pull", 4, "FROM dense\nRUN true\n".to_owned(), &[]),
        ("unpack", 6, "FROM sparse\nRUN true\n".to_owned(), &[]),
    ];
    for (name, free, dockerfile, args) in cases {
        disk.leave(free * MIB);
        scene.dockerfile(&dockerfile);
        let output = scene.build(args);
        snapshot::assert(&format!("full-disk-{name}"), &message(&scene.home, &output));
        assert!(
            !at.join("x").exists() && !at.join("x.tar").exists(),
            "{name}: something was written"
        );
    }
    for free in [0, 16, 256, 768, 1024, 1536] {
        disk.leave(free * 1024);
        let output = build_all(&scene);
        let named = output.code == 1 && output.mentions("help: make room on ");
        assert!(output.code == 0 || named, "{free} KiB free: {output:?}");
    }
    disk.make_room();
    let _ = build_all(&scene).succeeded();
    let healed = fs::read_to_string(scene.home.path("all.id")).unwrap();
    assert_eq!(worker_state::held(&scene.home), Vec::<String>::new());
    scene.home.stop_worker();
    drop(disk);

    // The same on a disk that was never full.
    let _ = build_all(&scene).succeeded();
    assert_eq!(fs::read_to_string(scene.home.path("all.id")).unwrap(), healed);
}
