//! Docker's credential helper protocol: `docker-credential-<name> get`, the server's address on
//! standard input, JSON on standard output.

use std::{
    fmt,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;

use super::answer::printable;
use crate::secret::Secret;

/// What a helper answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HelperAnswer {
    /// User name, or `<token>` when the secret is an identity token.
    #[serde(default)]
    pub username: String,
    /// Password or identity token.
    #[serde(default)]
    pub secret: Secret,
}

/// Why there is no answer. The texts never hold what a helper printed as its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelperError {
    /// The helper knows nothing about this server; this is no fault.
    #[error("it knows no credentials for this registry")]
    Unknown,
    /// It could not be run.
    #[error("it could not be run: {0}")]
    NotRun(String),
    /// It said that it failed.
    #[error("it failed: {0}")]
    Failed(String),
    /// It did not end in time and was killed.
    #[error("it did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// What it printed is no answer.
    #[error("its output is not what docker-credential helpers print")]
    Malformed,
}

/// Runs credential helpers; the caller decides whether and how.
pub trait CredentialHelper: Send + Sync + fmt::Debug {
    /// Asks the helper `name` for `server`. May block, up to a time of its own choice.
    ///
    /// # Errors
    /// [`HelperError::Unknown`] when there are none, the others when something went wrong.
    fn get(&self, name: &str, server: &str) -> Result<HelperAnswer, HelperError>;
}

/// Runs the programs `docker-credential-<name>` of the search path.
#[derive(Debug, Clone)]
pub struct HelperProcess {
    /// A helper that takes longer is killed; it may have to ask its user something.
    pub timeout: Duration,
}

impl Default for HelperProcess {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30) }
    }
}

const MAX_OUTPUT: u64 = 64 * 1024;

impl CredentialHelper for HelperProcess {
    fn get(&self, name: &str, server: &str) -> Result<HelperAnswer, HelperError> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(letter) {
            return Err(HelperError::NotRun("its name is not a plain word".into()));
        }
        self.run(Path::new(&format!("docker-credential-{name}")), server)
    }
}

impl HelperProcess {
    /// Runs one program; a name without a slash is looked for in the search path.
    pub(super) fn run(&self, program: &Path, server: &str) -> Result<HelperAnswer, HelperError> {
        let mut child = Command::new(program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| HelperError::NotRun(error.to_string()))?;
        let answer = self.converse(&mut child, server);
        if answer.is_err() {
            child.kill().ok();
        }
        child.wait().ok();
        answer
    }

    fn converse(&self, child: &mut Child, server: &str) -> Result<HelperAnswer, HelperError> {
        let deadline = Instant::now() + self.timeout;
        if let Some(mut input) = child.stdin.take() {
            // A helper that does not read has closed its end: its answer tells the rest.
            input.write_all(server.as_bytes()).ok();
        }
        let (sender, receiver) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            // The thread ends with the helper's output; a killed helper's output ends too.
            thread::spawn(move || {
                let mut bytes = Vec::new();
                output.take(MAX_OUTPUT).read_to_end(&mut bytes).ok();
                sender.send(bytes).ok();
            });
        }
        let timed_out = HelperError::TimedOut(self.timeout);
        let output = receiver.recv_timeout(self.timeout).map_err(|_| timed_out.clone())?;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                _ => return Err(timed_out),
            }
        };
        if status.success() {
            return serde_json::from_slice(&output).map_err(|_| HelperError::Malformed);
        }
        match printable(&String::from_utf8_lossy(&output)) {
            text if text.contains("credentials not found") => Err(HelperError::Unknown),
            text if text.is_empty() => Err(HelperError::Failed(status.to_string())),
            text => Err(HelperError::Failed(text)),
        }
    }
}
