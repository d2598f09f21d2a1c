//! Chooses the entries that go: by name, by content, by signature, by glob; then everything that is
//! linked to them, until nothing changes; then what is left of the packages whose program went.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    facts::{Facts, Id},
    glob::Globs,
    packages::Package,
    program::Program,
    rules,
    survey::Survey,
};
use crate::{
    layer::{member::Kind, tree::Entry},
    oci::digest::Digest,
};

/// Why an entry goes or stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) rule: &'static str,
    pub(super) detail: String,
}

/// What was chosen.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) removed: BTreeMap<Id, Reason>,
    pub(super) kept: BTreeMap<Id, Reason>,
    /// Packages that go as a whole, with the rule of their program.
    pub(super) packages: Vec<(Package, &'static str)>,
}

/// The layers with what is known about them, and the policy's globs.
pub(super) struct Selector<'a> {
    layers: &'a [Arc<Facts>],
    survey: &'a Survey,
    keep: &'a Globs<'a>,
    remove: &'a Globs<'a>,
    /// Soft and hard edges by both ends.
    links_to: BTreeMap<Id, Vec<(Id, Kind)>>,
    targets: BTreeMap<Id, Vec<(Id, Kind)>>,
    chosen: Selection,
}

impl<'a> Selector<'a> {
    pub(super) fn new(
        layers: &'a [Arc<Facts>],
        survey: &'a Survey,
        keep: &'a Globs<'a>,
        remove: &'a Globs<'a>,
    ) -> Self {
        let mut links_to: BTreeMap<Id, Vec<(Id, Kind)>> = BTreeMap::new();
        let mut targets: BTreeMap<Id, Vec<(Id, Kind)>> = BTreeMap::new();
        let hard = survey.hard.iter().map(|edge| (edge, Kind::Hardlink));
        for ((link, target), kind) in
            hard.chain(survey.soft.iter().map(|edge| (edge, Kind::Symlink)))
        {
            links_to.entry(*target).or_default().push((*link, kind));
            targets.entry(*link).or_default().push((*target, kind));
        }
        let chosen = Selection::default();
        Self { layers, survey, keep, remove, links_to, targets, chosen }
    }

    /// Chooses.
    pub(super) fn select(mut self) -> Selection {
        let candidates = self.candidates();
        self.keep_exceptions(&candidates);
        for (id, reason) in candidates {
            self.remove(id, reason);
        }
        self.spread(true);
        self.packages();
        self.spread(false);
        self.chosen
    }

    fn entry(&self, (layer, position): Id) -> Option<&'a Entry> {
        self.layers.get(layer)?.index.entries.get(position)
    }

    fn entries(&self) -> impl Iterator<Item = (Id, &'a Entry)> + use<'a> {
        self.layers.iter().enumerate().flat_map(|(layer, facts)| {
            let entries = facts.index.entries.iter().enumerate();
            entries.map(move |(position, entry)| ((layer, position), entry))
        })
    }

    fn slashed(&self, id: Id) -> String {
        format!("/{}", self.survey.path(id))
    }

    /// Entries that fall under a rule by themselves.
    fn candidates(&self) -> BTreeMap<Id, Reason> {
        let mut found = BTreeMap::new();
        for (id, entry) in self.entries() {
            if matches!(entry.kind, Kind::Directory | Kind::Whiteout | Kind::Opaque) {
                continue;
            }
            if let Some(reason) = self.reason(id, entry) {
                found.insert(id, reason);
            }
        }
        found
    }

    fn reason(&self, id: Id, entry: &Entry) -> Option<Reason> {
        if let Some(rule) = rules::by_name(entry.name()).filter(|_| self.is_command(id, entry)) {
            let noun = if rule == rules::SHELL { "a shell" } else { "a network or pivot tool" };
            return Some(Reason { rule, detail: format!("{noun} by its name") });
        }
        if let Some(Program::Elf(elf)) = self.layers[id.0].programs.get(&id.1)
            && let Some(shell) = elf.signature
        {
            let detail = format!("{shell} by its content");
            return Some(Reason { rule: rules::SHELL, detail });
        }
        let pattern = self.remove.find(self.survey.path(id))?;
        let detail = format!("the policy removes '{pattern}'");
        Some(Reason { rule: rules::POLICY, detail })
    }

    /// Can the entry be started? Completion scripts and documentation are named like commands, too.
    fn is_command(&self, id: Id, entry: &Entry) -> bool {
        match entry.kind {
            Kind::File => entry.is_executable(),
            Kind::Symlink | Kind::Hardlink => {
                let ends = self.targets.get(&id).into_iter().flatten();
                let mut ends = ends.filter_map(|(target, _)| self.entry(*target)).peekable();
                if ends.peek().is_none() {
                    return rules::in_command_directory(self.survey.path(id))
                        || entry.path.starts_with("etc/alternatives/");
                }
                let linked = |end: &Entry| end.is_executable() || end.kind == Kind::Hardlink;
                ends.any(linked) || entry.kind == Kind::Hardlink && entry.mode & 0o111 != 0
            }
            _ => false,
        }
    }

    /// Exceptions of the policy, and what the excepted links lead to.
    fn keep_exceptions(&mut self, candidates: &BTreeMap<Id, Reason>) {
        let mut pending = Vec::new();
        for (id, reason) in candidates {
            if let Some(pattern) = self.keep.find(self.survey.path(*id)) {
                let detail = format!("{}; the policy keeps '{pattern}'", reason.detail);
                pending.push((*id, Reason { rule: reason.rule, detail }));
            }
        }
        while let Some((id, reason)) = pending.pop() {
            for (target, _) in self.targets.get(&id).into_iter().flatten() {
                if !self.chosen.kept.contains_key(target) {
                    let detail = format!("the policy keeps '{}', a link to it", self.slashed(id));
                    pending.push((*target, Reason { rule: reason.rule, detail }));
                }
            }
            self.chosen.kept.entry(id).or_insert(reason);
        }
    }

    fn remove(&mut self, id: Id, reason: Reason) -> bool {
        if self.chosen.kept.contains_key(&id) || self.chosen.removed.contains_key(&id) {
            return false;
        }
        self.chosen.removed.insert(id, reason);
        true
    }

    /// Follows links, and with `copies` equal contents, from what is removed until nothing changes.
    fn spread(&mut self, copies: bool) {
        let mut by_digest: BTreeMap<Digest, Vec<Id>> = BTreeMap::new();
        for (id, entry) in self.entries().filter(|(_, entry)| copies && entry.size > 0) {
            if let Some(digest) = entry.digest {
                by_digest.entry(digest).or_default().push(id);
            }
        }
        let mut pending: Vec<Id> = self.chosen.removed.keys().copied().collect();
        while let Some(id) = pending.pop() {
            for (next, reason) in self.neighbours(id, &mut by_digest) {
                // What the policy keeps is not a candidate, but may be linked to one.
                let path = self.survey.path(next);
                let kept = self.keep.find(path).map(|pattern| Reason {
                    rule: reason.rule,
                    detail: format!("{}; the policy keeps '{pattern}'", reason.detail),
                });
                if let Some(kept) = kept {
                    self.chosen.kept.entry(next).or_insert(kept);
                } else if self.remove(next, reason) {
                    pending.push(next);
                }
            }
        }
    }

    fn neighbours(&self, id: Id, by_digest: &mut BTreeMap<Digest, Vec<Id>>) -> Vec<(Id, Reason)> {
        let (Some(entry), Some(reason)) = (self.entry(id), self.chosen.removed.get(&id)) else {
            return Vec::new();
        };
        let rule = reason.rule;
        let mut found = Vec::new();
        let mut add = |id: Id, detail: String| found.push((id, Reason { rule, detail }));
        for (link, _) in self.links_to.get(&id).into_iter().flatten() {
            add(*link, format!("a link to '{}'", self.slashed(id)));
        }
        for (target, kind) in self.targets.get(&id).into_iter().flatten() {
            // Two names of one file are one file. What a link called `sh` leads to is a shell; what
            // one called `nc` leads to may be anything.
            let shell = rules::by_name(entry.name()) == Some(rules::SHELL)
                && self.entry(*target).is_some_and(Entry::is_executable);
            if *kind == Kind::Hardlink || shell {
                add(*target, format!("'{}' is a link to it", self.slashed(id)));
            }
        }
        // Taken out of the map: the first copy leads to all others, so none of them need look again.
        let copies = entry.digest.and_then(|digest| by_digest.remove(&digest));
        for copy in copies.into_iter().flatten().filter(|copy| *copy != id) {
            add(copy, format!("the same content as '{}'", self.slashed(id)));
        }
        found
    }

    /// Removes the rest of each package whose main program went.
    fn packages(&mut self) {
        let gone: BTreeMap<&str, &'static str> =
            self.chosen.removed.iter().map(|(id, why)| (self.survey.path(*id), why.rule)).collect();
        let kept: BTreeSet<&str> =
            self.chosen.kept.keys().map(|id| self.survey.path(*id)).collect();
        let mut packages = Vec::new();
        for package in &self.survey.packages {
            if package.paths.iter().any(|path| kept.contains(path.as_str())) {
                continue;
            }
            packages.extend(package.program_gone(&gone).map(|rule| (package.clone(), rule)));
        }
        let keys: BTreeSet<_> = packages.iter().map(|(package, _)| package.key()).collect();
        let shared: BTreeSet<&str> = self
            .survey
            .packages
            .iter()
            .filter(|package| !keys.contains(&package.key()))
            .flat_map(|package| package.paths.iter().map(String::as_str))
            .collect();
        let mut owned: BTreeMap<&str, (&Package, &'static str)> = BTreeMap::new();
        for (package, rule) in &packages {
            for path in package.paths.iter().filter(|path| !shared.contains(path.as_str())) {
                owned.insert(path, (package, rule));
            }
        }
        self.remove_owned(&owned);
        self.chosen.packages = packages;
    }

    fn remove_owned(&mut self, owned: &BTreeMap<&str, (&Package, &'static str)>) {
        let mut directories = Vec::new();
        for (id, entry) in self.entries() {
            let path = self.survey.path(id);
            let Some((package, rule)) = owned.get(path) else { continue };
            let detail = format!("part of the removed package {}", package.name);
            let reason = Reason { rule, detail };
            match entry.kind {
                Kind::Whiteout | Kind::Opaque => {}
                _ if self.keep.find(path).is_some() => {
                    self.chosen.kept.entry(id).or_insert(reason);
                }
                Kind::Directory => directories.push((id, reason)),
                _ => {
                    self.remove(id, reason);
                }
            }
        }
        self.remove_empty(directories);
    }

    /// Removes the directories of removed packages in which nothing is left in any layer.
    fn remove_empty(&mut self, directories: Vec<(Id, Reason)>) {
        let candidates: BTreeSet<Id> = directories.iter().map(|(id, _)| *id).collect();
        let mut used: BTreeSet<&str> = BTreeSet::new();
        for (id, entry) in self.entries() {
            let hides = matches!(entry.kind, Kind::Whiteout | Kind::Opaque);
            if hides || candidates.contains(&id) || self.chosen.removed.contains_key(&id) {
                continue;
            }
            let mut path = self.survey.path(id);
            while let Some((parent, _)) = path.rsplit_once('/') {
                path = parent;
                if !used.insert(parent) {
                    break;
                }
            }
        }
        for (id, reason) in directories {
            if !used.contains(self.survey.path(id)) {
                self.remove(id, reason);
            }
        }
    }
}
