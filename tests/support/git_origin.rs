//! A server with a git repository and files, on loopback, which keeps what it was asked for.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use tempfile::TempDir;

use crate::impostor::{Impostor, Reply, Request};

/// Files by path, and the repository `/team/app.git`, over HTTP without git's own server.
pub struct GitOrigin {
    server: Impostor,
    seen: Arc<Mutex<Vec<Request>>>,
    commit: String,
    _dir: TempDir,
}

/// When the repository's commit was made.
pub const COMMITTED: i64 = 1_234_567_890;

impl GitOrigin {
    /// Serves `files`, and a repository whose only commit, tagged `v1`, holds `tree`. A file `NAME!` is
    /// executable in it and has no `!`.
    #[must_use]
    pub fn start(files: &[(&str, Vec<u8>)], tree: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (bare, commit) = repository(dir.path(), tree);
        let files: BTreeMap<String, Vec<u8>> =
            files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone())).collect();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let heard = seen.clone();
        let server = Impostor::start(move |request| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
            answer(request, &files, &bare)
        });
        Self { server, seen, commit, _dir: dir }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// The id of the commit.
    #[must_use]
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// What was asked for so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A file has its own bytes as its validator.
fn answer(request: &Request, files: &BTreeMap<String, Vec<u8>>, bare: &Path) -> Reply {
    let path = request.path.split('?').next().unwrap_or_default();
    let missing = || Reply::Whole(404, Vec::new(), b"no\n".to_vec());
    if path == "/elsewhere" {
        return Reply::Whole(302, vec!["Location: http://elsewhere.example/f".into()], Vec::new());
    }
    if let Some(bytes) = files.get(path) {
        let etag = format!("\"{}\"", &crate::digest(bytes)[7..15]);
        let asked = request.headers.iter().find(|(name, _)| name == "if-none-match");
        if asked.is_some_and(|(_, value)| *value == etag) {
            return Reply::Whole(304, Vec::new(), Vec::new());
        }
        let headers = vec![
            format!("ETag: {etag}"),
            "Last-Modified: Fri, 13 Feb 2009 23:31:30 GMT".to_owned(),
        ];
        return Reply::Whole(200, headers, bytes.clone());
    }
    match path.strip_prefix("/team/app.git/").map(|rest| fs::read(bare.join(rest))) {
        Some(Ok(bytes)) => Reply::Whole(200, Vec::new(), bytes),
        _ => missing(),
    }
}

/// A bare repository below `dir` whose one commit holds `tree`, and the commit's id.
pub(crate) fn repository(dir: &Path, tree: &[(&str, &str)]) -> (PathBuf, String) {
    let work = dir.join("work");
    fs::create_dir(&work).expect("own directory");
    git(&work, &["init", "-q", "-b", "main"]);
    for (name, text) in tree {
        let path = work.join(name.trim_end_matches('!'));
        fs::create_dir_all(path.parent().expect("has a folder")).expect("own directory");
        fs::write(&path, text).expect("own file");
        let mode = if name.ends_with('!') { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod of an own file");
    }
    git(&work, &["add", "."]);
    git(&work, &["commit", "-qm", "first"]);
    git(&work, &["tag", "v1"]);
    let bare = dir.join("app.git");
    git(dir, &["clone", "-q", "--bare", "work", "app.git"]);
    git(&bare, &["update-server-info"]);
    let commit = git(&bare, &["rev-parse", "main"]);
    (bare, commit)
}

/// A further commit on `main` of what [`repository`] made in `dir`; gives its id.
pub(crate) fn advance(dir: &Path, tree: &[(&str, &str)]) -> String {
    let work = dir.join("work");
    for (name, text) in tree {
        fs::write(work.join(name), text).expect("own file");
    }
    git(&work, &["add", "."]);
    git(&work, &["commit", "-qm", "next"]);
    git(&work, &["push", "-q", "../app.git", "main"]);
    git(&dir.join("app.git"), &["rev-parse", "main"])
}

fn git(dir: &Path, arguments: &[&str]) -> String {
    let date = format!("{COMMITTED} +0000");
    let output = Command::new("git")
        .current_dir(dir)
        .args(["-c", "user.name=A", "-c", "user.email=a@b.example"])
        .args(["-c", "core.autocrlf=false"])
        .args(arguments)
        .env("GIT_COMMITTER_DATE", &date)
        .env("GIT_AUTHOR_DATE", &date)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
