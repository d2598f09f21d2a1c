//! Images and what steps do to their certificates. Needs the right to give files away, as root has it.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::egress::AUTHORITY_NAME;

/// Not a certificate, but as long, with a serial number where one is.
fn certificate(number: u8) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..500_u16).map(|n| n.to_le_bytes()[0] ^ 0x5a).collect();
    bytes[15..35].fill(number);
    bytes
}

struct World {
    image: TempDir,
    lower: TempDir,
    upper: TempDir,
    trust: StepTrust,
}

/// Puts `files` into an image and prepares a step for it; none where this user may not give files away.
fn world(files: &[(&str, &[u8])], env: &[(String, String)], number: u8) -> Option<World> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let [image, lower, upper] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    for (path, content) in files {
        put(image.path(), path, content);
    }
    let authority = (certificate(number), AUTHORITY_NAME);
    let trust = StepTrust::prepare(authority, image.path(), env, lower.path()).unwrap();
    Some(World { image, lower, upper, trust })
}

fn put(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn listed(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                pending.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

const DEBIAN: &str = "etc/ssl/certs/ca-certificates.crt";

#[test]
fn the_images_bundle_has_ours_at_its_end_and_its_own_looks() {
    let roots = pem::encode(&[9; 300]);
    let files = [(DEBIAN, roots.as_bytes()), ("usr/local/share/ca-certificates/corp.crt", b"")];
    let Some(world) = world(&files, &[], 1) else { return };
    let ours = pem::encode(&certificate(1));
    let text = |path| fs::read_to_string(world.lower.path().join(path)).unwrap();
    assert_eq!(text(DEBIAN), format!("{roots}{ours}"));
    assert_eq!(text("usr/local/share/ca-certificates/touchmark-build-authority.crt"), ours);
    assert_eq!(text("run/touchmark/ca.crt"), format!("{roots}{ours}"));
    assert_eq!(text("run/touchmark/authority.crt"), ours);
    let list = fs::read(world.lower.path().join("run/touchmark/cacerts.jks")).unwrap();
    let without = java_store::without(&list, &certificate(1)).unwrap();
    assert_eq!(without, java_store::write(&[&[9; 300]]));
    for path in [DEBIAN, "etc/ssl", "usr/local/share/ca-certificates"] {
        let of = |root: &TempDir| fs::metadata(root.path().join(path)).unwrap();
        let (ours, theirs) = (of(&world.lower), of(&world.image));
        assert_eq!(
            (ours.mode(), ours.uid(), ours.mtime()),
            (theirs.mode(), theirs.uid(), theirs.mtime())
        );
    }
}

#[test]
fn no_directory_is_brought_that_the_image_does_not_have() {
    let Some(world) = world(&[("bin/sh", b"")], &[], 1) else { return };
    assert!(listed(world.lower.path()).iter().all(|path| path.starts_with("run/touchmark/")));
    let mut env = Vec::new();
    world.trust.add_variables(&mut env);
    assert!(env.iter().any(|(name, _)| name == "WGETRC"));
}

#[test]
fn what_the_images_variables_name_is_trusted_on() {
    let own = pem::encode(&[3; 300]);
    let env = [("SSL_CERT_FILE".to_owned(), "/opt/corp.pem".to_owned())];
    let Some(world) = world(&[("opt/corp.pem", own.as_bytes())], &env, 1) else { return };
    let bundle = fs::read_to_string(world.lower.path().join("run/touchmark/ca.crt")).unwrap();
    assert!(bundle.starts_with(&own));
}

/// What `update-ca-certificates`, `openssl rehash`, Java's hook and a copying step write.
fn ravage(world: &World, number: u8) {
    let (roots, ours) = (pem::encode(&[9; 300]), pem::encode(&certificate(number)));
    let upper = world.upper.path();
    put(upper, DEBIAN, format!("{roots}{ours}").as_bytes());
    put(upper, "app/certs.pem", format!("{ours}{roots}").as_bytes());
    put(upper, "app/only.pem", ours.as_bytes());
    put(upper, "app/other.txt", b"text");
    let list = java_store::write(&[&certificate(number), &[9; 300]]);
    put(upper, "etc/ssl/certs/java/cacerts", &list);
    put(upper, "usr/local/share/ca-certificates/touchmark-build-authority.crt", ours.as_bytes());
    put(upper, "run/touchmark/ca.crt", ours.as_bytes());
    let anchor = "/usr/local/share/ca-certificates/touchmark-build-authority.crt";
    symlink(anchor, upper.join("etc/ssl/certs/touchmark-build-authority.pem")).unwrap();
    symlink("touchmark-build-authority.pem", upper.join("etc/ssl/certs/0a1b2c3d.0")).unwrap();
    symlink("other.pem", upper.join("etc/ssl/certs/4e5f6a7b.0")).unwrap();
}

#[test]
fn nothing_of_it_stays_in_what_the_step_wrote_whatever_its_bytes_are() {
    let roots = pem::encode(&[9; 300]);
    let files = [(DEBIAN, roots.as_bytes()), ("usr/local/share/ca-certificates/corp.crt", b"")];
    let mut seen = Vec::new();
    for number in [1, 2] {
        let Some(world) = world(&files, &[], number) else { return };
        ravage(&world, number);
        world.trust.scrub(world.upper.path()).unwrap();
        let paths = listed(world.upper.path());
        let content = |path: &String| fs::read(world.upper.path().join(path)).unwrap_or_default();
        seen.push(paths.iter().map(|path| (path.clone(), content(path))).collect::<Vec<_>>());
        let time = |root: &TempDir| fs::metadata(root.path().join(DEBIAN)).unwrap().mtime_nsec();
        assert_eq!(time(&world.upper), time(&world.image));
    }
    assert_eq!(seen[0], seen[1]);
    let paths: Vec<&str> = seen[0].iter().map(|(path, _)| path.as_str()).collect();
    let left = [
        "app/certs.pem",
        "app/other.txt",
        "etc/ssl/certs/4e5f6a7b.0",
        DEBIAN,
        "etc/ssl/certs/java/cacerts",
    ];
    assert_eq!(paths, left);
    assert_eq!(seen[0][0].1, roots.as_bytes());
    assert_eq!(java_store::without(&seen[0][4].1, &certificate(1)).as_ref(), Some(&seen[0][4].1));
}

#[test]
fn a_file_that_it_cannot_be_taken_out_of_is_named() {
    let Some(world) = world(&[], &[], 1) else { return };
    let mut odd = vec![0; (256 << 10) - 20];
    odd.extend(certificate(1));
    put(world.upper.path(), "opt/store.bin", &odd);
    let error = world.trust.scrub(world.upper.path()).unwrap_err().to_string();
    assert!(error.contains("certificate into '/opt/store.bin'"), "{error}");
}
