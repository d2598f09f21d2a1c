//! One container: the runtime's process, what it prints, its end. Ended on every way out.

use std::{
    os::fd::{AsFd, OwnedFd},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::{
    fs::{Gid, Uid},
    process::{Pid, Signal},
};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::Receiver,
    process::{Child, Command},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{ExecError, ExitCode, OutputSink, Stream, runtime::Runtime, step_dir::StepDir};
use crate::{snapshot::OWNER_SHIFT, worker::process};

/// Between the polite signal and the one that cannot be refused.
const GRACE: Duration = Duration::from_secs(1);

/// How long to wait for the last output after all writers are gone.
const DRAIN: Duration = Duration::from_secs(5);

/// How long a step's first error output is kept back: it may be the runtime's, about to give up.
const DOUBT: Duration = Duration::from_millis(200);

/// A runtime that was started. When dropped before its end, because nobody waits any more, it is killed with
/// its container.
pub(super) struct Container<'a> {
    runtime: &'a Runtime,
    dir: &'a StepDir,
    child: Child,
    stdout: Receiver,
    stderr: Receiver,
}

impl<'a> Container<'a> {
    /// Starts the container that the step's directory describes.
    pub(super) fn start(runtime: &'a Runtime, dir: &'a StepDir) -> Result<Self, ExecError> {
        let fault = || ExecError::file("run", &runtime.program);
        let (stdout, out) = pipe().map_err(fault())?;
        let (stderr, err) = pipe().map_err(fault())?;
        let mut command = runtime.run(dir);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = Command::from(command).spawn().map_err(fault())?;
        Ok(Self { runtime, dir, child, stdout, stderr })
    }

    /// Passes its output on, and returns how it ended once all output was passed on.
    pub(super) async fn run(
        mut self,
        program: &str,
        output: &dyn OutputSink,
        cancel: &CancellationToken,
    ) -> Result<ExitCode, ExecError> {
        let mut held = Held::default();
        let ended = {
            let life = live(&mut self.child, cancel);
            let pump = pump(&mut self.stdout, &mut self.stderr, &mut held, output);
            tokio::pin!(life, pump);
            let mut drained = false;
            let ended = loop {
                tokio::select! {
                    ended = &mut life => break ended,
                    () = &mut pump, if !drained => drained = true,
                }
            };
            if !drained {
                let _ = timeout(DRAIN, pump).await;
            }
            ended
        };
        let (status, cancelled) =
            ended.map_err(ExecError::file("wait for", &self.runtime.program))?;
        if !status.success()
            && !cancelled
            && let Some(reason) = self.runtime.complaint(self.dir)
        {
            return Err(ExecError::from_runtime(&reason, program));
        }
        held.release(output);
        match cancelled {
            true => Err(ExecError::Cancelled),
            false => Ok(exit_code(status)),
        }
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        if let Some(pid) = self.child.id() {
            process::kill_tree(pid);
        }
    }
}

/// As a shell has it: 128 + n when signal n ended it, which the runtime hands on in this form.
fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let signalled = || status.signal().map(|signal| 128 + signal);
    let code = status.code().or_else(signalled).unwrap_or(1);
    ExitCode(u32::try_from(code).unwrap_or(1))
}

/// A pipe to be read here. Its inode belongs to the step's root, so that the step may open `/dev/stdout`.
fn pipe() -> std::io::Result<(Receiver, OwnedFd)> {
    let (ours, theirs) = std::io::pipe()?;
    let theirs = OwnedFd::from(theirs);
    let (uid, gid) = (Uid::from_raw(OWNER_SHIFT), Gid::from_raw(OWNER_SHIFT));
    rustix::fs::fchown(theirs.as_fd(), Some(uid), Some(gid))?;
    Ok((Receiver::from_owned_fd(OwnedFd::from(ours))?, theirs))
}

/// Waits for the end, on request with a push: the status, and whether it was pushed.
async fn live(
    child: &mut Child,
    cancel: &CancellationToken,
) -> std::io::Result<(ExitStatus, bool)> {
    tokio::select! {
        ended = child.wait() => return Ok((ended?, false)),
        () = cancel.cancelled() => {}
    }
    if let Some(pid) = child.id() {
        // The container's first process; one that is not there yet cannot be asked.
        process::children(pid).into_iter().for_each(|pid| signal(pid, Signal::TERM));
        if let Ok(ended) = timeout(GRACE, child.wait()).await {
            return Ok((ended?, true));
        }
        process::kill_tree(pid);
    }
    Ok((child.wait().await?, true))
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let _ = pid.map(|pid| rustix::process::kill_process(pid, signal));
}

/// The first bytes of standard error, as long as they may be the runtime's own: what it says it also writes
/// to its log, and gives up. A step writes more, or takes longer.
#[derive(Debug, Default)]
struct Held {
    first: Option<Vec<u8>>,
    since: Option<Instant>,
    over: bool,
}

impl Held {
    /// Keeps the step's first piece; whether it did.
    fn keep(&mut self, bytes: &[u8]) -> bool {
        let keep = !self.over && self.first.is_none();
        if keep {
            self.first = Some(bytes.to_owned());
            self.since = Some(Instant::now());
        }
        keep
    }

    /// Passes on what was kept; from now on nothing is.
    fn release(&mut self, output: &dyn OutputSink) {
        self.over = true;
        self.since = None;
        if let Some(first) = self.first.take() {
            output.bytes(Stream::Stderr, &first);
        }
    }

    /// When the doubt ends.
    async fn due(since: Option<Instant>) {
        match since {
            Some(since) => {
                let _ = timeout_at(since + DOUBT, std::future::pending::<()>()).await;
            }
            None => std::future::pending().await,
        }
    }
}

/// Passes both pipes on until all writers have closed them.
async fn pump(
    stdout: &mut Receiver,
    stderr: &mut Receiver,
    held: &mut Held,
    output: &dyn OutputSink,
) {
    let mut first = vec![0; 32 << 10];
    let mut second = vec![0; 32 << 10];
    let (mut out_open, mut err_open) = (true, true);
    while out_open || err_open {
        tokio::select! {
            read = stdout.read(&mut first), if out_open => {
                let bytes = read.ok().and_then(|count| first.get(..count)).unwrap_or_default();
                out_open = !bytes.is_empty();
                if out_open {
                    held.release(output);
                    output.bytes(Stream::Stdout, bytes);
                }
            }
            read = stderr.read(&mut second), if err_open => {
                let bytes = read.ok().and_then(|count| second.get(..count)).unwrap_or_default();
                err_open = !bytes.is_empty();
                if err_open && !held.keep(bytes) {
                    held.release(output);
                    output.bytes(Stream::Stderr, bytes);
                }
            }
            () = Held::due(held.since) => held.release(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<Vec<u8>>);

    impl OutputSink for Seen {
        fn bytes(&self, _: Stream, bytes: &[u8]) {
            self.0.lock().unwrap().extend(bytes);
        }
    }

    #[test]
    fn only_the_first_piece_is_held_and_nothing_is_lost() {
        let (mut held, seen) = (Held::default(), Seen::default());
        assert!(held.keep(b"a"));
        assert!(!held.keep(b"b"));
        held.release(&seen);
        held.release(&seen);
        assert!(!held.keep(b"c"), "once in doubt is enough");
        assert_eq!(*seen.0.lock().unwrap(), b"a");
    }
}
