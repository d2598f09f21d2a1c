//! `[harden]`: how far the exported stage is stripped.

pub use touchmark_attest::predicate::hardening::Level;

use super::{
    fault::Faults,
    glob::Glob,
    section::{Section, Text},
};

/// What hardening does to the exported stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HardenPolicy {
    /// Which set of rules applies.
    pub level: Level,
    /// Paths that stay although a rule would remove or change them; each is in the signed report.
    pub keep: Vec<Glob>,
    /// Paths that go although no rule names them.
    pub remove: Vec<Glob>,
    /// What USER the image may have.
    pub user: UserRule,
}

/// The rule on the image's user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserRule {
    /// What the level says: `strict` requires a user other than root, `baseline` warns.
    ByLevel,
    /// A root user fails the build at every level but `off`.
    RequireNonroot,
    /// Root is accepted at every level.
    AllowRoot,
}

impl Default for HardenPolicy {
    fn default() -> Self {
        let (keep, remove) = (Vec::new(), Vec::new());
        Self { level: Level::default(), keep, remove, user: UserRule::ByLevel }
    }
}

impl HardenPolicy {
    pub(super) fn read(section: &Section<'_>, faults: &mut Faults<'_>) -> Self {
        section.only(&["level", "keep", "remove", "user"], faults);
        let levels = Level::ALL.map(|level| (level.as_str(), level));
        let users =
            [("require-nonroot", UserRule::RequireNonroot), ("allow-root", UserRule::AllowRoot)];
        let default = Self::default();
        Self {
            level: section.choice("level", &levels, faults).unwrap_or(default.level),
            keep: globs(section.texts("keep", faults), faults),
            remove: globs(section.texts("remove", faults), faults),
            user: section.choice("user", &users, faults).unwrap_or(default.user),
        }
    }
}

/// Path patterns, each bad one a fault.
pub(super) fn globs(texts: Option<Vec<Text<'_>>>, faults: &mut Faults<'_>) -> Vec<Glob> {
    let mut globs = Vec::new();
    for text in texts.unwrap_or_default() {
        match Glob::new(text.value) {
            Ok(glob) => globs.push(glob),
            Err(error) => {
                let help = "write an absolute path, as in \"/debian/**\" or \"/usr/bin/nc*\"";
                faults.add(text.span, error.to_string(), help.into());
            }
        }
    }
    globs
}
