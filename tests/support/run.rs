//! Runs a program with a time limit and keeps everything it said.

use std::{
    fmt,
    fs::File,
    os::unix::{fs::FileExt as _, process::ExitStatusExt as _},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a finished program said and returned.
#[derive(Clone)]
pub struct Output {
    /// Exit code; a signal counts as 128 + its number, as shells say it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Wall clock time.
    pub took: Duration,
}

impl Output {
    /// Fails unless the program returned 0.
    #[track_caller]
    #[must_use]
    pub fn succeeded(self) -> Self {
        self.returned(0)
    }

    /// Fails unless the program returned `code`.
    #[track_caller]
    #[must_use]
    pub fn returned(self, code: i32) -> Self {
        assert!(self.code == code, "expected exit code {code}\n{self:?}");
        self
    }

    /// Fails unless standard error holds `text`.
    #[track_caller]
    #[must_use]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected on standard error: {text}\n{self:?}");
        self
    }

    /// Whether either stream holds `text`.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        self.stdout.contains(text) || self.stderr.contains(text)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, stdout, stderr, took } = self;
        write!(f, "exit code {code} after {took:.1?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// A program that runs. Dropped while running, it is killed.
pub struct Running {
    child: Child,
    stdout: File,
    stderr: File,
    started: Instant,
    line: String,
}

/// Starts `command`. Its output goes to files, not pipes: a daemon that it leaves behind cannot hold us up.
pub fn start(mut command: Command) -> Running {
    let stdout = tempfile::tempfile().expect("a temporary file");
    let stderr = tempfile::tempfile().expect("a temporary file");
    let line = format!("{command:?}");
    command.stdin(Stdio::null());
    command.stdout(stdout.try_clone().expect("dup")).stderr(stderr.try_clone().expect("dup"));
    let child = command.spawn().unwrap_or_else(|error| panic!("{line}: {error}"));
    Running { child, stdout, stderr, started: Instant::now(), line }
}

impl Running {
    /// The process id. It stays the same when the program re-executes itself.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end; a program that takes longer than `limit` is killed and the test fails with its output.
    #[track_caller]
    #[must_use]
    pub fn wait(mut self, limit: Duration) -> Output {
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                let code =
                    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
                return self.output(code);
            }
            if self.started.elapsed() > limit {
                let _ = self.child.kill();
                let _ = self.child.wait();
                let output = self.output(-1);
                panic!("{} did not end within {limit:.0?}\n{output:?}", self.line);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// kill -9, now.
    pub fn kill(mut self) -> Output {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.output(137)
    }

    /// Waits until `seen` finds what it looks for; fails after `limit` or when the program ends before.
    #[track_caller]
    pub fn until<T>(&mut self, limit: Duration, mut seen: impl FnMut(&Output) -> Option<T>) -> T {
        loop {
            let output = self.output(-1);
            if let Some(found) = seen(&output) {
                return found;
            }
            let ended = self.child.try_wait().expect("wait").is_some();
            assert!(
                !ended && self.started.elapsed() < limit,
                "{}: never seen\n{output:?}",
                self.line
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn output(&mut self, code: i32) -> Output {
        // Read by position: the offset is shared with the program, which writes by it.
        let read = |file: &File| {
            let mut bytes = Vec::new();
            let mut chunk = vec![0; 1 << 16];
            while let Ok(count @ 1..) = file.read_at(&mut chunk, bytes.len() as u64) {
                bytes.extend_from_slice(&chunk[..count]);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (stdout, stderr) = (read(&self.stdout), read(&self.stderr));
        Output { code, stdout, stderr, took: self.started.elapsed() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
