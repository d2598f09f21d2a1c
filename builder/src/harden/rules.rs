//! The rules as data: what each is called, what it looks for, what it does at which level.

/// What a rule does at the baseline level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Changes the image.
    Fix,
    /// Changes the image where it can, else fails the build.
    FixOrFail,
    /// Fails the build.
    Fail,
}

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its number, stable across versions.
    pub id: &'static str,
    /// What it asks for, in one line.
    pub title: &'static str,
    /// What it does at baseline.
    pub effect: Effect,
}

/// Setuid and setgid files.
pub const SETUID: &str = "H01";
/// File capabilities.
pub const CAPABILITIES: &str = "H02";
/// Shells.
pub const SHELL: &str = "H03";
/// Network tools.
pub const NETWORK: &str = "H05";
/// Commands in shell form.
pub const SHELL_FORM: &str = "H18";
/// What the commands need.
pub const DANGLING: &str = "H23";
/// Inventory and tree.
pub const INVENTORY: &str = "H24";
/// Globs of the policy's `remove`.
pub const POLICY: &str = "policy";

/// The rules that are applied, in the order of their numbers.
pub const RULES: [Rule; 7] = [
    Rule { id: SETUID, title: "no layer holds a setuid or setgid file", effect: Effect::Fix },
    Rule { id: CAPABILITIES, title: "no layer holds file capabilities", effect: Effect::Fix },
    Rule {
        id: SHELL,
        title: "no layer holds a shell, a link to one or a copy of one",
        effect: Effect::Fix,
    },
    Rule { id: NETWORK, title: "no layer holds network or pivot tools", effect: Effect::Fix },
    Rule {
        id: SHELL_FORM,
        title: "no command is in shell form when the shell goes",
        effect: Effect::FixOrFail,
    },
    Rule {
        id: DANGLING,
        title: "what the commands start finds its interpreter and libraries",
        effect: Effect::Fail,
    },
    Rule {
        id: INVENTORY,
        title: "the package databases list what is in the image",
        effect: Effect::Fix,
    },
];

/// File names of shells. busybox and toybox are shells: one applet of theirs is enough.
pub const SHELLS: [&str; 26] = [
    "ash",
    "bash",
    "bash-static",
    "busybox",
    "busybox.static",
    "csh",
    "bsd-csh",
    "dash",
    "fish",
    "hush",
    "ksh",
    "ksh93",
    "lksh",
    "loksh",
    "mksh",
    "mksh-static",
    "oksh",
    "rbash",
    "rksh",
    "rzsh",
    "sh",
    "static-sh",
    "tcsh",
    "toybox",
    "zsh",
    "zsh-static",
];

/// File names of tools that fetch, listen, connect, or become another user.
pub const NETWORK_TOOLS: [&str; 20] = [
    "curl",
    "nc",
    "nc.openbsd",
    "nc.traditional",
    "ncat",
    "ncat.nmap",
    "netcat",
    "socat",
    "socat1",
    "su",
    "sudo",
    "sudoedit",
    "telnet",
    "telnet.netkit",
    "inetutils-telnet",
    "telnet-ssl",
    "wcurl",
    "wget",
    "wget2",
    "curl.static",
];

/// Byte strings that all occur in a program, whatever its file is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The program.
    pub program: &'static str,
    /// What it holds.
    pub marks: &'static [&'static [u8]],
}

/// Shells that are known by content: a renamed copy of a version that no other file in the image has.
pub const SIGNATURES: [Signature; 7] = [
    Signature { program: "bash", marks: &[b"@(#)Bash version", b"BASH_VERSINFO"] },
    Signature { program: "busybox", marks: &[b"BusyBox v", b"applet not found"] },
    Signature {
        program: "dash",
        marks: &[b"PS4=+ ", b"Illegal number: %s", b"Bad substitution", b"%s: not found"],
    },
    Signature { program: "ksh", marks: &[b"Version AJM 93"] },
    Signature { program: "mksh", marks: &[b"MIRBSD KSH"] },
    Signature { program: "toybox", marks: &[b"toybox", b"multicall binary"] },
    Signature { program: "zsh", marks: &[b"ZSH_EVAL_CONTEXT", b"ZSH_VERSION"] },
];

/// The rule that a file name falls under.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static str> {
    if SHELLS.contains(&name) {
        Some(SHELL)
    } else if NETWORK_TOOLS.contains(&name) {
        Some(NETWORK)
    } else {
        None
    }
}

/// Directories whose files are commands.
#[must_use]
pub fn in_command_directory(path: &str) -> bool {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    matches!(parent.rsplit('/').next(), Some("bin" | "sbin"))
}
