//! Which commit a context is: for the default of SOURCE_DATE_EPOCH and for the provenance.
//!
//! The repository is input: its configuration may name programs that git would run (fsmonitor,
//! filters, hooks, signature checks, lazy fetches). Only plumbing that needs none of them is called,
//! with each of them switched off, without the caller's environment.

use std::{
    io::Read,
    path::Path,
    process::{Command, Stdio},
    thread,
};

/// What git says of a context directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitState {
    /// Full commit id of HEAD, 40 or 64 hex digits.
    pub commit: String,
    /// Committer time of that commit, in seconds since 1970.
    pub time: i64,
    /// Is there any change or untracked file in the context directory? True also when git could not
    /// say.
    pub dirty: bool,
    /// URL of the remote `origin`, without a user name or password in it.
    pub remote: Option<String>,
    /// Path of the context in the repository, without slashes at its ends; empty at its top.
    pub subdir: String,
    /// Did the command line name the repository, so that the commit was fetched for this build?
    pub fetched: bool,
}

/// Most that is read of an answer, in bytes. One byte of `status` is enough to be dirty.
const MAX_ANSWER: u64 = 64 << 10;

/// Asks the git program at `git` about the directory `context`; `None` when it is not in a work tree
/// or has no commit, or git cannot be run.
#[must_use]
pub fn inspect(git: &Path, context: &Path) -> Option<GitState> {
    // Most contexts are in none, and asking a program takes longer than looking.
    let context = &context.canonicalize().ok()?;
    if !context.ancestors().any(|place| place.join(".git").symlink_metadata().is_ok()) {
        return None;
    }
    let git = Git { program: git, context, filters: Vec::new() };
    // The prefix of the repository's top is an empty line, which `ask` takes off.
    let place = git.ask(&["rev-parse", "--is-inside-work-tree", "--show-prefix"])?;
    let (inside, subdir) = place.split_once('\n').unwrap_or((&place, ""));
    if inside != "true" {
        return None;
    }
    let (head, remote, dirty) = thread::scope(|scope| {
        let head = scope.spawn(|| git.ask(&["rev-list", "--max-count=1", "--timestamp", "HEAD"]));
        let remote = scope.spawn(|| git.ask(&["config", "--get", "remote.origin.url"]));
        let dirty = git.is_dirty();
        (head.join().ok().flatten(), remote.join().ok().flatten(), dirty)
    });
    let head = head?;
    let (time, commit) = head.split_once(' ')?;
    let hex = commit.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !hex || !matches!(commit.len(), 40 | 64) {
        return None;
    }
    let remote = remote.filter(|url| !url.is_empty());
    Some(GitState {
        commit: commit.to_owned(),
        time: time.parse().ok()?,
        dirty,
        remote: remote.map(|url| without_credentials(&url)),
        subdir: subdir.trim_matches('/').to_owned(),
        fetched: false,
    })
}

struct Git<'a> {
    program: &'a Path,
    context: &'a Path,
    /// `filter.<name>` sections whose programs are switched off.
    filters: Vec<String>,
}

impl GitState {
    /// The address by which a lock pins the commit; none where the context is a directory of this machine.
    #[must_use]
    pub fn locked_uri(&self) -> Option<String> {
        self.remote.as_ref().filter(|_| self.fetched).map(|remote| format!("git+{remote}"))
    }
}

impl Git<'_> {
    /// The answer without its final line break; `None` when git failed.
    fn ask(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(self.program);
        command.env_clear().current_dir(self.context).args(self.settings()).args(arguments);
        for (name, value) in [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("HOME", "/nonexistent"),
            ("LC_ALL", "C"),
        ] {
            command.env(name, value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let mut answer = Vec::new();
        let read = child.stdout.take()?.take(MAX_ANSWER).read_to_end(&mut answer);
        let success = child.wait().ok()?.success();
        let cut = answer.len() as u64 == MAX_ANSWER;
        if read.is_err() || !(success || cut) {
            return None;
        }
        let text = String::from_utf8(answer).ok()?;
        Some(text.trim_end_matches('\n').to_owned())
    }

    /// `-c` settings; they go over what the repository says.
    fn settings(&self) -> Vec<String> {
        let mut settings = vec!["--no-pager".to_owned()];
        let fixed = [
            "safe.directory=*",
            "safe.bareRepository=explicit",
            "core.fsmonitor=false",
            "core.untrackedCache=false",
            "core.hooksPath=/dev/null",
            "core.sshCommand=false",
            "core.pager=cat",
            "log.showSignature=false",
            "protocol.allow=never",
            "submodule.recurse=false",
            "diff.ignoreSubmodules=all",
        ];
        let mut set = |setting: String| settings.extend(["-c".to_owned(), setting]);
        fixed.iter().for_each(|setting| set((*setting).to_owned()));
        for filter in &self.filters {
            for key in ["clean", "smudge", "process"] {
                set(format!("{filter}.{key}="));
            }
            set(format!("{filter}.required=false"));
        }
        settings
    }

    /// Does the context differ from the commit? A file whose content filter is switched off may count
    /// as a change; the other way round is not possible.
    fn is_dirty(&self) -> bool {
        // Exit code 1: there is no such setting.
        let keys = self.ask(&["config", "--includes", "--name-only", "--get-regexp", r"^filter\."]);
        let mut filters: Vec<String> = keys
            .iter()
            .flat_map(|keys| keys.lines())
            .filter_map(|key| key.rsplit_once('.'))
            .map(|(section, _)| section.to_owned())
            .collect();
        filters.sort();
        filters.dedup();
        // A name with '=' cannot be switched off with -c; such a repository is not asked.
        if filters.iter().any(|filter| filter.contains('=')) {
            return true;
        }
        let quiet = Git { filters, ..*self };
        let status = quiet.ask(&[
            "status",
            "--porcelain=v1",
            "--untracked-files=normal",
            "--ignore-submodules=all",
            "--no-renames",
            "--",
            ".",
        ]);
        status.is_none_or(|changes| !changes.is_empty())
    }
}

/// `https://user:token@host/x` → `https://host/x`. An address in scp form (`git@host:x`) has no
/// password in it and stays.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIT: &str = "/usr/bin/git";

    /// A repository with one commit in it; `None` where there is no git.
    fn repository() -> Option<(tempfile::TempDir, &'static Path)> {
        let git = [GIT, "/usr/local/bin/git"].map(Path::new).into_iter().find(|p| p.exists());
        let Some(git) = git else {
            eprintln!("skipped: no git program");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/f"), "1").unwrap();
        std::fs::write(dir.path().join("g"), "1").unwrap();
        run(git, dir.path(), &["init", "-q"]);
        run(git, dir.path(), &["add", "."]);
        run(git, dir.path(), &["commit", "-qm", "first"]);
        Some((dir, git))
    }

    fn run(git: &Path, dir: &Path, arguments: &[&str]) {
        let date = "1234567890 +0200";
        let status = Command::new(git)
            .current_dir(dir)
            .args(["-c", "user.name=A", "-c", "user.email=a@b.example"])
            .args(arguments)
            .env("GIT_COMMITTER_DATE", date)
            .env("GIT_AUTHOR_DATE", date)
            .status();
        assert!(status.unwrap().success(), "{arguments:?}");
    }

    #[test]
    fn a_clean_tree_and_a_dirty_one() {
        let Some((dir, git)) = repository() else { return };
        let state = inspect(git, dir.path()).unwrap();
        assert_eq!((state.time, state.dirty, state.remote), (1_234_567_890, false, None));
        std::fs::write(dir.path().join("new"), "").unwrap();
        assert!(inspect(git, dir.path()).unwrap().dirty, "untracked files are in the context too");
        let sub = inspect(git, &dir.path().join("sub")).unwrap();
        assert_eq!((sub.subdir.as_str(), sub.dirty), ("sub", false), "only the context counts");
        std::fs::write(dir.path().join("sub/f"), "22").unwrap();
        assert!(inspect(git, &dir.path().join("sub")).unwrap().dirty);
    }

    #[test]
    fn the_remote_is_told_without_its_password() {
        let Some((dir, git)) = repository() else { return };
        let url = "https://user:token@git.example/a.git";
        run(git, dir.path(), &["remote", "add", "origin", url]);
        let state = inspect(git, dir.path()).unwrap();
        assert_eq!(state.remote.as_deref(), Some("https://git.example/a.git"));
        assert_eq!(without_credentials("git@host.example:a.git"), "git@host.example:a.git");
    }

    #[test]
    fn no_program_of_the_repository_is_run() {
        let Some((dir, git)) = repository() else { return };
        let marker = dir.path().join(".git/ran");
        let script = dir.path().join(".git/spy");
        std::fs::write(&script, format!("#!/bin/sh\ntouch '{}'\ncat\n", marker.display())).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode).unwrap();
        std::fs::create_dir_all(dir.path().join(".git/hooks")).unwrap();
        std::fs::copy(&script, dir.path().join(".git/hooks/post-index-change")).unwrap();
        let spy = script.to_str().unwrap();
        for key in ["core.fsmonitor", "filter.a.b.clean", "gpg.program"] {
            run(git, dir.path(), &["config", key, spy]);
        }
        run(git, dir.path(), &["config", "log.showSignature", "true"]);
        std::fs::write(dir.path().join(".git/info/attributes"), "* filter=a.b\n").unwrap();
        std::fs::write(dir.path().join("g"), "2").unwrap();
        assert!(inspect(git, dir.path()).unwrap().dirty);
        assert!(!marker.exists());
        // The trap is real: plain git steps into it.
        let plain = Command::new(git).current_dir(dir.path()).arg("status").output().unwrap();
        assert!(plain.status.success() && marker.exists());
    }

    #[test]
    fn no_repository_no_commit_no_git() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(inspect(Path::new("/nonexistent/git"), dir.path()), None);
        let Some((_, git)) = repository() else { return };
        assert_eq!(inspect(git, dir.path()), None);
        run(git, dir.path(), &["init", "-q"]);
        assert_eq!(inspect(git, dir.path()), None);
    }
}
