use super::*;
use crate::worker::{WorkerError, WorkerUser};

/// A machine made of files; `fit` is one on which nothing is missing.
struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn fit() -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap() };
        for (name, _) in PROGRAMS {
            machine.write(&format!("bin/{name}"), "", 0o4755);
        }
        machine.write("etc/subuid", "ana:100000:65536\n", 0o644);
        machine.write("etc/subgid", "ana:100000:65536\n", 0o644);
        machine.write("sys/user/max_user_namespaces", "1000\n", 0o644);
        machine
    }

    fn write(&self, path: &str, text: &str, mode: u32) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The whole message, with the machine's own paths shortened.
    fn message(&self) -> String {
        let at = |path: &str| self.root.path().join(path);
        let config = WorkerConfig {
            data_dir: at("data"),
            runtime_dir: at("run"),
            search_path: vec![at("bin")],
            containerd: None,
            user: WorkerUser { name: "ana".into(), uid: 1000 },
        };
        let paths =
            DoctorPaths { subuid: at("etc/subuid"), subgid: at("etc/subgid"), sysctl: at("sys") };
        let findings = examine(&config, &paths);
        if findings.is_empty() {
            return String::new();
        }
        let message = WorkerError::Unfit(findings).to_string();
        message.replace(&self.root.path().display().to_string(), "")
    }
}

#[test]
fn a_fit_machine_has_no_findings() {
    assert_eq!(Machine::fit().message(), "");
}

#[test]
fn no_subordinate_ids() {
    let machine = Machine::fit();
    machine.write("etc/subuid", "ben:100000:65536\n", 0o644);
    machine.write("etc/subgid", "ben:165536:65536\n", 0o644);
    assert_eq!(
        machine.message(),
        "this machine cannot run a rootless worker yet\n\
         user 'ana' has no subordinate ids in /etc/subuid and /etc/subgid\n\
         help: sudo usermod --add-subuids 231072-296607 --add-subgids 231072-296607 ana"
    );
}

#[test]
fn files_of_subordinate_ids_are_missing() {
    let machine = Machine::fit();
    fs::remove_dir_all(machine.root.path().join("etc")).unwrap();
    assert!(machine.message().ends_with(
        "help: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ana"
    ));
}

#[test]
fn too_few_subordinate_ids() {
    let machine = Machine::fit();
    machine.write("etc/subgid", "1000:100000:1000\n", 0o644);
    assert_eq!(
        machine.message(),
        "this machine cannot run a rootless worker yet\n\
         user 'ana' has 65536 subordinate user ids and 1000 group ids; a build needs 65536 of each\n\
         help: sudo usermod --add-subgids 165536-231071 ana"
    );
}

#[test]
fn user_namespaces_are_switched_off() {
    let machine = Machine::fit();
    machine.write("sys/user/max_user_namespaces", "0\n", 0o644);
    machine.write("sys/kernel/unprivileged_userns_clone", "0\n", 0o644);
    assert_eq!(
        machine.message(),
        "this machine cannot run a rootless worker yet\n\
         user namespaces are forbidden: user.max_user_namespaces is 0\n\
         help: echo user.max_user_namespaces=28633 | sudo tee /etc/sysctl.d/99-touchmark.conf && sudo sysctl --system\n\
         user namespaces are forbidden: kernel.unprivileged_userns_clone is 0\n\
         help: echo kernel.unprivileged_userns_clone=1 | sudo tee /etc/sysctl.d/99-touchmark.conf && sudo sysctl --system"
    );
}

#[test]
fn apparmor_without_and_with_a_profile() {
    let machine = Machine::fit();
    machine.write("sys/kernel/apparmor_restrict_unprivileged_userns", "1\n", 0o644);
    assert_eq!(
        machine.message(),
        "this machine cannot run a rootless worker yet\n\
         user namespaces are forbidden: kernel.apparmor_restrict_unprivileged_userns is 1 and rootlesskit has no AppArmor profile\n\
         help: printf '%s\\n' 'abi <abi/4.0>,' 'include <tunables/global>' 'profile rootlesskit /usr/bin/rootlesskit flags=(unconfined) { userns, }' | sudo tee /etc/apparmor.d/rootlesskit && sudo apparmor_parser -r /etc/apparmor.d/rootlesskit"
    );
    machine.write("etc/apparmor.d/usr.bin.rootlesskit", "", 0o644);
    assert_eq!(machine.message(), "");
}

#[test]
fn newuidmap_lost_its_setuid_bit() {
    let machine = Machine::fit();
    machine.write("bin/newuidmap", "", 0o755);
    assert_eq!(
        machine.message(),
        "this machine cannot run a rootless worker yet\n\
         newuidmap can not map subordinate ids: no setuid bit\n\
         help: sudo apt-get install --reinstall uidmap"
    );
}

#[test]
fn programs_are_not_installed() {
    let nowhere = |_: &str| None;
    let finding = programs(&nowhere).unwrap();
    assert_eq!(
        finding.to_string(),
        "not installed: containerd, runc, rootlesskit, newuidmap, newgidmap\n\
         help: sudo apt-get install containerd runc rootlesskit uidmap"
    );
    let only_runc = |name: &str| (name != "runc").then(|| PathBuf::from("/bin/x"));
    assert_eq!(
        programs(&only_runc).unwrap().to_string(),
        "not installed: runc\nhelp: sudo apt-get install runc"
    );
}
