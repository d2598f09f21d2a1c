//! Digests of the contents of files: those that are known, and the others, which several threads read.

use std::{
    num::NonZero,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    context::SourceRoot,
    error::SourceError,
    rooted::{Kind, Meta},
    stat_cache::StatCache,
    steady,
    survey::Item,
    walk::{Entry, Filter, Visitor, walk},
};
use crate::oci::digest::Digest;

/// More threads would wait for the disk.
const MAX_THREADS: usize = 4;
/// Files that a thread takes at once, which mostly lie in the same folder.
const AT_ONCE: usize = 32;
/// With fewer bytes to read, a second thread costs more than it brings.
const WORTH_A_THREAD: u64 = 1 << 20;

/// The digest of an entry's contents, where it is known for what the entry is.
pub(super) fn known(
    root: &SourceRoot<'_>,
    entry: &Entry<'_>,
    cache: Option<&mut StatCache>,
) -> Option<Digest> {
    if let Some(digest) = entry.item.and_then(Item::digest) {
        return Some(digest);
    }
    // What is remembered of a file that has just changed proves nothing.
    let settled = root.survey.as_ref().is_none_or(|survey| survey.has_settled(entry.meta));
    cache.filter(|_| settled)?.get(entry.path, entry.meta)
}

/// Keeps a digest: for this build, and for later ones if whatever changes the file will show. Returns the one
/// that holds for this build.
pub(super) fn keep(
    root: &SourceRoot<'_>,
    entry: &Entry<'_>,
    cache: Option<&mut StatCache>,
    (digest, meta): (Digest, &Meta),
) -> Digest {
    let (Some(survey), Some(item)) = (&root.survey, entry.item) else {
        if let Some(cache) = cache {
            cache.put(entry.path, meta, digest);
        }
        return digest;
    };
    match cache.filter(|_| survey.has_settled(meta)) {
        Some(cache) => {
            cache.put(entry.path, meta, digest);
            digest
        }
        None => item.keep(digest),
    }
}

/// Reads the files of these walks whose contents are not known. What cannot be read is left for who asks for it.
///
/// # Errors
/// Those of the walks.
pub(super) fn read(
    root: &SourceRoot<'_>,
    walks: &[(&Path, Filter)],
    mut cache: Option<&mut StatCache>,
) -> Result<(), SourceError> {
    let Some(survey) = root.survey.clone() else { return Ok(()) };
    let mut unknown = Unknown { root, cache: cache.as_deref_mut(), files: Vec::new() };
    for (start, filter) in walks {
        walk(root, start, filter, &mut unknown)?;
    }
    let mut files = unknown.files;
    let bytes: u64 = files.iter().map(|(_, meta)| meta.size).sum();
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    if files.len() < 2 || threads < 2 || bytes < WORTH_A_THREAD {
        return Ok(());
    }
    // One that is large is begun first, or the others would be done long before it.
    files.sort_by_key(|(_, meta)| std::cmp::Reverse(meta.size / WORTH_A_THREAD));
    for (at, digest) in digests(root, &files, threads) {
        let (path, meta) = &files[at];
        if let Some(item) = survey.find(path) {
            let entry = Entry { path, rel: path, meta, selected: true, item: Some(item) };
            keep(root, &entry, cache.as_deref_mut(), (digest, meta));
        }
    }
    Ok(())
}

/// The digests of those files that can be read, by their place in the list.
fn digests(
    root: &SourceRoot<'_>,
    files: &[(PathBuf, Meta)],
    threads: usize,
) -> Vec<(usize, Digest)> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(files.len())));
    let large = files.iter().take_while(|(_, meta)| meta.size >= WORTH_A_THREAD).count();
    let work = || {
        let root = root.again();
        loop {
            let from = next.load(Ordering::Relaxed);
            let to = if from < large { from + 1 } else { files.len().min(from + AT_ONCE) };
            if from >= files.len() {
                return;
            }
            if next.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_err() {
                continue;
            }
            let read = (from..to).filter_map(|at| {
                let (path, meta) = &files[at];
                Some((at, steady::digest(&root, (path, meta)).ok()?.0))
            });
            let read: Vec<_> = read.collect();
            done.lock().unwrap_or_else(PoisonError::into_inner).extend(read);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Where the system gives no thread, there is one fewer.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Gathers the files whose contents are not known.
struct Unknown<'a> {
    root: &'a SourceRoot<'a>,
    cache: Option<&'a mut StatCache>,
    files: Vec<(PathBuf, Meta)>,
}

impl Visitor for Unknown<'_> {
    fn enter(&mut self, _: &Entry<'_>) -> Result<(), SourceError> {
        Ok(())
    }

    fn leaf(&mut self, entry: &Entry<'_>) -> Result<(), SourceError> {
        let unknown = entry.meta.kind == Kind::File
            && known(self.root, entry, self.cache.as_deref_mut()).is_none();
        if unknown {
            self.files.push((entry.path.to_owned(), *entry.meta));
        }
        Ok(())
    }

    fn leave(&mut self, _: &Entry<'_>) -> Result<(), SourceError> {
        Ok(())
    }
}
