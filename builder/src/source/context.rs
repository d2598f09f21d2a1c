//! Where copied files come from: the build context on disk, or the root of a stage.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    error::SourceError,
    ignore::Ignore,
    path::{below_root, text},
    rooted::{Meta, Rooted},
    survey::{Item, Survey},
};

/// A build context: a directory and its ignore file. Nothing outside of the directory is read.
#[derive(Debug)]
pub struct Context {
    dir: PathBuf,
    ignore: Option<Ignore>,
    /// What is added to an owner's id on disk, where the context keeps owners: an archive does.
    owner_shift: Option<u32>,
    /// The last look at it.
    survey: Mutex<Option<Arc<Survey>>>,
}

impl Context {
    /// A context with these ignore rules, as [`Ignore::load`] finds them.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn open(dir: impl Into<PathBuf>, ignore: Option<Ignore>) -> Result<Self, SourceError> {
        let dir = dir.into();
        Rooted::open(&dir).map_err(SourceError::io("open the build context", &dir))?;
        Ok(Self { dir, ignore, owner_shift: None, survey: Mutex::default() })
    }

    /// The same, but its files keep their owners, which on disk are the archive's ids + `shift`.
    #[must_use]
    pub fn with_owners(self, shift: u32) -> Self {
        Self { owner_shift: Some(shift), ..self }
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The rules of the ignore file, if there is one.
    #[must_use]
    pub fn ignore(&self) -> Option<&Ignore> {
        self.ignore.as_ref()
    }

    /// The context as a source of files.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn root(&self) -> Result<SourceRoot<'_>, SourceError> {
        let root = SourceRoot::context(&self.dir, self.ignore.as_ref())?;
        Ok(SourceRoot { owner_shift: self.owner_shift, ..root })
    }

    /// A look at the context: the one that was taken before, if there is one.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn survey(&self) -> Result<Arc<Survey>, SourceError> {
        let mut survey = self.survey.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(survey) = &*survey {
            return Ok(survey.clone());
        }
        let io = || SourceError::io("read the build context", &self.dir);
        let rooted = Rooted::open(&self.dir).map_err(io())?;
        let taken = Arc::new(Survey::of(&rooted, self.ignore.as_ref()).map_err(io())?);
        *survey = Some(taken.clone());
        Ok(taken)
    }

    /// Something is not as `survey` has it: who asks next looks anew.
    pub fn forget(&self, survey: &Arc<Survey>) {
        let mut known = self.survey.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, survey)) {
            *known = None;
        }
    }

    /// The context as it was at that look. A file that is not as it was then cannot be read through it.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn at(&self, survey: &Arc<Survey>) -> Result<SourceRoot<'_>, SourceError> {
        Ok(SourceRoot { survey: Some(survey.clone()), ..self.root()? })
    }
}

/// A tree that files are copied from.
#[derive(Debug)]
pub struct SourceRoot<'a> {
    pub(super) rooted: Rooted,
    pub(super) owner_shift: Option<u32>,
    pub(super) ignore: Option<&'a Ignore>,
    /// The look that everything is taken from; without one, the disk is asked.
    pub(super) survey: Option<Arc<Survey>>,
    place: String,
}

impl<'a> SourceRoot<'a> {
    /// A build context: its files belong to 0:0 wherever they are copied.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn context(dir: &Path, ignore: Option<&'a Ignore>) -> Result<Self, SourceError> {
        let rooted = Rooted::open(dir).map_err(SourceError::io("open the build context", dir))?;
        let place = "the build context".into();
        Ok(Self { rooted, owner_shift: None, ignore, survey: None, place })
    }

    /// The mounted root of a stage or image: its files keep their owners, which on disk are the
    /// image's ids + `shift`. `place` names it in messages, such as `stage 'build'`.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn stage(dir: &Path, shift: u32, place: impl Into<String>) -> Result<Self, SourceError> {
        let rooted = Rooted::open(dir).map_err(SourceError::io("open the root of", dir))?;
        let (owner_shift, place) = (Some(shift), place.into());
        Ok(Self { rooted, owner_shift, ignore: None, survey: None, place })
    }

    /// What the tree is called in messages.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Where `path` leads in the tree, links resolved: relative to its root, and without links.
    ///
    /// # Errors
    /// When nothing is there, or an ignore rule hides it.
    pub fn locate(&self, path: &str) -> Result<PathBuf, SourceError> {
        self.find(path, &below_root(Path::new(path)))
    }

    /// The same, for another thread.
    pub(super) fn again(&self) -> SourceRoot<'a> {
        Self {
            rooted: self.rooted.again(),
            owner_shift: self.owner_shift,
            ignore: self.ignore,
            survey: self.survey.clone(),
            place: self.place.clone(),
        }
    }

    /// What the look has at `path`; `None` without one.
    ///
    /// # Errors
    /// [`SourceError::Changed`] when it has nothing there.
    pub(super) fn item(&self, path: &Path) -> Result<Option<&Item>, SourceError> {
        let Some(survey) = &self.survey else { return Ok(None) };
        match survey.find(path) {
            Some(item) => Ok(Some(item)),
            None => Err(SourceError::Changed { path: text(path).into_owned() }),
        }
    }

    /// Was nothing at `path` when the context was looked at, or nothing that is visible?
    pub(super) fn lacks(&self, path: &Path) -> bool {
        self.survey.as_ref().is_some_and(|survey| survey.find(path).is_none())
    }

    /// The facts about an entry that was there a moment ago.
    ///
    /// # Errors
    /// [`SourceError::Changed`] when it is not any more; those of the system.
    pub(super) fn meta(&self, path: &Path) -> Result<Meta, SourceError> {
        let io = || SourceError::io("read", self.rooted.path().join(path));
        if let Some(item) = self.item(path)? {
            return item.meta().map_err(io());
        }
        let meta = self.rooted.lstat(path).map_err(io())?;
        meta.ok_or_else(|| SourceError::Changed { path: text(path).into_owned() })
    }

    /// The owner in the image of a file with these ids on disk.
    pub(super) fn owner(&self, uid: u32, gid: u32) -> (u32, u32) {
        match self.owner_shift {
            Some(shift) => (uid.saturating_sub(shift), gid.saturating_sub(shift)),
            None => (0, 0),
        }
    }

    /// Resolves a source that the user named: links followed inside the tree, everything on the way
    /// visible. Errors name the pattern, and the rule that hides the file if one does.
    pub(super) fn find(&self, pattern: &str, path: &Path) -> Result<PathBuf, SourceError> {
        let io = || SourceError::io("read", self.rooted.path().join(path));
        let mut links = Vec::new();
        let found = self
            .rooted
            .resolve_each(path, true, &mut |link| links.push(link.to_owned()))
            .map_err(io())?;
        let exists = self.rooted.lstat(&found).map_err(io())?.is_some();
        for step in links.iter().chain([&found]) {
            if exists && let Some(error) = self.hidden(pattern, step)? {
                return Err(error);
            }
        }
        if exists {
            return Ok(found);
        }
        let (pattern, place) = (pattern.to_owned(), self.place.clone());
        Err(match links.last() {
            Some(last) if last == path => {
                SourceError::DanglingLink { pattern, target: format!("/{}", text(&found)), place }
            }
            _ => SourceError::NotFound { pattern, place },
        })
    }

    /// The error for a source that the ignore file hides; a folder that holds visible files is not
    /// hidden.
    fn hidden(&self, pattern: &str, path: &Path) -> Result<Option<SourceError>, SourceError> {
        let Some(ignore) = self.ignore.filter(|_| !path.as_os_str().is_empty()) else {
            return Ok(None);
        };
        let Some(rule) = ignore.rule_for(&text(path)).0 else { return Ok(None) };
        if super::walk::holds_visible(self, path)? {
            return Ok(None);
        }
        Ok(Some(ignore.explain(pattern, rule)))
    }
}
