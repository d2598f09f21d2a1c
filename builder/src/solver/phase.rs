//! Work beside the steps, as events name it.

use std::fmt;

/// A piece of work beside the steps. Two that run at the same time differ in kind or subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase<'a> {
    /// What is done.
    pub kind: PhaseKind,
    /// What it is done to or for: a path, an image's name, a platform; empty where there is only one.
    pub subject: &'a str,
}

/// Kinds of work beside the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PhaseKind {
    /// Base images are looked up and, where the policy wants it, verified.
    Resolve,
    /// Layers that no step compressed are compressed, and joined with the configuration.
    Assemble,
    /// Layers are compressed in the form that an output wants.
    Compress,
    /// What the policy forbids leaves the image.
    Harden,
    /// The SBOM is made.
    Inventory,
    /// Statements are signed.
    Sign,
    /// A file or directory is written.
    Write,
    /// The image goes into another program's store on this machine.
    Load,
    /// The image goes to a registry.
    Push,
    /// What other machines came to is read.
    ReadCache,
    /// What the build came to is written for other machines.
    WriteCache,
}

impl PhaseKind {
    /// The kind as one word, for machines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Assemble => "assemble",
            Self::Compress => "compress",
            Self::Harden => "harden",
            Self::Inventory => "inventory",
            Self::Sign => "sign",
            Self::Write => "write",
            Self::Load => "load",
            Self::Push => "push",
            Self::ReadCache => "read-cache",
            Self::WriteCache => "write-cache",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Resolve => "looking up base images",
            Self::Assemble => "assembling the image",
            Self::Compress => "compressing",
            Self::Harden => "hardening",
            Self::Inventory => "taking the inventory",
            Self::Sign => "signing",
            Self::Write => "writing",
            Self::Load => "loading",
            Self::Push => "pushing",
            Self::ReadCache => "reading the shared cache",
            Self::WriteCache => "writing the shared cache",
        }
    }
}

impl<'a> Phase<'a> {
    /// The only one of its kind.
    #[must_use]
    pub fn only(kind: PhaseKind) -> Self {
        Self { kind, subject: "" }
    }

    /// One of several, told apart by `subject`.
    #[must_use]
    pub fn of(kind: PhaseKind, subject: &'a str) -> Self {
        Self { kind, subject }
    }
}

/// `pushing registry.example/app:1`
impl fmt::Display for Phase<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.words())?;
        if self.subject.is_empty() { Ok(()) } else { write!(f, " {}", self.subject) }
    }
}
