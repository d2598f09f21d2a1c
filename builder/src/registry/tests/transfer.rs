//! Blobs: streamed, resumed, verified.

use std::{
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    real_registry::RealRegistry,
    rogue::{Rogue, answer},
    *,
};
use crate::{
    content::growing_blob::Growing,
    registry::progress::{TransferProgress, Unwatched},
};

#[derive(Default)]
struct Counts {
    started: AtomicU64,
    bytes: AtomicU64,
    done: AtomicU64,
}

impl TransferProgress for Counts {
    fn start(&self, _: &Descriptor) {
        self.started.fetch_add(1, Ordering::SeqCst);
    }
    fn had(&self, _: &Descriptor, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }
    fn advance(&self, _: &Descriptor, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }
    fn restart(&self, _: &Descriptor) {}
    fn done(&self, _: &Descriptor) {
        self.done.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counts {
    fn all(&self) -> [u64; 3] {
        [&self.started, &self.bytes, &self.done].map(|count| count.load(Ordering::SeqCst))
    }
}

fn layer(bytes: &[u8]) -> Descriptor {
    Descriptor::of(media_type::LAYER_GZIP, bytes)
}

/// Serves `bytes` as every blob; answers from an offset when asked for one, and closes after `cut`
/// bytes of each answer.
fn cutting(bytes: Vec<u8>, cut: usize) -> Rogue {
    Rogue::start(move |request, stream| {
        let from = request.header("range").map_or(0, |range| {
            range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap()
        });
        let (status, size) = (if from > 0 { "206 Partial Content" } else { "200 OK" }, bytes.len());
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{size}\r\n\r\n",
            size - from,
            size - 1
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&bytes[from..(from + cut).min(size)]).unwrap();
    })
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_stopped() {
    let bytes = noise(1, 10_000);
    let rogue = cutting(bytes.clone(), 4000);
    let (_home, store) = store();
    let (blob, counts) = (layer(&bytes), Counts::default());
    let reference = image(&rogue.host, "app");
    client().pull_blob(&reference, &blob, &store, &counts).await.unwrap();
    assert_eq!(store.read(&blob.digest, 10_000).unwrap(), bytes);
    assert_eq!(rogue.seen().len(), 3);
    assert_eq!(counts.all(), [1, 10_000, 1]);
    client().pull_blob(&reference, &blob, &store, &counts).await.unwrap();
    assert_eq!(rogue.seen().len(), 3, "what is in the store is not asked for");
    assert_eq!(counts.all(), [2, 20_000, 2]);
}

#[tokio::test]
async fn what_an_earlier_process_left_is_used_unless_it_was_damaged() {
    let bytes = noise(2, 10_000);
    for (left, requests) in [(&bytes[..9000], 1), (&noise(3, 9000)[..], 2)] {
        let rogue = cutting(bytes.clone(), 10_000);
        let (_home, store) = store();
        let blob = layer(&bytes);
        let (mut partial, _) = store.resume(&blob.digest).unwrap();
        partial.write_all(left).unwrap();
        drop(partial);
        let reference = image(&rogue.host, "app");
        client().pull_blob(&reference, &blob, &store, &Unwatched).await.unwrap();
        assert_eq!(store.read(&blob.digest, 10_000).unwrap(), bytes);
        assert_eq!(rogue.seen().len(), requests);
    }
}

#[tokio::test]
async fn a_server_without_ranges_starts_again() {
    let bytes = noise(4, 5000);
    let served = bytes.clone();
    let rogue = Rogue::start(move |_, stream| answer(stream, "200 OK", "", &served));
    let (_home, store) = store();
    let blob = layer(&bytes);
    let (mut partial, _) = store.resume(&blob.digest).unwrap();
    partial.write_all(&bytes[..100]).unwrap();
    drop(partial);
    let reference = image(&rogue.host, "app");
    client().pull_blob(&reference, &blob, &store, &Unwatched).await.unwrap();
    assert_eq!(store.read(&blob.digest, 5000).unwrap(), bytes);
}

#[tokio::test]
async fn truncated_layer() {
    let bytes = noise(5, 9000);
    let short = bytes[..6000].to_vec();
    let rogue = Rogue::start(move |request, stream| {
        if request.header("range").is_some() {
            return answer(stream, "416 Range Not Satisfiable", "", b"");
        }
        answer(stream, "200 OK", "", &short);
    });
    let (_home, store) = store();
    let (host, blob) = (&rogue.host, layer(&bytes));
    let reference = image(host, "team/app:1");
    let expected = |found| {
        format!(
            "{host} ended the blob {} of {host}/team/app:1 after {found} of 9000 bytes, in 3 attempts\n\
             help: try again: what has arrived is kept; if it stops at the same place, the blob in the \
             registry is truncated and the image must be pushed again",
            blob.digest
        )
    };
    let error = client().pull_blob(&reference, &blob, &store, &Unwatched).await.unwrap_err();
    assert_eq!(error.to_string(), expected(6000));
    let error = client().read_blob(&reference, &blob, 1 << 20).await.unwrap_err();
    assert_eq!(error.to_string(), expected(6000));
    assert!(!store.has(&blob.digest));
}

#[tokio::test]
async fn blob_with_a_wrong_digest() {
    let (promised, served) = (noise(6, 5000), noise(7, 5000));
    let found = digest_of(&served);
    let rogue = Rogue::start(move |_, stream| answer(stream, "200 OK", "", &served));
    let (_home, store) = store();
    let (host, blob) = (&rogue.host, layer(&promised));
    let reference = image(host, "team/app:1");
    let expected = format!(
        "the blob {digest} of {host}/team/app:1 should have the digest {digest}, \
         but what {host} sent has {found}; it was thrown away\n\
         help: the registry, or something between it and here, serves damaged or forged content: \
         do not use it before that is explained",
        digest = blob.digest
    );
    let error = client().pull_blob(&reference, &blob, &store, &Unwatched).await.unwrap_err();
    assert_eq!(error.to_string(), expected);
    let error = client().read_blob(&reference, &blob, 1 << 20).await.unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert!(store.blobs_on_disk().unwrap().is_empty());
    assert_eq!(store.resume(&blob.digest).unwrap().1, 0, "nothing of it is kept");
}

#[tokio::test]
async fn blob_longer_than_promised() {
    let bytes = noise(8, 5000);
    let served = bytes.clone();
    let rogue = Rogue::start(move |_, stream| answer(stream, "200 OK", "", &served));
    let (_home, store) = store();
    let host = &rogue.host;
    let blob = Descriptor { size: 4999, ..layer(&bytes) };
    let reference = image(host, "team/app:1");
    let expected = format!(
        "{host} sends more than the 4999 bytes that the blob {} of {host}/team/app:1 should have; \
         it was thrown away\n\
         help: the registry, or something between it and here, serves damaged or forged content: \
         do not use it before that is explained",
        blob.digest
    );
    let error = client().pull_blob(&reference, &blob, &store, &Unwatched).await.unwrap_err();
    assert_eq!(error.to_string(), expected);
    let error = client().read_blob(&reference, &blob, 1 << 20).await.unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn unknown_blob_and_blob_too_large_to_hold() {
    let registry = RealRegistry::start();
    let (_home, store) = store();
    let (host, blob) = (&registry.host, layer(b"nobody has it"));
    let reference = image(host, "team/app:1");
    let error = client().pull_blob(&reference, &blob, &store, &Unwatched).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{host} has no blob {} for {host}/team/app:1 (404 Not Found: BLOB_UNKNOWN, blob unknown to registry)\n\
             help: the image in the registry is incomplete; push it again",
            blob.digest
        )
    );
    let error = client().read_blob(&reference, &blob, 5).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the blob {} of {host}/team/app:1 is larger than 5 bytes; {host} was not read further\n\
             help: no honest image needs one so large: check the reference and the registry",
            blob.digest
        )
    );
}

#[tokio::test]
async fn two_builds_share_one_download() {
    let bytes = noise(9, 100_000);
    let served = bytes.clone();
    let rogue = Rogue::start(move |_, stream| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        answer(stream, "200 OK", "", &served);
    });
    let (_home, store) = store();
    let (reference, blob) = (image(&rogue.host, "app"), layer(&bytes));
    let (one, other) = (client(), client());
    let pulls = futures::future::join(
        one.pull_blob(&reference, &blob, &store, &Unwatched),
        other.pull_blob(&reference, &blob, &store, &Unwatched),
    );
    let (first, second) = pulls.await;
    first.and(second).unwrap();
    assert_eq!(rogue.seen().len(), 1);
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let bytes = noise(10, 2000);
    let served = bytes.clone();
    let storage = Rogue::start(move |request, stream| {
        assert_eq!(request.header("authorization"), None);
        answer(stream, "200 OK", "", &served);
    });
    let place = format!("Location: http://{}/signed?key=1\r\n", storage.host);
    let registry = Rogue::start(move |request, stream| match request.header("authorization") {
        None => answer(stream, "401 Unauthorized", "WWW-Authenticate: Basic realm=x\r\n", b""),
        Some(_) => answer(stream, "307 Temporary Redirect", &place, b""),
    });
    let (_home, store) = store();
    let blob = layer(&bytes);
    let client = client_as(auth::docker_config(&registry.host, "alice", "pw"));
    let reference = image(&registry.host, "app");
    client.pull_blob(&reference, &blob, &store, &Unwatched).await.unwrap();
    assert!(store.has(&blob.digest));
    assert_eq!(storage.seen().len(), 1);
}

#[tokio::test]
async fn many_blobs_arrive_in_parallel_and_progress_is_counted() {
    let registry = RealRegistry::start();
    let reference = image(&registry.host, "team/app:1");
    let blobs: Vec<_> = (0..9).map(|seed| noise(seed, 50_000)).collect();
    let descriptors: Vec<_> = blobs.iter().map(|bytes| layer(bytes)).collect();
    for (bytes, blob) in blobs.iter().zip(&descriptors) {
        let source = crate::registry::push::BlobSource::Bytes(bytes);
        client().push_blob(&reference, blob, source, None, &Unwatched).await.unwrap();
    }
    let (_home, store) = store();
    let counts = Arc::new(Counts::default());
    client().pull_blobs(&reference, &descriptors, &store, &*counts).await.unwrap();
    assert!(descriptors.iter().all(|blob| store.has(&blob.digest)));
    assert_eq!(counts.all(), [9, 450_000, 9]);
}

#[tokio::test]
async fn who_reads_along_sees_the_end_only_of_what_came_in_one_go_and_is_right() {
    let bytes = noise(7, 10_000);
    let resuming = cutting(bytes.clone(), 4000);
    let damaged = Rogue::start({
        let wrong = noise(8, 10_000);
        move |_, stream| answer(stream, "200 OK", "", &wrong)
    });
    for (rogue, right) in [(&resuming, true), (&damaged, false)] {
        let (_home, store) = store();
        let (growing, mut reading) = Growing::pair();
        let fate = reading.fate();
        let along = std::thread::spawn(move || {
            let mut read = Vec::new();
            reading.read_to_end(&mut read).map(|_| read)
        });
        let (reference, blob) = (image(&rogue.host, "app"), layer(&bytes));
        let pulled =
            client().pull_blob_along(&reference, &blob, &store, &Unwatched, Some(growing)).await;
        assert_eq!(pulled.is_ok(), right);
        let read = along.join().unwrap();
        assert_eq!(read.ok(), right.then(|| bytes.clone()));
        assert_eq!(fate.is_abandoned(), !right);
    }
}
