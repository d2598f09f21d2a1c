//! The default seccomp filter: a list of system calls, read from `seccomp/default.toml`.

use oci_spec::{
    OciSpecError,
    runtime::{
        Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
        LinuxSeccompOperator, LinuxSyscall,
    },
};
use serde::Deserialize;

const DEFAULT: &str = include_str!("seccomp/default.toml");

/// EPERM (errno(3)).
const EPERM: u32 = 1;

/// A profile text that is not understood; for the built-in one a test rules this out.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// It does not have the form of a profile.
    #[error("the seccomp profile is not readable: {0}")]
    Text(#[from] toml::de::Error),
    /// A rule makes no sense.
    #[error("the seccomp profile has an impossible rule: {0}")]
    Rule(#[from] OciSpecError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    allow: Vec<String>,
    #[serde(default)]
    rule: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    names: Vec<String>,
    action: Action,
    errno: Option<u32>,
    argument: Option<Argument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Allow,
    Errno,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Argument {
    index: usize,
    operator: Operator,
    value: u64,
    second: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Operator {
    Equal,
    NotEqual,
    MaskedEqual,
}

/// The filter for steps on a machine architecture ("x86_64", "aarch64"), with the 32-bit programs that such
/// a machine runs too. On another architecture only its own calls are filtered.
///
/// # Errors
/// Only when the built-in profile is damaged.
pub fn default_profile(architecture: &str) -> Result<LinuxSeccomp, SeccompError> {
    let profile: Profile = toml::from_str(DEFAULT)?;
    let mut allowed = LinuxSyscall::default();
    allowed.set_names(profile.allow).set_action(LinuxSeccompAction::ScmpActAllow);
    let mut syscalls = vec![allowed];
    for rule in profile.rule {
        syscalls.push(syscall(rule)?);
    }
    let architectures = match architecture {
        "x86_64" => vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32],
        "aarch64" => vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm],
        _ => Vec::new(),
    };
    let mut seccomp = LinuxSeccomp::default();
    seccomp
        .set_default_action(LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(Some(EPERM))
        .set_architectures((!architectures.is_empty()).then_some(architectures))
        .set_syscalls(Some(syscalls));
    Ok(seccomp)
}

/// A filter that lets nothing through.
pub(super) fn nothing() -> LinuxSeccomp {
    let mut seccomp = LinuxSeccomp::default();
    seccomp
        .set_default_action(LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(Some(EPERM))
        .set_architectures(None)
        .set_syscalls(None);
    seccomp
}

/// Names the default profile, for what was made from it.
pub(super) fn default_text() -> &'static str {
    DEFAULT
}

fn syscall(rule: Rule) -> Result<LinuxSyscall, OciSpecError> {
    let action = match rule.action {
        Action::Allow => LinuxSeccompAction::ScmpActAllow,
        Action::Errno => LinuxSeccompAction::ScmpActErrno,
    };
    let argument = rule.argument.as_ref().map(argument_of).transpose()?;
    let mut syscall = LinuxSyscall::default();
    syscall
        .set_names(rule.names)
        .set_action(action)
        .set_errno_ret(rule.errno)
        .set_args(argument.map(|argument| vec![argument]));
    Ok(syscall)
}

fn argument_of(argument: &Argument) -> Result<LinuxSeccompArg, OciSpecError> {
    let operator = match argument.operator {
        Operator::Equal => LinuxSeccompOperator::ScmpCmpEq,
        Operator::NotEqual => LinuxSeccompOperator::ScmpCmpNe,
        Operator::MaskedEqual => LinuxSeccompOperator::ScmpCmpMaskedEq,
    };
    let mut builder =
        LinuxSeccompArgBuilder::default().index(argument.index).value(argument.value).op(operator);
    if let Some(second) = argument.second {
        builder = builder.value_two(second);
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(name: &str) -> bool {
        let profile: Profile = toml::from_str(DEFAULT).unwrap();
        profile.allow.iter().any(|allowed| allowed == name)
    }

    #[test]
    fn what_a_build_needs_is_allowed() {
        for name in
            ["execve", "openat2", "setuid", "chroot", "mknod", "ptrace", "statx", "clock_gettime64"]
        {
            assert!(allowed(name), "{name}");
        }
    }

    #[test]
    fn what_reaches_the_machine_is_not() {
        for name in [
            "mount",
            "setns",
            "unshare",
            "bpf",
            "keyctl",
            "kexec_load",
            "init_module",
            "userfaultfd",
            "io_uring_setup",
            "open_by_handle_at",
            "perf_event_open",
            "clone",
            "clone3",
            "socket",
        ] {
            assert!(!allowed(name), "{name}");
        }
    }

    #[test]
    fn clone3_does_not_exist_so_that_the_library_falls_back() {
        let json = serde_json::to_value(default_profile("x86_64").unwrap()).unwrap();
        let rules = json["syscalls"].as_array().unwrap();
        let clone3 = rules.iter().find(|rule| rule["names"][0] == "clone3").unwrap();
        assert_eq!(clone3["action"], "SCMP_ACT_ERRNO");
        assert_eq!(clone3["errnoRet"], 38);
        assert_eq!(json["defaultErrnoRet"], 1);
        assert_eq!(json["architectures"][0], "SCMP_ARCH_X86_64");
    }
}
