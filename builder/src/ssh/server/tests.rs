use std::time::Duration;

use tokio::net::UnixStream;

use super::{
    super::{
        AgentKey,
        wire::{self, FAILURE, LIST, LISTED, SIGN, SIGNED},
    },
    *,
};

const KEY: &[u8] = include_bytes!("../key/fixtures/ed25519-256");

async fn ask(path: &Path, request: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).await.unwrap();
    wire::write(&mut stream, request).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), wire::read(&mut stream))
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

fn sign_request() -> Vec<u8> {
    let mut request = vec![SIGN];
    wire::put_string(&mut request, &AgentKey::read(KEY).unwrap().public_blob());
    wire::put_string(&mut request, b"data");
    request.extend([0; 4]);
    request
}

#[tokio::test]
async fn a_step_may_list_and_sign_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (own, behind) = (dir.path().join("own"), dir.path().join("behind"));
    let keys = SshAgent::Keys(vec![AgentKey::read(KEY).unwrap()]);
    let _keys = AgentServer::open(&own, Arc::new(keys)).unwrap();
    let agent = SshAgent::Socket(own.clone());
    let _filter = AgentServer::open(&behind, Arc::new(agent)).unwrap();
    for path in [&own, &behind] {
        assert_eq!(ask(path, &[LIST]).await[..5], [LISTED, 0, 0, 0, 1]);
        assert_eq!(ask(path, &sign_request()).await[0], SIGNED);
        // Add, remove, remove all, lock, unlock, smart card, extension, and nonsense.
        for refused in [17, 18, 19, 22, 23, 20, 27, 0, 255] {
            assert_eq!(ask(path, &[refused, 0, 0, 0, 0]).await, [FAILURE], "{refused}");
        }
        assert_eq!(ask(path, &[SIGN, 0, 0]).await, [FAILURE]);
    }
}

#[tokio::test]
async fn the_filter_lets_nothing_but_two_requests_through() {
    let dir = tempfile::tempdir().unwrap();
    let (real, step) = (dir.path().join("real"), dir.path().join("step"));
    let listener = UnixListener::bind(&real).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = Listener::from_std(listener).unwrap();
    let _filter = AgentServer::open(&step, Arc::new(SshAgent::Socket(real))).unwrap();
    assert_eq!(ask(&step, &[19]).await, [FAILURE]);
    let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(nobody.is_err(), "the user's agent was asked");
}

#[tokio::test]
async fn a_dead_agent_is_a_failure_and_a_dropped_server_is_silent() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let gone = SshAgent::Socket(dir.path().join("gone"));
    let server = AgentServer::open(&path, Arc::new(gone)).unwrap();
    assert_eq!(ask(&path, &[LIST]).await, [FAILURE]);
    drop(server);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(UnixStream::connect(&path).await.is_err());
}
