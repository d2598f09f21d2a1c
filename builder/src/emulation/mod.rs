//! Programs for other processors. The kernel hands a program that is not its own to an interpreter that
//! was registered in binfmt_misc (Linux, Documentation/admin-guide/binfmt-misc.rst); QEMU's user mode
//! emulators are such interpreters. Usually root registers them for the whole machine. From Linux 6.7 on
//! each user namespace can have a binfmt_misc of its own, so an emulator that is merely installed is
//! registered in the worker's, for as long as the build lasts, and steps are emulated without any rights.
//!
//! `machine` (what tells processors apart) ← `probe` (does such a program run?), `interpreter` (what could
//! run it) ← `namespace` (binfmt_misc in the worker's user namespace).

mod interpreter;
mod machine;
mod namespace;
mod probe;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use self::{interpreter::Search, machine::Machine, namespace::Namespace};
use crate::oci::platform::Platform;

/// Where the host's handlers are listed.
const HOST: &str = "/proc/sys/fs/binfmt_misc";

/// Runs what it can of other processors' programs.
#[derive(Debug)]
pub struct Emulation {
    scratch: PathBuf,
    search: Search,
    /// Held until the build is over: with it go the emulators that were registered.
    namespace: Mutex<Option<Namespace>>,
}

/// Who runs the programs of a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runner {
    /// The kernel, by itself or with a handler of the machine.
    Kernel,
    /// An emulator that was registered for this build.
    Emulator(PathBuf),
}

/// The programs of a platform do not run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrunnable {
    /// There is no emulator.
    #[error(
        "this step runs programs for {platform}, and there is no emulator for them on this machine ({host})\n\
         help: install one: apt-get install qemu-user-static (from Debian 13 on: qemu-user-binfmt)\n\
         help: {CROSS}",
        host = Platform::host()
    )]
    NoEmulator {
        /// The platform.
        platform: Platform,
    },
    /// There is one, and the kernel does not let it be used.
    #[error(
        "this step runs programs for {platform}, and the emulator {} is not registered for them on this \
         machine ({host})\n\
         help: as root: systemctl restart systemd-binfmt; from Linux 6.7 on touchmark does without root\n\
         help: {CROSS}",
        emulator.display(),
        host = Platform::host()
    )]
    NotRegistered {
        /// The platform.
        platform: Platform,
        /// What could run its programs.
        emulator: PathBuf,
    },
}

/// What needs no emulator.
const CROSS: &str = "or cross-compile: begin the stages that RUN with FROM --platform=$BUILDPLATFORM, take ARG \
                     TARGETARCH, and COPY --from them into a stage without RUN";

impl Unrunnable {
    /// The platform.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        match self {
            Self::NoEmulator { platform } | Self::NotRegistered { platform, .. } => platform,
        }
    }
}

impl Emulation {
    /// Tries programs below `scratch`, and looks for emulators in `programs`, directories.
    #[must_use]
    pub fn new(scratch: &Path, programs: Vec<PathBuf>) -> Self {
        let search = Search { host: HOST.into(), programs };
        Self { scratch: scratch.to_owned(), search, namespace: Mutex::default() }
    }

    /// Sees to it that steps for these platforms can run, and says by what each of them does. Blocks for
    /// some milliseconds. Must be called inside the worker.
    ///
    /// # Errors
    /// The first platform whose programs do not run.
    pub fn ready(&self, platforms: &[Platform]) -> Result<Vec<Runner>, Unrunnable> {
        let host = Platform::host();
        let foreign: Vec<&Platform> =
            platforms.iter().filter(|one| one.architecture != host.architecture).collect();
        let settled = |platform: &Platform| {
            let machine = Machine::of(&platform.architecture);
            machine.is_some_and(|machine| {
                let kernels = host.runs(platform) || self.search.handles(machine);
                kernels && probe::runs(machine, &self.scratch)
            })
        };
        if foreign.iter().all(|platform| settled(platform)) {
            return Ok(platforms.iter().map(|_| Runner::Kernel).collect());
        }
        if let Some(runners) = self.register(platforms) {
            return Ok(runners);
        }
        for platform in foreign {
            let machine = Machine::of(&platform.architecture);
            // A handler that is listed nowhere, as in a container whose host registered it, does too.
            if !machine.is_some_and(|machine| probe::runs(machine, &self.scratch)) {
                return Err(self.unrunnable(platform, machine));
            }
        }
        Ok(platforms.iter().map(|_| Runner::Kernel).collect())
    }

    /// Registers emulators in the worker's user namespace. That hides the machine's handlers, so it is all
    /// platforms or none.
    fn register(&self, platforms: &[Platform]) -> Option<Vec<Runner>> {
        let namespace = Namespace::mount(&self.scratch).ok()?;
        let mut runners = Vec::with_capacity(platforms.len());
        for platform in platforms {
            let machine = Machine::of(&platform.architecture);
            let emulator = match Platform::host().runs(platform) {
                true => None,
                false => Some(self.search.emulator(machine?)?),
            };
            if let Some(emulator) = &emulator {
                namespace.register(machine?, emulator).ok()?;
            }
            if platform.architecture != Platform::host().architecture
                && !probe::runs(machine?, &self.scratch)
            {
                return None;
            }
            runners.push(emulator.map_or(Runner::Kernel, Runner::Emulator));
        }
        *self.namespace.lock().unwrap_or_else(PoisonError::into_inner) = Some(namespace);
        Some(runners)
    }

    fn unrunnable(&self, platform: &Platform, machine: Option<&Machine>) -> Unrunnable {
        let platform = platform.clone();
        match machine.and_then(|machine| self.search.emulator(machine)) {
            Some(emulator) => Unrunnable::NotRegistered { platform, emulator },
            None => Unrunnable::NoEmulator { platform },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_runs_its_own_programs() {
        let scratch = tempfile::tempdir().unwrap();
        let emulation = Emulation::new(scratch.path(), Vec::new());
        let host = Platform::host();
        assert_eq!(emulation.ready(&[host.clone(), host]), Ok(vec![Runner::Kernel; 2]));
        assert_eq!(emulation.ready(&[]), Ok(Vec::new()));
    }

    #[test]
    fn a_processor_that_nobody_knows_has_no_emulator() {
        let scratch = tempfile::tempdir().unwrap();
        let emulation = Emulation::new(scratch.path(), vec!["/nowhere".into()]);
        let error = emulation.ready(&["linux/toaster".parse().unwrap()]).unwrap_err();
        let host = Platform::host();
        assert_eq!(
            error.to_string(),
            format!(
                "this step runs programs for linux/toaster, and there is no emulator for them on this machine ({host})\n\
                 help: install one: apt-get install qemu-user-static (from Debian 13 on: qemu-user-binfmt)\n\
                 help: or cross-compile: begin the stages that RUN with FROM --platform=$BUILDPLATFORM, take ARG \
                 TARGETARCH, and COPY --from them into a stage without RUN"
            )
        );
    }

    #[test]
    fn an_emulator_that_root_has_to_register_is_named() {
        let platform = "linux/arm64".parse().unwrap();
        let error =
            Unrunnable::NotRegistered { platform, emulator: "/usr/bin/qemu-aarch64-static".into() };
        let text = error.to_string();
        let (first, help) = text.split_once('\n').unwrap();
        assert!(
            first.contains("the emulator /usr/bin/qemu-aarch64-static is not registered"),
            "{first}"
        );
        assert!(help.starts_with("help: as root: systemctl restart systemd-binfmt;"), "{help}");
    }
}
