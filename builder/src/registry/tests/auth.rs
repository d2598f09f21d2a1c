//! Proving who we are, to real and to strange servers.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    real_registry::RealRegistry,
    rogue::{Request, Rogue, answer, serve_manifest},
    *,
};
use crate::registry::{error::RegistryError, progress::Unwatched, push::BlobSource};

/// A configuration as `docker login` writes it.
pub(super) fn docker_config(host: &str, user: &str, password: &str) -> Credentials {
    let auth = BASE64_STANDARD.encode(format!("{user}:{password}"));
    config_file(&format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#))
}

fn config_file(json: &str) -> Credentials {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.json");
    std::fs::write(&path, json).unwrap();
    Credentials::from_docker_config(&path, None).unwrap()
}

/// A registry that wants the token `good` from a token server that wants `token_auth` (or nothing).
/// Both are one server, at `/token` and `/v2/`.
fn token_registry(token_auth: Option<&'static str>) -> Rogue {
    Rogue::start(move |request, stream| {
        let host = request.header("host").unwrap().to_owned();
        if request.line.contains("/token") {
            return token_server(request, stream, token_auth);
        }
        if request.header("authorization") == Some("Bearer good") {
            return serve_manifest(stream, &manifest("", &[]));
        }
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"test\",scope=\"repository:team/app:pull\"\r\n"
        );
        let body = br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        answer(stream, "401 Unauthorized", &challenge, body);
    })
}

fn token_server(request: &Request, stream: &mut std::net::TcpStream, wanted: Option<&str>) {
    let given = match request.header("authorization") {
        Some(header) => Some(header.to_owned()),
        None if request.body.is_empty() => None,
        None => Some(String::from_utf8(request.body.clone()).unwrap()),
    };
    if given.as_deref() == wanted {
        answer(stream, "200 OK", "", br#"{"token":"good","expires_in":300}"#);
    } else {
        answer(stream, "401 Unauthorized", "", br#"{"errors":[{"code":"UNAUTHORIZED"}]}"#);
    }
}

#[tokio::test]
async fn an_anonymous_token_is_fetched_once_and_kept() {
    let rogue = token_registry(None);
    let client = client();
    let reference = image(&rogue.host, "team/app:1");
    for _ in 0..3 {
        client.resolve(&reference).await.unwrap();
    }
    let manifest = "GET /v2/team/app/manifests/1".to_owned();
    let token = "GET /token?service=test&scope=repository%3Ateam%2Fapp%3Apull".to_owned();
    assert_eq!(
        rogue.seen(),
        [&manifest, &token, &manifest, &manifest, &manifest].map(Clone::clone)
    );
}

#[tokio::test]
async fn credentials_go_to_the_token_server() {
    let rogue = token_registry(Some("Basic YWxpY2U6cHc="));
    let client = client_as(docker_config(&rogue.host, "alice", "pw"));
    client.resolve(&image(&rogue.host, "team/app:1")).await.unwrap();
}

#[tokio::test]
async fn a_real_registry_with_a_password() {
    let registry = RealRegistry::with_password();
    let reference = image(&registry.host, "team/app:1");
    let client = client_as(docker_config(&registry.host, "alice", "s3cret"));
    let (_home, store) = store();
    let bytes = noise(30, 600_000);
    let blob = Descriptor::of(media_type::LAYER_GZIP, &bytes);
    store.put(&bytes).unwrap();
    let source = BlobSource::Store(&store);
    client.push_blob(&reference, &blob, source, None, &Unwatched).await.unwrap();
    assert_eq!(client.read_blob(&reference, &blob, 1 << 20).await.unwrap(), bytes);
    let wrong = client_as(docker_config(&registry.host, "alice", "wrong"));
    let error = wrong.resolve(&reference).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn an_identity_token_is_changed_for_a_registry_token() {
    let rogue = token_registry(Some(
        "grant_type=refresh_token&service=test&client_id=touchmark\
         &scope=repository%3Ateam%2Fapp%3Apull&refresh_token=idt",
    ));
    let json = format!(r#"{{"auths":{{"{}":{{"identitytoken":"idt"}}}}}}"#, rogue.host);
    client_as(config_file(&json)).resolve(&image(&rogue.host, "team/app:1")).await.unwrap();
    let json = format!(r#"{{"auths":{{"{}":{{"registrytoken":"good"}}}}}}"#, rogue.host);
    client_as(config_file(&json)).resolve(&image(&rogue.host, "team/app:1")).await.unwrap();
    assert_eq!(rogue.seen().iter().filter(|line| line.contains("/token")).count(), 1);
}

#[tokio::test]
async fn a_token_that_the_registry_forgot_is_fetched_anew() {
    let good = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let current = Arc::clone(&good);
    let rogue = Rogue::start(move |request, stream| {
        let host = request.header("host").unwrap();
        let number = current.load(std::sync::atomic::Ordering::SeqCst);
        if request.is("GET /token") {
            let token = format!(r#"{{"access_token":"t{number}"}}"#);
            return answer(stream, "200 OK", "", token.as_bytes());
        }
        if request.header("authorization") == Some(&format!("Bearer t{number}")) {
            return serve_manifest(stream, &manifest("", &[]));
        }
        let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\"\r\n");
        answer(stream, "401 Unauthorized", &challenge, b"");
    });
    let client = client();
    let reference = image(&rogue.host, "app");
    client.resolve(&reference).await.unwrap();
    good.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    client.resolve(&reference).await.unwrap();
    let tokens = rogue.seen().iter().filter(|line| line.starts_with("GET /token")).count();
    assert_eq!(tokens, 2);
}

#[tokio::test]
async fn refused_without_credentials() {
    let rogue = token_registry(Some("something else"));
    let host = &rogue.host;
    let error = client().resolve(&image(host, "team/app:1")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{host} refuses to let us pull {host}/team/app:1 (401 Unauthorized: UNAUTHORIZED); \
             no credentials were sent (no docker config.json is in use)\n\
             help: run 'docker login {host}'; many registries answer like this for repositories \
             that do not exist, so check the name too"
        )
    );
    assert!(!error.is_environment());
}

#[tokio::test]
async fn refused_with_credentials_which_are_not_shown() {
    let rogue = Rogue::start(|_, stream| {
        let body = br#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#;
        answer(stream, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", body);
    });
    let host = &rogue.host;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.json");
    let json = format!(r#"{{"auths":{{"{host}":{{"username":"alice","password":"hunter2"}}}}}}"#);
    std::fs::write(&path, json).unwrap();
    let client = client_as(Credentials::from_docker_config(&path, None).unwrap());
    let bytes = manifest("", &[]);
    let target = image(host, "team/app:1");
    let error = client.push_manifest(&target, media_type::MANIFEST, &bytes).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{host} refuses to let us push to {host}/team/app:1 \
             (401 Unauthorized: DENIED, requested access is denied); \
             credentials from {} were sent\n\
             help: run 'docker login {host}'; many registries answer like this for repositories \
             that do not exist, so check the name too",
            path.display()
        )
    );
    assert!(!format!("{error:?} {client:?}").contains("hunter2"));
    assert_eq!(rogue.seen().len(), 2, "not tried over and over");
}

#[tokio::test]
async fn forbidden() {
    let rogue = Rogue::start(|_, stream| answer(stream, "403 Forbidden", "", b""));
    let host = &rogue.host;
    let error = client().resolve(&image(host, "team/app:1")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{host} refuses to let us pull {host}/team/app:1 (403 Forbidden); \
             no credentials were sent (no docker config.json is in use)\n\
             help: run 'docker login {host}'; many registries answer like this for repositories \
             that do not exist, so check the name too"
        )
    );
    assert_eq!(rogue.seen().len(), 1);
}

#[tokio::test]
async fn a_token_server_that_is_no_web_address_gets_nothing() {
    let rogue = Rogue::start(|_, stream| {
        let challenge = "WWW-Authenticate: Bearer realm=\"file:///etc/passwd\"\r\n";
        answer(stream, "401 Unauthorized", challenge, b"");
    });
    let host = &rogue.host;
    let error = client().resolve(&image(host, "app")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{host} sends us to 'file:///etc/passwd' for a token, which is not an HTTPS address; \
             nothing was sent there\n\
             help: report it to whoever runs {host}"
        )
    );
}

#[tokio::test]
async fn answers_of_a_token_server_are_bounded() {
    for (body, message) in [
        (
            vec![b' '; 1 << 20],
            "the token of HOST/app is larger than 262144 bytes; HOST was not read further",
        ),
        (b"{}".to_vec(), "HOST refuses the token of HOST/app (200 OK: its answer holds no token)"),
    ] {
        let rogue = Rogue::start(move |request, stream| {
            let host = request.header("host").unwrap();
            if request.is("GET /token") {
                return answer(stream, "200 OK", "", &body);
            }
            let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\"\r\n");
            answer(stream, "401 Unauthorized", &challenge, b"");
        });
        let error = client().resolve(&image(&rogue.host, "app")).await.unwrap_err().to_string();
        assert_eq!(error.lines().next().unwrap(), message.replace("HOST", &rogue.host));
    }
}
