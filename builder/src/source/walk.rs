//! One walk for the digest and for the copy, so that what is hashed is what is copied: sorted, links
//! not followed, hidden and unselected entries left out, and a folder told only when something in it
//! is.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use super::{
    context::SourceRoot,
    error::SourceError,
    path::text,
    pattern_set::{PatternSet, State},
    rooted::{Kind, Meta},
    survey::Item,
};

/// An entry that was selected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// Path below the root of the tree.
    pub(super) path: &'a Path,
    /// Path below the source that was named; empty for the source itself.
    pub(super) rel: &'a Path,
    pub(super) meta: &'a Meta,
    /// False for a folder that is there only because something in it was selected.
    pub(super) selected: bool,
    /// What the look at the context has of it, where there was one.
    pub(super) item: Option<&'a Item>,
}

impl Entry<'_> {
    /// Where it leads, for a link.
    pub(super) fn link(&self, root: &SourceRoot<'_>) -> Result<PathBuf, SourceError> {
        match self.item.and_then(Item::link) {
            Some(target) => Ok(target.to_owned()),
            None => {
                let target = root.rooted.read_link(self.path);
                target.map_err(SourceError::io("read the link", self.path))
            }
        }
    }
}

/// What to do with the selected entries, in the order of a depth-first walk.
pub(super) trait Visitor {
    /// A folder, before its entries.
    fn enter(&mut self, entry: &Entry<'_>) -> Result<(), SourceError>;
    /// Anything but a folder. `Break` ends the walk.
    fn leaf(&mut self, entry: &Entry<'_>) -> Result<(), SourceError>;
    /// A folder, after its entries.
    fn leave(&mut self, entry: &Entry<'_>) -> Result<(), SourceError>;
    /// Has the visitor seen enough?
    fn done(&self) -> bool {
        false
    }
}

/// What is selected below a source: `--parents` patterns and `--exclude` patterns.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub(super) include: Option<PatternSet>,
    pub(super) exclude: PatternSet,
}

/// The states of the three pattern sets for one folder.
#[derive(Debug, Clone, Default)]
struct States {
    ignore: State,
    include: State,
    exclude: State,
}

/// What the patterns say of one entry.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    /// Copied for its own sake.
    selected: bool,
    /// Matched by the ignore file.
    hidden: bool,
}

/// A folder on the way down, and what is left to do in it.
#[derive(Debug)]
struct Open<'a> {
    path: PathBuf,
    rel: PathBuf,
    meta: Meta,
    selected: bool,
    told: bool,
    states: States,
    item: Option<&'a Item>,
    names: Names<'a>,
}

/// The entries of a folder that are still to come.
#[derive(Debug)]
enum Names<'a> {
    Disk(std::vec::IntoIter<OsString>),
    Survey(std::slice::Iter<'a, Item>),
}

/// The next entry of a folder.
enum Next<'a> {
    Disk(OsString),
    Survey(&'a Item),
}

impl<'a> Names<'a> {
    fn next(&mut self) -> Option<Next<'a>> {
        match self {
            Self::Disk(names) => names.next().map(Next::Disk),
            Self::Survey(items) => items.next().map(Next::Survey),
        }
    }
}

impl<'a> Next<'a> {
    fn name(&self) -> &OsStr {
        match self {
            Self::Disk(name) => name,
            Self::Survey(item) => item.name(),
        }
    }

    fn item(&self) -> Option<&'a Item> {
        match self {
            Self::Disk(_) => None,
            Self::Survey(item) => Some(item),
        }
    }
}

struct Walk<'a, V> {
    root: &'a SourceRoot<'a>,
    filter: &'a Filter,
    visitor: &'a mut V,
    /// Not the call stack: the depth of a tree is input.
    open: Vec<Open<'a>>,
}

/// Walks the tree at `start` (without links in it) and tells `visitor` what is selected.
pub(super) fn walk<V: Visitor>(
    root: &SourceRoot<'_>,
    start: &Path,
    filter: &Filter,
    visitor: &mut V,
) -> Result<(), SourceError> {
    let mut states = States::default();
    let item = root.item(start)?;
    let mut hidden = item.is_some_and(Item::is_hidden);
    if item.is_none()
        && let Some(ignore) = root.ignore.filter(|_| !start.as_os_str().is_empty())
    {
        let (rule, state) = ignore.rule_for(&text(start));
        (hidden, states.ignore) = (rule.is_some(), state);
    }
    let mut walk = Walk { root, filter, visitor, open: Vec::new() };
    let verdict = Verdict { selected: !hidden, hidden };
    walk.visit((start.to_owned(), PathBuf::new(), item), verdict, states)?;
    while let Some(folder) = walk.open.last_mut() {
        let next = if walk.visitor.done() { None } else { folder.names.next() };
        match next {
            Some(next) => {
                let (name, item) = (next.name(), next.item());
                let (path, rel) = (folder.path.join(name), folder.rel.join(name));
                let (verdict, states) = judge(root, filter, (&path, &rel, item), &folder.states);
                walk.visit((path, rel, item), verdict, states)?;
            }
            None => {
                if let Some(folder) = walk.open.pop().filter(|folder| folder.told) {
                    walk.visitor.leave(&folder.entry())?;
                }
            }
        }
    }
    Ok(())
}

/// What the patterns say of an entry of the folder with these states.
fn judge(
    root: &SourceRoot<'_>,
    filter: &Filter,
    (path, rel, item): (&Path, &Path, Option<&Item>),
    states: &States,
) -> (Verdict, States) {
    let mut next = States::default();
    let mut verdict = Verdict { selected: true, hidden: false };
    if let Some(item) = item {
        verdict = Verdict { selected: !item.is_hidden(), hidden: item.is_hidden() };
    } else if let Some(ignore) = root.ignore {
        let (rule, state) = ignore.rules().step(&text(path), &states.ignore);
        (verdict.hidden, next.ignore) = (rule.is_some(), state);
        verdict.selected = !verdict.hidden;
    }
    if let Some(include) = &filter.include {
        let (rule, state) = include.step(&text(rel), &states.include);
        (verdict.selected, next.include) = (verdict.selected && rule.is_some(), state);
    }
    if !filter.exclude.is_empty() {
        let (rule, state) = filter.exclude.step(&text(rel), &states.exclude);
        (verdict.selected, next.exclude) = (verdict.selected && rule.is_none(), state);
    }
    (verdict, next)
}

impl<'a, V: Visitor> Walk<'a, V> {
    /// Tells one entry, or opens a folder.
    fn visit(
        &mut self,
        (path, rel, item): (PathBuf, PathBuf, Option<&'a Item>),
        verdict: Verdict,
        states: States,
    ) -> Result<(), SourceError> {
        let on_disk = || self.root.rooted.path().join(&path);
        let meta = match item {
            Some(item) => item.meta().map_err(SourceError::io("read", on_disk()))?,
            // It may have gone since its folder was read.
            None => self.root.meta(&path)?,
        };
        if !meta.is_dir() {
            if !verdict.selected || meta.kind == Kind::Socket {
                return Ok(());
            }
            self.tell_open()?;
            let entry = Entry { path: &path, rel: &rel, meta: &meta, selected: true, item };
            return self.visitor.leaf(&entry);
        }
        if !verdict.selected && !self.may_select_below((&path, &rel, item), verdict.hidden) {
            return Ok(());
        }
        let names = self.names(&path, item).map_err(SourceError::io("read", on_disk()))?;
        // A hidden folder with visible contents is an ordinary folder for the build.
        let ordinary = verdict.selected || (verdict.hidden && self.filter.include.is_none());
        let selected = ordinary;
        self.open.push(Open { path, rel, meta, selected, told: false, states, item, names });
        if verdict.selected { self.tell_open() } else { Ok(()) }
    }

    fn names(&self, path: &Path, item: Option<&'a Item>) -> std::io::Result<Names<'a>> {
        match (&self.root.survey, item) {
            (Some(survey), Some(item)) => Ok(Names::Survey(survey.items(item)?.iter())),
            _ => Ok(Names::Disk(self.root.rooted.names(path)?.into_iter())),
        }
    }

    /// Is it worth to look into this folder? Skips ignored and unselected ones that no pattern can
    /// reach into, such as an ignored `node_modules`.
    fn may_select_below(
        &self,
        (path, rel, item): (&Path, &Path, Option<&Item>),
        hidden: bool,
    ) -> bool {
        if hidden && let Some(item) = item {
            return item.is_open();
        }
        if hidden {
            return self.root.ignore.is_some_and(|i| i.rules().may_except_below(&text(path)));
        }
        let (rel, exclude) = (text(rel), &self.filter.exclude);
        let included = self.filter.include.as_ref().is_none_or(|set| {
            // Matched itself, then it was an exclude pattern that took it out.
            set.may_match_below(&rel) || set.rule_for(&rel).0.is_some()
        });
        included && (exclude.rule_for(&rel).0.is_none() || exclude.may_except_below(&rel))
    }

    /// Tells the folders on the way down that were held back.
    fn tell_open(&mut self) -> Result<(), SourceError> {
        for folder in self.open.iter_mut().filter(|folder| !folder.told) {
            folder.told = true;
            self.visitor.enter(&folder.entry())?;
        }
        Ok(())
    }
}

impl Open<'_> {
    fn entry(&self) -> Entry<'_> {
        let Self { path, rel, meta, selected, item, .. } = self;
        Entry { path, rel, meta, selected: *selected, item: *item }
    }
}

/// Is anything at or below this path visible for the build?
pub(super) fn holds_visible(root: &SourceRoot<'_>, path: &Path) -> Result<bool, SourceError> {
    struct Any(bool);
    impl Visitor for Any {
        fn enter(&mut self, _: &Entry<'_>) -> Result<(), SourceError> {
            self.0 = true;
            Ok(())
        }
        fn leaf(&mut self, _: &Entry<'_>) -> Result<(), SourceError> {
            self.0 = true;
            Ok(())
        }
        fn leave(&mut self, _: &Entry<'_>) -> Result<(), SourceError> {
            Ok(())
        }
        fn done(&self) -> bool {
            self.0
        }
    }
    if root.lacks(path) {
        return Ok(false);
    }
    let mut any = Any(false);
    walk(root, path, &Filter::default(), &mut any)?;
    Ok(any.0)
}

#[cfg(test)]
mod tests {
    use super::super::ignore::Ignore;
    use super::*;

    #[derive(Default)]
    struct List(Vec<String>);

    impl Visitor for List {
        fn enter(&mut self, entry: &Entry<'_>) -> Result<(), SourceError> {
            let mark = if entry.selected { "/" } else { "/?" };
            self.0.push(format!("{}{mark}", text(entry.rel)));
            Ok(())
        }
        fn leaf(&mut self, entry: &Entry<'_>) -> Result<(), SourceError> {
            self.0.push(text(entry.rel).into_owned());
            Ok(())
        }
        fn leave(&mut self, _: &Entry<'_>) -> Result<(), SourceError> {
            Ok(())
        }
    }

    fn list(ignore: &str, include: Option<&str>, exclude: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a", "b/c", "b/d/e", "b/d/f", "z/y"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        let ignore = Ignore::parse(ignore, ".dockerignore").unwrap();
        let root = SourceRoot::context(dir.path(), Some(&ignore)).unwrap();
        let filter = Filter {
            include: include.map(|text| PatternSet::new([text]).unwrap()),
            exclude: PatternSet::new(exclude.iter().copied()).unwrap(),
        };
        let mut list = List::default();
        walk(&root, Path::new(""), &filter, &mut list).unwrap();
        list.0
    }

    #[test]
    fn sorted_and_complete() {
        assert_eq!(
            list("", None, &[]),
            ["/", "a", "b/", "b/c", "b/d/", "b/d/e", "b/d/f", "z/", "z/y"]
        );
    }

    #[test]
    fn a_hidden_folder_appears_with_its_exceptions() {
        assert_eq!(list("*\n!b/d/e", None, &[]), ["/", "b/", "b/d/", "b/d/e"]);
        assert_eq!(list("b\nz", None, &[]), ["/", "a"]);
        assert_eq!(
            list("**/d\n!**/f", None, &[]),
            ["/", "a", "b/", "b/c", "b/d/", "b/d/f", "z/", "z/y"]
        );
    }

    #[test]
    fn includes_hold_parents_back_and_excludes_take_out() {
        assert_eq!(list("", Some("b/*/e"), &[]), ["/", "b/?", "b/d/?", "b/d/e"]);
        assert_eq!(list("", Some("b/d"), &[]), ["/", "b/?", "b/d/", "b/d/e", "b/d/f"]);
        assert_eq!(list("", Some("q/*"), &[]), ["/"]);
        assert_eq!(list("", None, &["b", "z/y"]), ["/", "a", "z/"]);
        assert_eq!(list("", None, &["b", "!b/d/e", "z"]), ["/", "a", "b/?", "b/d/?", "b/d/e"]);
    }
}
