//! What git may not do, whatever a repository's address or configuration says.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Fetcher, Gate, GitProgram, credentials::Credentials, git::GitAsk, git_program::Session,
};
use crate::{
    content::store::ContentStore,
    egress::WayOut,
    policy::NetworkPolicy,
    remote::{GitAddress, Remote},
};

fn program() -> Option<GitProgram> {
    let program = ["/usr/bin/git", "/usr/local/bin/git"].map(PathBuf::from);
    let program = program.into_iter().find(|path| path.is_file());
    if program.is_none() {
        eprintln!("skipped: no git program");
    }
    let search_path = "/usr/local/bin:/usr/bin:/bin".into();
    Some(GitProgram { program: program?, search_path, ssh_agent: None, known_hosts: None })
}

fn address(text: &str) -> GitAddress {
    match Remote::parse(text) {
        Ok(Some(Remote::Git(address))) => address,
        other => panic!("{text}: {other:?}"),
    }
}

async fn run(
    git: &GitProgram,
    dir: &Path,
    url: &str,
    arguments: &[&str],
) -> Result<String, String> {
    let session = Session {
        settings: vec![("remote.origin.url".into(), url.into())],
        hidden: vec![(url.into(), "the address".into())],
        limit: 1 << 20,
        through: None,
    };
    git.run(&session, dir, arguments).await
}

#[tokio::test]
async fn transports_that_run_programs_or_read_files_are_off() {
    let Some(git) = program() else { return };
    let dir = tempfile::tempdir().unwrap();
    run(&git, dir.path(), "", &["init", "-q", "victim"]).await.unwrap();
    let marker = dir.path().join("ran");
    let file = format!("file://{}", dir.path().join("victim").display());
    for url in [file.as_str(), "victim", &format!("ext::touch {}", marker.display())] {
        let error = run(&git, dir.path(), url, &["ls-remote", "origin"]).await.unwrap_err();
        assert!(error.contains("not allowed"), "{url}: {error}");
    }
    assert!(!marker.exists());
}

#[tokio::test]
async fn a_complaint_shows_no_password_and_a_server_that_is_not_there_is_told() {
    let Some(git) = program() else { return };
    let dir = tempfile::tempdir().unwrap();
    let url = "http://user:hunter2@127.0.0.1:1/a.git";
    let error = run(&git, dir.path(), url, &["ls-remote", "origin"]).await.unwrap_err();
    assert!(!error.contains("hunter2") && error.contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn under_a_policy_only_http_and_only_addresses_that_are_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let content = Arc::new(ContentStore::open(dir.path().join("content")).unwrap());
    let policy = NetworkPolicy::default();
    let Some(git) = program() else { return };
    let fetcher =
        Fetcher::new(&policy, content, Some(git), dir.path().to_owned(), WayOut::default());
    let gate = Gate::Policy(Arc::new(policy));
    let credentials = Credentials::default();
    for (text, reason) in [
        ("git://h.example/a", "the policy knows HTTP and HTTPS only"),
        ("git@h.example:a", "the policy knows HTTP and HTTPS only"),
        ("https://h.example/a.git", "the policy does not allow the host 'h.example'"),
        ("http://127.0.0.1:1/a.git", "the policy does not allow the port 1 of '127.0.0.1'"),
    ] {
        let address = address(text);
        let ask = GitAsk { address: &address, gate: &gate, credentials: &credentials };
        let error = fetcher.resolve_git(&ask).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}
