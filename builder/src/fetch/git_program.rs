//! How git is run: without the user's or the system's configuration, without hooks, prompts, helpers and
//! protocols other than those of the network. Addresses and headers go by the environment, which nobody but
//! this user can read; the arguments of a process everybody can.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

/// The git program and what of the user's session it gets.
#[derive(Debug, Clone)]
pub struct GitProgram {
    /// Where it is.
    pub program: PathBuf,
    /// Where it finds its own helpers and ssh.
    pub search_path: OsString,
    /// The user's ssh agent.
    pub ssh_agent: Option<PathBuf>,
    /// The host keys that the user knows.
    pub known_hosts: Option<PathBuf>,
}

/// One repository's settings for git.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    /// Configuration by key, in this order; may hold secrets.
    pub(super) settings: Vec<(String, String)>,
    /// What no message may show.
    pub(super) hidden: Vec<(String, String)>,
    /// The largest file that may be written, in bytes.
    pub(super) limit: u64,
    /// The proxy on the way, as complaints show it.
    pub(super) through: Option<String>,
}

/// Most that is read of an answer, in bytes.
const MAX_ANSWER: u64 = 16 << 20;
/// Most that is read of a complaint, in bytes.
const MAX_COMPLAINT: u64 = 64 << 10;

/// What is set for every run.
const SETTINGS: [(&str, &str); 18] = [
    ("safe.directory", "*"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", "/bin/false"),
    ("core.autocrlf", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("credential.helper", ""),
    ("advice.detachedHead", "false"),
    ("core.logAllRefUpdates", "false"),
    ("gc.auto", "0"),
    // What is fetched stays one pack, and the same objects give the same one.
    ("fetch.unpackLimit", "1"),
    ("pack.threads", "1"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "120"),
    ("protocol.version", "2"),
];

impl GitProgram {
    /// Runs git in `directory` and gives its answer, or its complaint.
    pub(super) async fn run(
        &self,
        session: &Session,
        directory: &Path,
        arguments: &[&str],
    ) -> Result<String, String> {
        let mut command = self.command(session, directory);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error: std::io::Error| format!("git cannot be run: {error}");
        let mut child = command.spawn().map_err(failed)?;
        let _group = Group::of(child.id(), session.limit);
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (answer, complaint) = tokio::join!(read(out, MAX_ANSWER), read(err, MAX_COMPLAINT));
        let status: ExitStatus = child.wait().await.map_err(failed)?;
        match status.success() {
            true => String::from_utf8(answer).map_err(|_| "git's answer is not text".into()),
            false => Err(session.complaint(&complaint, status)),
        }
    }

    fn command(&self, session: &Session, directory: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(directory).env_clear().process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null());
        let known = self.known_hosts.as_deref().unwrap_or(Path::new("/dev/null"));
        let ssh = format!(
            "ssh -F none -o BatchMode=yes -o ConnectTimeout=15 -o UserKnownHostsFile='{}'",
            known.display().to_string().replace('\'', "")
        );
        for (name, value) in [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_TEMPLATE_DIR", ""),
            ("GIT_ALLOW_PROTOCOL", "http:https:git:ssh"),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("GIT_SSH_COMMAND", &ssh),
            ("HOME", "/nonexistent"),
            ("LC_ALL", "C"),
        ] {
            command.env(name, value);
        }
        command.env("PATH", &self.search_path);
        if let Some(agent) = &self.ssh_agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        let fixed = SETTINGS.iter().map(|(key, value)| (*key, *value));
        let own = session.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut count = 0;
        for (key, value) in fixed.chain(own) {
            command.env(format!("GIT_CONFIG_KEY_{count}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        command.env("GIT_CONFIG_COUNT", count.to_string());
        command
    }
}

impl Session {
    /// The line that says why, without what must not be shown.
    fn complaint(&self, bytes: &[u8], status: ExitStatus) -> String {
        let text = String::from_utf8_lossy(bytes);
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
        let said = lines().find(|line| line.starts_with("fatal:") || line.starts_with("error:"));
        let mut said = said.or_else(|| lines().next_back()).unwrap_or("").to_owned();
        for (secret, instead) in self.hidden.iter().filter(|(secret, _)| !secret.is_empty()) {
            said = said.replace(secret, instead);
        }
        let said: String = said.chars().filter(|c| !c.is_control()).take(500).collect();
        let said = said.trim_start_matches("fatal: ").trim_start_matches("error: ");
        let said =
            if said.is_empty() { format!("git ended with {status}") } else { said.to_owned() };
        match &self.through {
            Some(proxy) => format!("{said}, through {proxy}"),
            None => said,
        }
    }
}

/// git and the programs that it starts, which end with it: also when nobody waits any more.
struct Group(Option<Pid>);

impl Group {
    /// Bounds what the programs write, too: they inherit it.
    fn of(id: Option<u32>, limit: u64) -> Self {
        let id = id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let bound = Rlimit { current: Some(limit), maximum: Some(limit) };
        // A program that has ended already needs no bound.
        let _ = prlimit(id, Resource::Fsize, bound);
        Self(id)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads to the end, and keeps the first `max` bytes.
async fn read(stream: Option<impl AsyncRead + Unpin>, max: u64) -> Vec<u8> {
    let Some(mut stream) = stream else { return Vec::new() };
    let mut kept = Vec::new();
    // What cannot be read is missed by whoever needs the answer.
    let _ = (&mut stream).take(max).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    kept
}
