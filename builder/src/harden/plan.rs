//! From the selection to what is done with each entry of each layer, and the findings that say so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    facts::{Facts, Id},
    glob::Globs,
    packages::{self, Outcome, Removal, dpkg},
    report::{Action, Finding},
    rules,
    select::{Reason, Selection},
    survey::Survey,
};
use crate::layer::{
    member::{CAPABILITY_XATTR, Kind},
    tree::{Entry, LayerIndex, Tree},
};

/// What is done with one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// It is left out.
    Remove,
    /// A whiteout takes its place, because it hid something of a lower layer that must not come back.
    Hide,
    /// New metadata.
    Edit {
        /// The mode to write.
        mode: u32,
        /// Leave out the file capabilities.
        drop_capability: bool,
    },
    /// New content.
    Content(Vec<u8>),
}

/// What is done with all layers.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// By layer, then by position in its archive. A layer without changes keeps its blob.
    pub(super) changes: Vec<BTreeMap<usize, Change>>,
    pub(super) findings: Vec<Finding>,
    /// The merged tree as it will be.
    pub(super) tree: Tree,
}

/// All bits that let a program run as somebody else.
const SET_ID: u32 = 0o6000;

pub(super) struct Planner<'a> {
    layers: &'a [Arc<Facts>],
    survey: &'a Survey,
    selection: &'a Selection,
    keep: &'a Globs<'a>,
    removal: Removal,
    /// Architectures of the packages that go, by name.
    gone: BTreeMap<String, BTreeSet<String>>,
    /// The image as it was, up to the layer at hand.
    before: Tree,
    plan: Plan,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        layers: &'a [Arc<Facts>],
        survey: &'a Survey,
        selection: &'a Selection,
        keep: &'a Globs<'a>,
    ) -> Self {
        let mut removal = Removal::default();
        let mut gone: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (package, _) in &selection.packages {
            removal.packages.insert(package.key());
            if package.ecosystem == "deb" {
                let architectures = gone.entry(package.name.clone()).or_default();
                architectures.insert(package.architecture.clone());
            }
        }
        let kept: BTreeSet<&str> = selection.kept.keys().map(|id| survey.path(*id)).collect();
        let paths = selection.removed.keys().map(|id| survey.path(*id).to_owned());
        removal.paths = paths.filter(|path| !kept.contains(path.as_str())).collect();
        let (before, plan) = (Tree::default(), Plan::default());
        Self { layers, survey, selection, keep, removal, gone, before, plan }
    }

    pub(super) fn plan(mut self) -> Plan {
        for (number, facts) in self.layers.iter().enumerate() {
            self.layer(number, facts);
        }
        self.note_rpm();
        self.plan
    }

    /// rpm's database is binary and is left alone: what it says is then no longer true.
    fn note_rpm(&mut self) {
        let databases = ["var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"];
        let has_files = |path: &&&str| {
            self.before.below(path).any(|entry| matches!(entry.kind, Kind::File) && entry.size > 0)
        };
        let Some(path) = databases.iter().find(has_files) else { return };
        if !self.selection.removed.is_empty() {
            self.plan.findings.push(Finding {
                rule: rules::INVENTORY.into(),
                path: format!("/{path}"),
                layer: None,
                action: Action::Warned,
                sha256: None,
                old_mode: None,
                new_mode: None,
                detail: "the rpm database still lists what was removed".into(),
            });
        }
    }

    fn layer(&mut self, number: usize, facts: &Facts) {
        self.before.push(&facts.index);
        let mut changes = BTreeMap::new();
        let mut after = LayerIndex::default();
        for (position, entry) in facts.index.entries.iter().enumerate() {
            let id = (number, position);
            let change = self.change(id, entry, facts);
            match &change {
                Some(Change::Remove) => {}
                Some(Change::Hide) => {
                    let path = self.survey.path(id).to_owned();
                    after.entries.push(Entry { path, kind: Kind::Whiteout, ..entry.clone() });
                }
                Some(Change::Edit { mode, .. }) => {
                    after.entries.push(Entry { mode: *mode, ..entry.clone() });
                }
                Some(Change::Content(_)) | None => after.entries.push(entry.clone()),
            }
            changes.extend(change.map(|change| (position, change)));
        }
        if facts.index.trailing {
            self.plan.findings.push(Finding {
                rule: rules::INVENTORY.into(),
                path: "/".into(),
                layer: Some(number),
                action: Action::Removed,
                sha256: None,
                old_mode: None,
                new_mode: None,
                detail: "bytes after the end of the archive, which unpackers do not see".into(),
            });
        }
        self.plan.tree.push(&after);
        self.plan.changes.push(changes);
    }

    fn change(&mut self, id: Id, entry: &Entry, facts: &Facts) -> Option<Change> {
        if let Some(reason) = self.selection.removed.get(&id) {
            self.find(id, entry, Action::Removed, reason);
            return Some(self.removed(id));
        }
        if let Some(reason) = self.selection.kept.get(&id) {
            self.find(id, entry, Action::Kept, reason);
        }
        let path = self.survey.path(id);
        let hides = matches!(entry.kind, Kind::Whiteout | Kind::Opaque);
        if !hides && dpkg::is_info_of_gone(path, &self.gone) {
            return Some(self.gone(id, entry));
        }
        if let Some(content) = facts.contents.get(&id.1).filter(|_| packages::is_database(path)) {
            match packages::prune(path, content, &self.before, &self.removal) {
                Outcome::Same => {}
                Outcome::Gone => return Some(self.gone(id, entry)),
                Outcome::New(bytes) => {
                    let detail = "without the entries of what was removed".into();
                    let reason = Reason { rule: rules::INVENTORY, detail };
                    self.find(id, entry, Action::ContentChanged, &reason);
                    return Some(Change::Content(bytes));
                }
            }
        }
        self.edit(id, entry)
    }

    fn gone(&mut self, id: Id, entry: &Entry) -> Change {
        let detail = "database file of a removed package".into();
        self.find(id, entry, Action::Removed, &Reason { rule: rules::INVENTORY, detail });
        self.removed(id)
    }

    /// What it hid in the layers below would come back.
    fn removed(&self, id: Id) -> Change {
        match self.plan.tree.get(self.survey.path(id)) {
            Some(below) if below.position.is_some() => Change::Hide,
            _ => Change::Remove,
        }
    }

    fn edit(&mut self, id: Id, entry: &Entry) -> Option<Change> {
        let starts = !matches!(entry.kind, Kind::Directory | Kind::Symlink);
        let set_id = starts && entry.mode & SET_ID != 0;
        let capable = entry.xattrs.contains_key(CAPABILITY_XATTR);
        if !set_id && !capable {
            return None;
        }
        let pattern = self.keep.find(self.survey.path(id));
        for (applies, rule, action, what) in [
            (set_id, rules::SETUID, Action::ModeChanged, "setuid or setgid"),
            (capable, rules::CAPABILITIES, Action::CapabilitiesDropped, "file capabilities"),
        ] {
            let (action, detail) = match pattern {
                Some(pattern) => (Action::Kept, format!("{what}; the policy keeps '{pattern}'")),
                None => (action, what.to_owned()),
            };
            if applies {
                self.find(id, entry, action, &Reason { rule, detail });
            }
        }
        let mode = if set_id { entry.mode & !SET_ID } else { entry.mode };
        pattern.is_none().then_some(Change::Edit { mode, drop_capability: capable })
    }

    fn find(&mut self, id: Id, entry: &Entry, action: Action, reason: &Reason) {
        let new_mode = (action == Action::ModeChanged).then_some(entry.mode & !SET_ID);
        self.plan.findings.push(Finding {
            rule: reason.rule.into(),
            path: format!("/{}", self.survey.path(id)),
            layer: Some(id.0),
            action,
            sha256: entry.digest,
            old_mode: Some(entry.mode),
            new_mode,
            detail: reason.detail.clone(),
        });
    }
}
