//! A repository over HTTP as hosting services serve it: git's own server program behind a loopback port.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    git_origin::{advance, repository},
    impostor::{Impostor, Reply, Request},
};

/// `/team/app.git`, and files beside it. Gone on drop.
pub struct SmartGit {
    server: Impostor,
    commit: String,
    dir: TempDir,
}

impl SmartGit {
    /// A repository whose one commit, `main`, holds `tree`; each of `files` is served at its path.
    #[must_use]
    pub fn start(tree: &[(&str, &str)], files: Vec<(String, Vec<u8>)>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (bare, commit) = repository(dir.path(), tree);
        let root = bare.parent().expect("has a parent").to_owned();
        let server = Impostor::start(move |request| {
            match files.iter().find(|(path, _)| *path == request.path) {
                Some((_, bytes)) => Reply::Whole(200, Vec::new(), bytes.clone()),
                None => backend(&root, request),
            }
        });
        Self { server, commit, dir }
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

    /// `main` gets a further commit, which holds `tree`; gives its id.
    #[must_use]
    pub fn advance(&self, tree: &[(&str, &str)]) -> String {
        advance(self.dir.path(), tree)
    }
}

/// Hands a request to `git http-backend` (CGI, RFC 3875).
fn backend(root: &std::path::Path, request: &Request) -> Reply {
    let Some(path) = request.path.strip_prefix("/team") else {
        return Reply::Whole(404, Vec::new(), b"no\n".to_vec());
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let header = |name: &str| {
        let found = request.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let mut child = Command::new("git")
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git runs");
    let _ = child.stdin.take().expect("piped").write_all(&request.body);
    let output = child.wait_with_output().expect("git ends").stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(output.len());
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let body = output.get(end + 4..).unwrap_or_default().to_vec();
    let status =
        head.lines().find_map(|line| line.strip_prefix("Status: ")?.get(..3)?.parse().ok());
    let headers = head.lines().filter(|line| !line.starts_with("Status:"));
    Reply::Whole(status.unwrap_or(200), headers.map(str::to_owned).collect(), body)
}
