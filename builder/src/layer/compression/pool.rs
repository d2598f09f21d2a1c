//! The threads that compress: one set for the whole process, so that sixteen layers at a time take no
//! more of the machine than one. They start when the first full block comes.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

type Job = Box<dyn FnOnce() + Send>;

/// More threads than this only wait for the digest of the blob.
const MAX_THREADS: usize = 8;
/// Blocks of all layers together that are under way per thread before their writers have to wait; of 1 MiB
/// each, and at most once more compressed. Enough that no thread waits for one, and no more.
const BLOCKS_EACH: usize = 8;

/// What `--jobs` allows; 0 is as many as there are processors.
static LIMIT: AtomicUsize = AtomicUsize::new(0);
static JOBS: OnceLock<Sender<Job>> = OnceLock::new();
/// Blocks under way.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

/// Compresses with at most this many threads, from the first block on; later calls change nothing.
pub fn limit_threads(threads: usize) {
    LIMIT.store(threads, Ordering::Relaxed);
}

/// The claim of one block on memory; given back when it is dropped.
pub(super) struct Claim(());

impl Claim {
    pub(super) fn take() -> Self {
        BLOCKS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// Are so many under way that a writer should wait for one of its own?
    pub(super) fn is_scarce() -> bool {
        BLOCKS.load(Ordering::Relaxed) >= BLOCKS_EACH * threads()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        BLOCKS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Does `work` on one of the threads; the result comes through the receiver, which only ends without one
/// when the work panicked.
pub(super) fn submit<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = channel();
    let job: Job = Box::new(move || {
        // Nobody waits any more when the layer was given up.
        let _ = sender.send(work());
    });
    let refused = JOBS.get_or_init(start).send(job);
    if let Err(refused) = refused {
        // Not one thread could be started.
        (refused.0)();
    }
    receiver
}

/// How many threads compress.
fn threads() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    let cores = *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from));
    match LIMIT.load(Ordering::Relaxed) {
        0 => cores.min(MAX_THREADS),
        limit => limit.min(cores).min(MAX_THREADS),
    }
}

fn start() -> Sender<Job> {
    let (sender, jobs) = channel::<Job>();
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..threads() {
        let jobs = jobs.clone();
        // Fewer threads are slower, none does the work where it is asked for.
        let _ = thread::Builder::new().name("compress".into()).spawn(move || work(&jobs));
    }
    sender
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A job that panics has dropped its sender, which tells its layer; the thread goes on.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}
