use std::{os::unix::fs::PermissionsExt, time::Duration};

use super::*;
use crate::registry::credential_helper::HelperProcess;

#[derive(Debug)]
struct Answers(&'static [(&'static str, &'static str, &'static str)]);

impl CredentialHelper for Answers {
    fn get(&self, name: &str, server: &str) -> Result<HelperAnswer, HelperError> {
        assert_eq!(name, "test");
        let answer = self.0.iter().find(|(known, ..)| *known == server);
        let (_, user, secret) = answer.ok_or(HelperError::Unknown)?;
        Ok(HelperAnswer { username: (*user).into(), secret: Secret::new(*secret) })
    }
}

fn credentials(json: &str, helper: Option<Arc<dyn CredentialHelper>>) -> Credentials {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.json");
    std::fs::write(&path, json).unwrap();
    let mut credentials = Credentials::from_docker_config(&path, helper).unwrap();
    credentials.path = Some("/home/u/.docker/config.json".into());
    credentials
}

fn shown(lookup: &Lookup) -> String {
    match &lookup.credential {
        None => "-".into(),
        Some(Credential::Basic { user, password }) => {
            format!("{user}/{}", password.expose_secret())
        }
        Some(Credential::Identity(token)) => format!("identity {}", token.expose_secret()),
        Some(Credential::Registry(token)) => format!("registry {}", token.expose_secret()),
    }
}

#[test]
fn auths_by_host_address_and_path() {
    let auth = BASE64_STANDARD.encode("alice:s3:cret");
    let json = format!(
        r#"{{"auths": {{
          "https://index.docker.io/v1/": {{"auth": "{auth}"}},
          "registry.example:5000": {{"username": "bob", "password": "pw"}},
          "quay.example": {{"identitytoken": "idt", "auth": "{auth}"}},
          "quay.example/team": {{"registrytoken": "rt"}},
          "broken.example": {{"auth": "%%%"}},
          "empty.example": {{}}
        }}, "HttpHeaders": {{"X": "y"}}}}"#
    );
    let credentials = credentials(&json, None);
    let find = |registry: &str, repository: &str| shown(&credentials.find(registry, repository));
    assert_eq!(find("docker.io", "library/debian"), "alice/s3:cret");
    assert_eq!(find("registry.example:5000", "app"), "bob/pw");
    assert_eq!(find("quay.example", "other/app"), "identity idt");
    assert_eq!(find("quay.example", "team/app"), "registry rt");
    assert_eq!(find("quay.example", "teammate/app"), "identity idt");
    for host in ["registry.example", "broken.example", "empty.example", "else.example"] {
        assert_eq!(find(host, "app"), "-", "{host}");
    }
}

#[test]
fn the_account_says_from_where_and_never_what() {
    let json = r#"{"auths": {"a.example": {"username": "bob", "password": "pw"}}}"#;
    let credentials = credentials(json, None);
    assert_eq!(
        credentials.find("a.example", "x").account,
        "credentials from /home/u/.docker/config.json were sent"
    );
    assert_eq!(
        credentials.find("b.example", "x").account,
        "no credentials were sent (/home/u/.docker/config.json has none for it)"
    );
    assert_eq!(
        Credentials::none().find("b.example", "x").account,
        "no credentials were sent (no docker config.json is in use)"
    );
    assert!(!format!("{credentials:?}").contains("pw"));
}

#[test]
fn helpers_go_before_the_file_and_tokens_are_told_apart() {
    let json = r#"{"credsStore": "test", "credHelpers": {"plain.example": ""},
        "auths": {"file.example": {"username": "f", "password": "p"},
                  "plain.example": {"username": "q", "password": "r"}, "hub.example": {}}}"#;
    let helper = Answers(&[
        ("https://index.docker.io/v1/", "alice", "pw"),
        ("hub.example", "<token>", "idt"),
        ("empty.example", "x", ""),
    ]);
    let credentials = credentials(json, Some(Arc::new(helper)));
    let find = |registry: &str| shown(&credentials.find(registry, "app"));
    assert_eq!(find("docker.io"), "alice/pw");
    assert_eq!(find("hub.example"), "identity idt");
    assert_eq!(find("file.example"), "f/p");
    assert_eq!(find("plain.example"), "q/r");
    assert_eq!(find("empty.example"), "-");
    assert_eq!(
        credentials.find("none.example", "x").account,
        "no credentials were sent (docker-credential-test: it knows no credentials for this registry)"
    );
}

#[test]
fn a_missing_file_is_empty_and_a_broken_one_is_not_quoted() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.json");
    let credentials = Credentials::from_docker_config(&path, None).unwrap();
    assert_eq!(shown(&credentials.find("a.example", "x")), "-");
    std::fs::write(&path, "{\n\"auths\": \"hunter2\"}").unwrap();
    assert_eq!(
        Credentials::from_docker_config(&path, None).unwrap_err().to_string(),
        format!(
            "{} line 2: this is not a docker config.json\n\
             help: correct it, or remove it and run 'docker login' again",
            path.display()
        )
    );
}

/// Runs a shell script as the helper; the name is a path, which `HelperProcess::get` refuses, so the
/// conversation is tested below it.
fn converse(script: &str, timeout: Duration) -> Result<HelperAnswer, HelperError> {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("docker-credential-script");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    HelperProcess { timeout }.run(&path, "registry.example")
}

#[test]
fn the_helper_protocol() {
    let second = Duration::from_secs(5);
    let ok = converse(
        r#"read server; [ "$1" = get ] && echo "{\"ServerURL\":\"$server\",\"Username\":\"$server\",\"Secret\":\"s\"}""#,
        second,
    );
    let answer = ok.unwrap();
    assert_eq!(
        (answer.username.as_str(), answer.secret.expose_secret()),
        ("registry.example", "s")
    );
    let fault = |script: &str| converse(script, second).unwrap_err();
    assert_eq!(
        fault("echo credentials not found in native keychain; exit 1"),
        HelperError::Unknown
    );
    assert_eq!(
        fault("echo \"no 'pass' here\"; exit 1"),
        HelperError::Failed("no 'pass' here".into())
    );
    assert_eq!(fault("exit 3"), HelperError::Failed("exit status: 3".into()));
    assert_eq!(fault("echo hunter2"), HelperError::Malformed);
    // More than is read: the helper's pipe breaks.
    assert!(matches!(fault("head -c 1000000 /dev/zero"), HelperError::Failed(_)));
    let short = Duration::from_millis(100);
    assert_eq!(converse("exec sleep 9", short).unwrap_err(), HelperError::TimedOut(short));
    assert!(matches!(
        HelperProcess::default().get("../evil", "x").unwrap_err(),
        HelperError::NotRun(_)
    ));
    assert!(matches!(
        HelperProcess::default().get("that-nobody-has", "x").unwrap_err(),
        HelperError::NotRun(_)
    ));
}
