//! What keeps this machine from running a rootless worker, and the commands that repair it.

use std::{
    fmt, fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{WorkerConfig, subid};

/// One thing that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was found, in one line.
    pub what: String,
    /// What to do: a sentence or a command to copy.
    pub help: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nhelp: {}", self.what, self.help)
    }
}

/// Where the examination looks; tests give it directories of their own.
#[derive(Debug, Clone)]
pub struct DoctorPaths {
    /// Usually `/etc/subuid`.
    pub subuid: PathBuf,
    /// Usually `/etc/subgid`.
    pub subgid: PathBuf,
    /// Usually `/proc/sys`.
    pub sysctl: PathBuf,
}

impl Default for DoctorPaths {
    fn default() -> Self {
        Self {
            subuid: "/etc/subuid".into(),
            subgid: "/etc/subgid".into(),
            sysctl: "/proc/sys".into(),
        }
    }
}

/// The programs, each with the Debian and Ubuntu package that brings it.
const PROGRAMS: [(&str, &str); 5] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("rootlesskit", "rootlesskit"),
    ("newuidmap", "uidmap"),
    ("newgidmap", "uidmap"),
];

/// More than any real file of these holds.
const MAX_FILE: u64 = 4 << 20;

/// Everything that is missing, in the order in which to repair it; empty when the worker can start.
#[must_use]
pub fn examine(config: &WorkerConfig, paths: &DoctorPaths) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(programs(&|name| config.find_program(name)));
    findings.extend(setuid_helpers(config));
    findings.extend(subordinate_ids(config, paths));
    findings.extend(user_namespaces(paths));
    findings.extend(data_directory(config));
    findings
}

fn programs(find: &dyn Fn(&str) -> Option<PathBuf>) -> Option<Finding> {
    let missing: Vec<_> = PROGRAMS.iter().filter(|(name, _)| find(name).is_none()).collect();
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    (!missing.is_empty()).then(|| Finding {
        what: format!("not installed: {}", names.join(", ")),
        help: format!("sudo apt-get install {}", packages.join(" ")),
    })
}

/// newuidmap and newgidmap write the map of a user's namespace; they cannot without a privilege of their
/// own, which minimal images strip.
fn setuid_helpers(config: &WorkerConfig) -> Option<Finding> {
    if config.user.uid == 0 {
        return None;
    }
    let powerless = |name: &&str| {
        config.find_program(name).is_some_and(|path| {
            let setuid = fs::metadata(&path).is_ok_and(|m| m.permissions().mode() & 0o4000 != 0);
            let capable = || xattr::get(&path, "security.capability").is_ok_and(|c| c.is_some());
            !setuid && !capable()
        })
    };
    let names: Vec<_> = ["newuidmap", "newgidmap"].into_iter().filter(powerless).collect();
    (!names.is_empty()).then(|| Finding {
        what: format!("{} can not map subordinate ids: no setuid bit", names.join(" and ")),
        help: "sudo apt-get install --reinstall uidmap".to_owned(),
    })
}

fn subordinate_ids(config: &WorkerConfig, paths: &DoctorPaths) -> Option<Finding> {
    let uids = subid::parse(&read(&paths.subuid).unwrap_or_default());
    let gids = subid::parse(&read(&paths.subgid).unwrap_or_default());
    let (own_uids, own_gids) =
        (subid::owned(&uids, &config.user), subid::owned(&gids, &config.user));
    if own_uids >= subid::NEEDED && own_gids >= subid::NEEDED {
        return None;
    }
    let name = &config.user.name;
    let what = if own_uids == 0 && own_gids == 0 {
        format!(
            "user '{name}' has no subordinate ids in {} and {}",
            paths.subuid.display(),
            paths.subgid.display()
        )
    } else {
        format!(
            "user '{name}' has {own_uids} subordinate user ids and {own_gids} group ids; a build needs {} of each",
            subid::NEEDED
        )
    };
    let taken: Vec<_> = uids.into_iter().chain(gids).collect();
    let first = subid::free_range(&taken);
    let last = first + subid::NEEDED - 1;
    // A range that is added on top of a smaller one is mapped behind it: together they are enough.
    let mut options = Vec::new();
    if own_uids < subid::NEEDED {
        options.push(format!("--add-subuids {first}-{last}"));
    }
    if own_gids < subid::NEEDED {
        options.push(format!("--add-subgids {first}-{last}"));
    }
    Some(Finding { what, help: format!("sudo usermod {} {name}", options.join(" ")) })
}

fn user_namespaces(paths: &DoctorPaths) -> Vec<Finding> {
    let is = |name: &str, value: &str| {
        read(&paths.sysctl.join(name)).is_ok_and(|text| text.trim() == value)
    };
    let mut findings = Vec::new();
    if is("user/max_user_namespaces", "0") {
        findings.push(forbidden("user.max_user_namespaces is 0", "user.max_user_namespaces=28633"));
    }
    if is("kernel/unprivileged_userns_clone", "0") {
        findings.push(forbidden(
            "kernel.unprivileged_userns_clone is 0",
            "kernel.unprivileged_userns_clone=1",
        ));
    }
    findings.extend(apparmor(paths, is("kernel/apparmor_restrict_unprivileged_userns", "1")));
    findings
}

fn forbidden(what: &str, setting: &str) -> Finding {
    Finding {
        what: format!("user namespaces are forbidden: {what}"),
        help: format!(
            "echo {setting} | sudo tee /etc/sysctl.d/99-touchmark.conf && sudo sysctl --system"
        ),
    }
}

/// Ubuntu 23.10 and later let only programs with an AppArmor profile that says `userns` use one; its
/// rootlesskit package brings such a profile.
fn apparmor(paths: &DoctorPaths, restricted: bool) -> Option<Finding> {
    let profile = paths.subuid.with_file_name("apparmor.d").join("usr.bin.rootlesskit");
    let unnamed = paths.subuid.with_file_name("apparmor.d").join("rootlesskit");
    if !restricted || profile.exists() || unnamed.exists() {
        return None;
    }
    Some(Finding {
        what: "user namespaces are forbidden: kernel.apparmor_restrict_unprivileged_userns is 1 and \
               rootlesskit has no AppArmor profile"
            .to_owned(),
        help: "printf '%s\\n' 'abi <abi/4.0>,' 'include <tunables/global>' \
               'profile rootlesskit /usr/bin/rootlesskit flags=(unconfined) { userns, }' \
               | sudo tee /etc/apparmor.d/rootlesskit && sudo apparmor_parser -r /etc/apparmor.d/rootlesskit"
            .to_owned(),
    })
}

/// overlayfs takes its directories in one text, in which these characters separate.
fn data_directory(config: &WorkerConfig) -> Option<Finding> {
    let path = config.data_dir.to_string_lossy();
    path.contains([':', ',', '\\', '\n']).then(|| Finding {
        what: format!("the data directory '{path}' has a colon, comma or backslash in its name"),
        help: "set XDG_DATA_HOME to a directory without one".to_owned(),
    })
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
