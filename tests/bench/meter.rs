//! Runs a command and measures it: the clock, processor time, bytes written, and in runs of their own memory.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::processes::{Census, Owner, Usage};

/// Between two looks at the memory.
const PAUSE: Duration = Duration::from_millis(20);

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// From start to end, by the clock.
    pub(crate) wall: Duration,
    /// Processor time and bytes written, of the command and of the builder's daemons.
    pub(crate) usage: Usage,
    /// The most memory that all of them had at the same time; only where it was looked at.
    pub(crate) peak: Option<u64>,
    /// The most that they had before the command began.
    pub(crate) idle: Option<u64>,
}

/// Whether memory is looked at. That costs time, so it is not done in the runs whose time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    Time,
    Memory,
}

/// Runs `command` to its end.
///
/// # Errors
/// The end of what it said, when it does not return 0.
pub(crate) fn measure(owner: &Owner, watch: Watch, command: Command) -> Result<Measured, String> {
    measure_telling(owner, watch, command).map(|(measured, _)| measured)
}

/// The same, with what it said.
///
/// # Errors
/// The end of what it said, when it does not return 0.
pub(crate) fn measure_telling(
    owner: &Owner,
    watch: Watch,
    command: Command,
) -> Result<(Measured, String), String> {
    let mut census = Census::default();
    nix::unistd::sync();
    let idle = (watch == Watch::Memory).then(|| census.memory(owner));
    let before = census.usage(owner);
    let ((wall, said), peak) = match watch {
        Watch::Time => (told(command)?, None),
        Watch::Memory => {
            let (told, peak) = sampled(owner, command)?;
            (told, Some(peak))
        }
    };
    let usage = census.usage(owner).since(before);
    Ok((Measured { wall, usage, peak, idle }, said))
}

fn sampled(owner: &Owner, command: Command) -> Result<((Duration, String), u64), String> {
    let (over, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let done = thread::scope(|scope| {
        scope.spawn(|| {
            let mut census = Census::default();
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                peak.fetch_max(census.memory(owner), Ordering::Relaxed);
                thread::sleep(PAUSE.saturating_sub(begun.elapsed()));
            }
        });
        let done = told(command);
        over.store(true, Ordering::Relaxed);
        done
    });
    Ok((done?, peak.into_inner()))
}

/// Runs `command` to its end and says how long it took.
///
/// # Errors
/// The end of what it said, when it does not return 0.
pub(crate) fn run(command: Command) -> Result<Duration, String> {
    told(command).map(|(wall, _)| wall)
}

/// Runs `command` to its end and says how long it took and what it said.
///
/// # Errors
/// The end of what it said, when it does not return 0.
pub(crate) fn told(mut command: Command) -> Result<(Duration, String), String> {
    let mut output = tempfile::tempfile().expect("a temporary file");
    let copy = |file: &File| file.try_clone().expect("dup");
    command.stdin(Stdio::null()).stdout(copy(&output)).stderr(copy(&output));
    let begun = Instant::now();
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    let wall = begun.elapsed();
    let mut said = Vec::new();
    output.rewind().and_then(|()| output.read_to_end(&mut said)).expect("a temporary file");
    let said = String::from_utf8_lossy(&said).into_owned();
    if status.success() {
        return Ok((wall, said));
    }
    let lines: Vec<&str> = said.lines().collect();
    let end = lines[lines.len().saturating_sub(8)..].join("\n");
    Err(format!("{status}\n{end}"))
}
