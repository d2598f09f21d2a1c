use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};

use super::*;
use crate::{
    content::store::ContentStore,
    export::stream::Archive,
    oci::{descriptor::Descriptor, manifest::Manifest, media_type},
};

/// An image with an empty configuration and one layer.
fn image(dir: &Path) -> Stream {
    let content = Arc::new(ContentStore::open(dir.join("content")).unwrap());
    let (config, layer) = (b"{}".as_slice(), b"layer".repeat(100_000));
    content.put(config).unwrap();
    content.put(&layer).unwrap();
    let manifest = Manifest::image(
        Descriptor::of(media_type::CONFIG, config),
        vec![Descriptor::of(media_type::LAYER_TAR, &layer)],
    );
    let manifest = serde_json::to_vec(&manifest).unwrap();
    content.put(&manifest).unwrap();
    let image = Descriptor::of(media_type::MANIFEST, &manifest);
    let names = vec!["app".parse().unwrap()];
    Stream::Docker(Archive { content, image, names, referrers: Vec::new() })
}

/// A stand-in for an engine: reads one request to the end of its chunks, then answers.
async fn engine(socket: PathBuf, answer: &'static str) -> String {
    let listener = UnixListener::bind(socket).unwrap();
    let (mut connection, _) = listener.accept().await.unwrap();
    let (mut got, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    while !got.ends_with(b"\r\n0\r\n\r\n") {
        let count = connection.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "the request ended early");
        got.extend_from_slice(&buffer[..count]);
    }
    connection.write_all(answer.as_bytes()).await.unwrap();
    connection.shutdown().await.unwrap();
    String::from_utf8_lossy(&got).into_owned()
}

async fn load_into(answer: &'static str) -> (Result<Vec<String>, ExportError>, String) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let server = tokio::spawn(engine(socket.clone(), answer));
    while !socket.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answer = load(&image(dir.path()), &[DockerEndpoint::Unix(socket)]).await;
    (answer, server.await.unwrap())
}

#[tokio::test]
async fn the_archive_goes_to_the_engine_and_its_words_come_back() {
    let (answer, request) = load_into(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n\
         {\"stream\":\"Loaded image: app:latest\\n\"}\n",
    )
    .await;
    assert_eq!(answer.unwrap(), ["Loaded image: app:latest"]);
    assert!(request.starts_with("POST /images/load?quiet=1 HTTP/1.1\r\n"), "{request:.100}");
    assert!(request.contains("\"RepoTags\":[\"app:latest\"]"), "there is no manifest.json");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_engines_words() {
    for answer in [
        "HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\n{\"message\":\"no space\\u001b left\"}\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"error\":\"no space\\u001b left\"}\n",
    ] {
        let fault = load_into(answer).await.0.unwrap_err().to_string();
        assert!(fault.ends_with("did not take the image: no space  left"), "{fault}");
    }
}

#[tokio::test]
async fn every_place_that_was_tried_is_named() {
    let nowhere = |path: &str| DockerEndpoint::Unix(path.into());
    let fault = check(&[nowhere("/nonexistent/a.sock"), nowhere("/nonexistent/b.sock")]).await;
    assert_eq!(
        fault.unwrap_err().to_string(),
        "no Docker answers: /nonexistent/a.sock: No such file or directory (os error 2); \
         /nonexistent/b.sock: No such file or directory (os error 2)\n\
         help: start it, or name it by DOCKER_HOST=unix:///path/docker.sock or \
         --output type=docker,context=NAME\n\
         help: without Docker, write an archive with --output type=docker,dest=FILE, or load into \
         containerd with --output type=containerd"
    );
}
