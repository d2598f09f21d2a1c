//! What COPY and ADD name: sources with wildcards, inline documents, `--exclude`, `--parents`.

use std::path::{Path, PathBuf};

use super::{
    context::SourceRoot,
    error::SourceError,
    path::{below_root, clean, text},
    pattern::{Pattern, has_wildcard},
    pattern_set::PatternSet,
    walk::{Filter, holds_visible},
};

/// The sources of one COPY or ADD instruction, expanded, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Paths in the source tree, with wildcards of Go's `filepath.Match`.
    pub sources: Vec<String>,
    /// Heredocs: file name and contents.
    pub inline: Vec<(String, Vec<u8>)>,
    /// `--exclude` patterns, in the language of ignore files, relative to each source. A file that
    /// is named, or found by a wildcard, is not concerned: BuildKit compares its path below itself.
    pub exclude: Vec<String>,
    /// `--parents`: keep the directories of a source; `/./` in it marks where they begin.
    pub parents: bool,
}

/// One file or directory that a source stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picked {
    /// The source as written.
    pub(super) pattern: String,
    /// The path that was named; its last name is the name of a copied file.
    pub(super) named: PathBuf,
    /// Where it is in the tree, links resolved.
    pub(super) path: PathBuf,
    /// `--parents`: what is selected below `path`, and must something be?
    pub(super) include: Option<(PatternSet, bool)>,
}

impl Picked {
    /// The filter for the walk at this source.
    pub(super) fn filter(&self, exclude: &PatternSet) -> Filter {
        Filter {
            include: self.include.as_ref().map(|(set, _)| set.clone()),
            exclude: exclude.clone(),
        }
    }
}

/// What the sources stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Picks {
    pub(super) picked: Vec<Picked>,
    /// Wildcard sources that matched nothing. As in BuildKit, this is no error.
    pub(super) unmatched: Vec<String>,
    pub(super) exclude: PatternSet,
}

impl Selection {
    /// Finds the sources in `root`.
    pub(super) fn pick(&self, root: &SourceRoot<'_>) -> Result<Picks, SourceError> {
        let mut picks = Picks {
            exclude: PatternSet::new(self.exclude.iter().map(String::as_str))?,
            ..Picks::default()
        };
        for source in &self.sources {
            let (base, include) =
                if self.parents { pivot(source)? } else { (source.clone(), None) };
            let rooted = clean(&format!("/{base}"));
            let matches = expand(root, source, &rooted)?;
            if matches.is_empty() {
                picks.unmatched.push(source.clone());
            }
            for named in matches {
                let path = root.find(source, &named)?;
                let (pattern, include) = (source.clone(), include.clone());
                picks.picked.push(Picked { pattern, named, path, include });
            }
        }
        Ok(picks)
    }
}

/// `--parents`: the directory to start from, what to take below it, and whether that must exist.
fn pivot(source: &str) -> Result<(String, Option<(PatternSet, bool)>), SourceError> {
    let (base, pattern) = source.split_once("/./").unwrap_or(("/", source));
    let pattern = clean(&format!("/{pattern}"));
    let pattern = pattern.trim_start_matches('/');
    if pattern.is_empty() {
        return Ok((base.into(), None));
    }
    let set = PatternSet::new([pattern])?;
    Ok((base.into(), Some((set, !has_wildcard(pattern)))))
}

/// The paths that a source stands for, not yet resolved. Without wildcards that is itself.
fn expand(root: &SourceRoot<'_>, source: &str, rooted: &str) -> Result<Vec<PathBuf>, SourceError> {
    let names: Vec<&str> = rooted.split('/').filter(|name| !name.is_empty()).collect();
    let plain = names.iter().take_while(|name| !has_wildcard(name)).count();
    let base = below_root(Path::new(&names[..plain].join("/")));
    if plain == names.len() {
        return Ok(vec![base]);
    }
    let patterns = names[plain..].iter().map(|name| Pattern::glob(name));
    let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
    let base = root.find(source, &base)?;
    let mut found = Vec::new();
    descend(root, &base, &patterns, &mut found)?;
    Ok(found)
}

/// Matches one name per level; links are not followed on the way, as in Go's `filepath.Walk`.
fn descend(
    root: &SourceRoot<'_>,
    folder: &Path,
    patterns: &[Pattern],
    found: &mut Vec<PathBuf>,
) -> Result<(), SourceError> {
    let Some((pattern, rest)) = patterns.split_first() else { return Ok(()) };
    let io = |path: &Path| SourceError::io("read", root.rooted.path().join(path));
    for name in root.rooted.names(folder).map_err(io(folder))? {
        if !pattern.matches(&name.to_string_lossy()) {
            continue;
        }
        let path = folder.join(&name);
        if rest.is_empty() {
            let hidden = root.ignore.is_some_and(|ignore| ignore.hides(&text(&path)));
            if !hidden || holds_visible(root, &path)? {
                found.push(path);
            }
        } else if root.rooted.lstat(&path).map_err(io(&path))?.is_some_and(|meta| meta.is_dir()) {
            descend(root, &path, rest, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::ignore::Ignore;
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a.go", "b.go", "sub/x/f", "sub/y/f", "sub/y/g", "hidden/h"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        symlink("sub/y", dir.path().join("link")).unwrap();
        symlink("nowhere", dir.path().join("dangling")).unwrap();
        symlink("hidden/h", dir.path().join("peek")).unwrap();
        dir
    }

    fn pick(source: &str) -> Result<Vec<String>, String> {
        let dir = tree();
        let ignore = Ignore::parse("# rules\nhidden\n", ".dockerignore").unwrap();
        let root = SourceRoot::context(dir.path(), Some(&ignore)).unwrap();
        let selection = Selection { sources: vec![source.into()], ..Selection::default() };
        match selection.pick(&root) {
            Ok(picks) => {
                let show = |p: Picked| format!("{}={}", text(&p.named), text(&p.path));
                Ok(picks.picked.into_iter().map(show).collect())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn wildcards_match_per_level() {
        assert_eq!(pick("*.go").unwrap(), ["a.go=a.go", "b.go=b.go"]);
        assert_eq!(pick("/sub/*/f").unwrap(), ["sub/x/f=sub/x/f", "sub/y/f=sub/y/f"]);
        assert_eq!(pick("./sub/[!x]").unwrap(), ["sub/x=sub/x"], "'!' is no negation in Go");
        assert_eq!(pick("*.none").unwrap(), Vec::<String>::new());
        assert_eq!(pick("hid*").unwrap(), Vec::<String>::new(), "a hidden folder does not exist");
    }

    #[test]
    fn named_links_are_followed_inside_the_tree() {
        assert_eq!(pick("link/g").unwrap(), ["link/g=sub/y/g"]);
        assert_eq!(pick("lin?").unwrap(), ["link=sub/y"]);
        assert_eq!(pick("../../sub/x").unwrap(), ["sub/x=sub/x"]);
    }

    #[test]
    fn what_is_not_there_is_explained() {
        assert_eq!(pick("c.go").unwrap_err(), "'c.go' was not found in the build context");
        assert_eq!(
            pick("hidden/h").unwrap_err(),
            "'hidden/h' is hidden by the rule 'hidden' in line 2 of .dockerignore"
        );
        assert_eq!(
            pick("peek").unwrap_err(),
            "'peek' is hidden by the rule 'hidden' in line 2 of .dockerignore"
        );
        assert_eq!(
            pick("dangling").unwrap_err(),
            "'dangling' is a symbolic link to '/nowhere', which was not found in the build context"
        );
        assert_eq!(pick("no/*.c").unwrap_err(), "'no/*.c' was not found in the build context");
    }
}
