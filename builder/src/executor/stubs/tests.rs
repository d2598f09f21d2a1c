use std::os::unix::fs::symlink;

use super::*;

/// Notes `targets` of the root `base` and returns what is missing; `upper` is where it will be made.
fn noted(base: &Path, upper: &Path, targets: &[&str]) -> Stubs {
    let mut stubs = Stubs { upper: Some(upper.to_owned()), ..Stubs::default() };
    let root = open(base).unwrap();
    for target in targets {
        stubs.note(&root, Path::new(target)).unwrap();
    }
    stubs
}

fn paths(list: &[&str]) -> Vec<PathBuf> {
    list.iter().map(PathBuf::from).collect()
}

#[test]
fn what_is_missing_is_found_through_links() {
    let base = tempfile::tempdir().unwrap();
    let upper = tempfile::tempdir().unwrap();
    let at = |path: &str| base.path().join(path);
    fs::create_dir_all(at("usr/lib")).unwrap();
    fs::create_dir_all(at("etc")).unwrap();
    fs::write(at("etc/hosts"), "x").unwrap();
    symlink("usr/lib", at("lib")).unwrap();
    symlink("/run/a/resolv.conf", at("etc/resolv.conf")).unwrap();
    symlink("../usr/none", at("etc/up")).unwrap();
    symlink("loop", at("loop")).unwrap();
    let stubs =
        noted(base.path(), upper.path(), &["/etc/hosts", "/etc/resolv.conf", "/lib/x", "/etc/up"]);
    assert_eq!(
        stubs.missing,
        paths(&["run", "run/a", "run/a/resolv.conf", "usr/lib/x", "usr/none"])
    );
    let below: Vec<_> = stubs.below.iter().map(|directory| directory.path.clone()).collect();
    assert_eq!(below, paths(&["usr/lib", "usr"]));
    assert!(Stubs::default().note(&open(base.path()).unwrap(), Path::new("/loop/x")).is_err());
}

#[test]
fn untouched_stubs_and_copies_go_and_all_else_stays() {
    let base = tempfile::tempdir().unwrap();
    let upper = tempfile::tempdir().unwrap();
    let at = |path: &str| upper.path().join(path);
    for directory in ["etc", "opt", "srv"] {
        fs::create_dir(base.path().join(directory)).unwrap();
    }
    let targets = ["/etc/hosts", "/etc/hostname", "/opt/a/b", "/srv/x", "/new/y"];
    let stubs = noted(base.path(), upper.path(), &targets);
    // What the OCI runtime makes, and what the step does to some of it.
    for directory in ["etc", "opt/a/b", "srv", "new/y"] {
        fs::create_dir_all(at(directory)).unwrap();
    }
    fs::write(at("etc/hosts"), "").unwrap();
    fs::write(at("etc/hostname"), "").unwrap();
    fs::write(at("srv/x"), "written by the step").unwrap();
    fs::write(at("new/made"), "").unwrap();
    stubs.remove();
    assert!(!at("etc").exists());
    assert!(!at("opt").exists());
    assert!(at("srv/x").exists());
    assert!(at("new/made").exists());
    assert!(!at("new/y").exists());
}

#[test]
fn a_link_that_the_step_left_leads_nowhere() {
    let base = tempfile::tempdir().unwrap();
    let upper = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("hosts"), "").unwrap();
    let stubs = noted(base.path(), upper.path(), &["/etc/hosts"]);
    symlink(home.path(), upper.path().join("etc")).unwrap();
    stubs.remove();
    assert!(home.path().join("hosts").exists());
}

#[test]
fn a_directory_whose_mode_the_step_changed_stays() {
    use std::os::unix::fs::PermissionsExt;
    let base = tempfile::tempdir().unwrap();
    let upper = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("etc")).unwrap();
    let stubs = noted(base.path(), upper.path(), &["/etc/hosts"]);
    fs::create_dir(upper.path().join("etc")).unwrap();
    fs::set_permissions(upper.path().join("etc"), fs::Permissions::from_mode(0o700)).unwrap();
    stubs.remove();
    assert!(upper.path().join("etc").exists());
}
