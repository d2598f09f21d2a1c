//! Several threads that list the directories of a tree.

use std::{
    ffi::{OsStr, OsString},
    mem::MaybeUninit,
    num::NonZero,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, PoisonError},
    thread,
};

use rustix::{
    fs::{AtFlags, FileType, RawDir, readlinkat, statat},
    io::Errno,
};

use super::{
    super::{
        ignore::Ignore,
        path::text,
        pattern_set::State,
        rooted::{Kind, Meta, Rooted},
    },
    Folder, Item, Place,
};

/// More would wait for each other in the kernel.
const MAX_THREADS: usize = 4;
/// With fewer directories to go a second thread costs more than it brings.
const WORTH_A_THREAD: usize = 8;
/// Bytes of names that the kernel is asked for at once.
const NAMES: usize = 32 << 10;

/// How many threads look.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS)
}

/// A directory to list, and which patterns match it.
#[derive(Default)]
struct Task {
    place: Place,
    state: State,
}

#[derive(Default)]
struct Queue {
    tasks: Vec<Task>,
    /// Threads that may still find directories.
    busy: usize,
    /// The number of the next directory that is found.
    next: u32,
}

struct Lister<'a> {
    rooted: &'a Rooted,
    ignore: Option<&'a Ignore>,
    queue: Mutex<Queue>,
    more: Condvar,
}

/// All directories of a tree, by number.
pub(super) fn list(rooted: &Rooted, ignore: Option<&Ignore>, threads: usize) -> Vec<Folder> {
    let queue = Queue { tasks: vec![Task::default()], busy: 0, next: 1 };
    let lister = Lister { rooted, ignore, queue: Mutex::new(queue), more: Condvar::new() };
    let mut done = lister.work(true);
    thread::scope(|scope| {
        let enough = lister.lock().tasks.len() >= WORTH_A_THREAD;
        let helpers = if enough { threads.saturating_sub(1) } else { 0 };
        // Where the system gives no thread, there is one fewer.
        let helper = |_| thread::Builder::new().spawn_scoped(scope, || lister.work(false)).ok();
        let helpers: Vec<_> = (0..helpers).filter_map(helper).collect();
        done.extend(lister.work(false));
        for helper in helpers {
            match helper.join() {
                Ok(listed) => done.extend(listed),
                Err(cause) => std::panic::resume_unwind(cause),
            }
        }
    });
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, folder)| folder).collect()
}

impl Lister<'_> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists until nothing is left; `alone` only until there is enough for others.
    fn work(&self, alone: bool) -> Vec<(u32, Folder)> {
        let mut done = Vec::new();
        let mut names = Vec::with_capacity(NAMES);
        while let Some(task) = self.take(alone) {
            let listed = self.folder(&task, names.spare_capacity_mut());
            let (folder, found) = match listed {
                Ok((items, found)) => (Ok(items), found),
                Err(cause) => (Err(cause), Vec::new()),
            };
            done.push((task.place.number, self.add(folder, found)));
        }
        done
    }

    fn take(&self, alone: bool) -> Option<Task> {
        let mut queue = self.lock();
        loop {
            if alone && queue.tasks.len() >= WORTH_A_THREAD {
                return None;
            }
            if let Some(task) = queue.tasks.pop() {
                queue.busy += 1;
                return Some(task);
            }
            if queue.busy == 0 {
                return None;
            }
            queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives the directories that were `found` in `folder` their numbers.
    fn add(&self, mut folder: Folder, found: Vec<(Box<[u8]>, Task)>) -> Folder {
        let mut queue = self.lock();
        let first = queue.next;
        queue.next += u32::try_from(found.len()).unwrap_or(u32::MAX);
        if let Ok(items) = &mut folder {
            for (number, (name, task)) in (first..).zip(found) {
                let at = items.binary_search_by(|item| item.name.as_encoded_bytes().cmp(&name));
                if let Ok(at) = at {
                    items[at].folder = Some(number);
                    let place = Place { number, ..task.place };
                    queue.tasks.push(Task { place, ..task });
                }
            }
        }
        queue.busy -= 1;
        // Those who wait look whether there is something to do, or nothing any more.
        self.more.notify_all();
        folder
    }

    /// The entries of a directory, and those to go on with.
    #[allow(clippy::type_complexity, reason = "the two halves of one answer")]
    fn folder(
        &self,
        task: &Task,
        names: &mut [MaybeUninit<u8>],
    ) -> Result<(Vec<Item>, Vec<(Box<[u8]>, Task)>), Errno> {
        let dir = self.rooted.open_dir(&task.place.path)?;
        let (mut items, mut found) = (Vec::new(), Vec::new());
        let mut entries = RawDir::new(&dir, names);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let path = || task.place.path.join(OsStr::from_bytes(name));
            let (hidden, state) = match self.ignore {
                Some(ignore) => {
                    let (rule, state) = ignore.rules().step(&text(&path()), &task.state);
                    (rule.is_some(), state)
                }
                None => (false, State::default()),
            };
            let kind = entry.file_type();
            if hidden && !matches!(kind, FileType::Directory | FileType::Unknown) {
                continue;
            }
            let Some(item) = item(&dir, name, hidden) else { continue };
            let is_dir = item.seen.is_ok_and(|meta| meta.is_dir());
            if is_dir && (!hidden || self.may_except_below(&path())) {
                let place = Place { number: 0, path: path() };
                found.push((name.into(), Task { place, state }));
            }
            items.push(item);
        }
        items.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok((items, found))
    }

    fn may_except_below(&self, path: &Path) -> bool {
        self.ignore.is_some_and(|ignore| ignore.rules().may_except_below(&text(path)))
    }
}

/// One entry, unless it is gone again.
fn item(dir: &OwnedFd, name: &[u8], hidden: bool) -> Option<Item> {
    let mut item = Item::new(name, Err(Errno::NOENT), hidden);
    item.seen = statat(dir, &*item.name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Meta::of(&stat));
    if !hidden && item.seen.is_ok_and(|meta| meta.kind == Kind::Link) {
        match readlinkat(dir.as_fd(), &*item.name, Vec::new()) {
            Ok(target) => {
                let target = OsString::from_vec(target.into_bytes());
                item.link = Some(PathBuf::from(target).into_boxed_path());
            }
            Err(cause) => item.seen = Err(cause),
        }
    }
    (item.seen != Err(Errno::NOENT)).then_some(item)
}
