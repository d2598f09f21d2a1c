//! What was fetched once is enough: without a network at all, after a kill, and for two at once.

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use touchmark_tests::{
    home::Home,
    impostor::{Impostor, Reply},
    run::Output,
};

use crate::scene::Scene;

const SIZE: usize = 3_000_000;

fn body() -> Vec<u8> {
    (0..SIZE).map(|at| (at / 7 % 251) as u8).collect()
}

/// A mirror that stops half-way for the first `stalls` requests, and the count of requests.
fn mirror(stalls: usize) -> (Impostor, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let noted = seen.clone();
    let impostor = Impostor::start(move |_| match noted.fetch_add(1, Ordering::SeqCst) {
        number if number < stalls => Reply::Stalled(Some(200), vec![], body(), SIZE / 2),
        _ => Reply::Whole(200, vec!["ETag: \"1\"".into()], body()),
    });
    (impostor, seen)
}

fn scene(mirror: &Impostor) -> Scene {
    let scene = Scene::with_policy(&format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example.org\"\nupstream = \"http://{}\"\n",
        mirror.host()
    ));
    scene.dockerfile(
        "FROM busybox AS fetch\nRUN wget -q -O /file http://packages.example.org/file\n\
         FROM scratch\nCOPY --from=fetch /file /file\n",
    );
    scene
}

const BUILD: [&str; 6] =
    ["build", "--progress", "plain", "--policy", "touchmark.toml", "--no-sign"];

fn forget_all_but_downloads(home: &Home) {
    for kind in ["step", "base", "record"] {
        let filter = format!("type={kind}");
        let _ = home.run(&["cache", "prune", "--force", "--filter", &filter]).succeeded();
    }
}

/// Runs `command` in a network namespace of its own, which has no route, no name server that could be reached, and not
/// even a loopback that is up. Only root can make one and let go of root in it.
fn without_network(home: &Home, command: &Command) -> Output {
    let account = home.account();
    let mut unplugged = Command::new("unshare");
    unplugged.args(["--net", "setpriv", "--clear-groups"]);
    unplugged.args([format!("--reuid={}", account.uid), format!("--regid={}", account.gid)]);
    unplugged.arg(command.get_program()).args(command.get_args()).env_clear();
    unplugged.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    unplugged.current_dir(home.path(""));
    home.finish(unplugged)
}

#[test]
fn the_same_image_is_built_where_there_is_no_network() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (mirror, seen) = mirror(0);
    let scene = scene(&mirror);
    let output = ["--iidfile", "id", "-o", "type=oci,dest=out.tar", "ctx"];
    let _ = scene.home.run(&[&BUILD[..], &["--lock"], &output].concat()).succeeded();
    let Scene { home, registry } = scene;
    let first = fs::read_to_string(home.path("id")).unwrap();
    fs::remove_file(home.path("id")).unwrap();
    forget_all_but_downloads(&home);
    // The worker has to be born without a network too.
    home.stop_worker();
    drop((mirror, registry));
    let again = [&BUILD[..], &["--locked", "--offline", "--no-cache"], &output].concat();
    let _ = without_network(&home, &home.touchmark(&again)).succeeded();
    assert_eq!(fs::read_to_string(home.path("id")).unwrap(), first);
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    // One byte of the store is another one: refused, and nothing is made of it.
    fs::remove_file(home.path("id")).unwrap();
    let digest = touchmark_tests::digest(&body());
    let blob = format!("home/.local/share/touchmark/content/blobs/sha256/{}", &digest[7..]);
    let mut altered = body();
    altered[SIZE / 2] ^= 1;
    fs::write(home.dir().join(blob), altered).unwrap();
    let refused = without_network(&home, &home.touchmark(&again)).returned(1);
    assert!(
        refused.mentions("http://packages.example.org/file is damaged in the store"),
        "{refused:?}"
    );
    assert!(!home.path("id").exists(), "{refused:?}");
}

#[test]
fn a_download_that_was_killed_is_fetched_whole_by_two_builds() {
    let (mirror, seen) = mirror(1);
    let scene = scene(&mirror);
    let output = |id: &'static str, dest: &'static str| {
        [&BUILD[..], &["--no-cache", "--iidfile", id, "-o", dest, "ctx"]].concat()
    };
    let mut killed = scene.home.start(&output("id0", "type=oci,dest=out0.tar"));
    killed.until(Duration::from_secs(120), |_| (seen.load(Ordering::SeqCst) == 1).then_some(()));
    let _ = killed.kill();
    let one = scene.home.start(&output("id1", "type=oci,dest=out1.tar"));
    let other = scene.home.start(&output("id2", "type=oci,dest=out2.tar"));
    let _ = one.wait(Duration::from_secs(120)).succeeded();
    let _ = other.wait(Duration::from_secs(120)).succeeded();
    let id = |name: &str| fs::read_to_string(scene.home.path(name)).unwrap();
    assert_eq!(id("id1"), id("id2"));
    // What is kept is whole: with the mirror gone, the same image comes of it, and no piece is left.
    drop(mirror);
    let offline = [&output("id3", "type=local,dest=out")[..], &["--offline"]].concat();
    let _ = scene.home.run(&offline).succeeded();
    assert!(fs::read(scene.home.path("out/file")).unwrap() == body(), "other bytes were served");
    let content = scene.home.dir().join("home/.local/share/touchmark/content/ingest");
    let pieces = fs::read_dir(content).unwrap().flatten();
    let pieces: Vec<_> = pieces.filter(|file| file.metadata().unwrap().len() > 0).collect();
    assert!(pieces.is_empty(), "{pieces:?}");
}
