//! Pushing, mostly to the real registry, and reading it back.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{
    real_registry::RealRegistry,
    rogue::{Rogue, answer},
    *,
};
use crate::registry::{
    progress::Unwatched,
    push::{BlobPush, BlobSource},
};

fn layer(bytes: &[u8]) -> Descriptor {
    Descriptor::of(media_type::LAYER_GZIP, bytes)
}

async fn push(client: &RegistryClient, to: &Reference, bytes: &[u8]) -> Descriptor {
    let blob = layer(bytes);
    client.push_blob(to, &blob, BlobSource::Bytes(bytes), None, &Unwatched).await.unwrap();
    blob
}

#[tokio::test]
async fn an_image_goes_there_and_comes_back() {
    let registry = RealRegistry::start();
    let (client, reference) = (client(), image(&registry.host, "team/app:1"));
    let (home, store) = store();
    let bytes = noise(20, 3_000_000);
    let blob = layer(&bytes);
    store.put(&bytes).unwrap();
    let source = BlobSource::Store(&store);
    let how = client.push_blob(&reference, &blob, source, None, &Unwatched).await.unwrap();
    assert_eq!(how, BlobPush::Uploaded);
    let how = client.push_blob(&reference, &blob, source, None, &Unwatched).await.unwrap();
    assert_eq!(how, BlobPush::Present);
    let file = home.path().join("config");
    std::fs::write(&file, b"{}").unwrap();
    let config = Descriptor::of(media_type::EMPTY, b"{}");
    let source = BlobSource::File(&file);
    client.push_blob(&reference, &config, source, None, &Unwatched).await.unwrap();

    let manifest = manifest("", std::slice::from_ref(&blob));
    let pushed = client.push_manifest(&reference, media_type::MANIFEST, &manifest).await.unwrap();
    assert!(!pushed.listed);
    let resolved = client.resolve(&reference).await.unwrap();
    assert_eq!((&resolved.bytes, &resolved.descriptor), (&manifest, &pushed.descriptor));
    assert_eq!(client.exists(&reference).await.unwrap(), Some(pushed.descriptor.digest));
    let by_digest = reference.at(pushed.descriptor.digest);
    assert_eq!(client.resolve(&by_digest).await.unwrap(), resolved);
    assert_eq!(client.read_blob(&reference, &blob, 1 << 30).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_blob_of_another_repository_is_mounted() {
    let registry = RealRegistry::start();
    let client = client();
    let (from, to) = (image(&registry.host, "base"), image(&registry.host, "team/app:1"));
    let blob = push(&client, &from, b"a layer").await;
    // The bytes are not here at all: it can only be mounted.
    let (_home, store) = store();
    let source = BlobSource::Store(&store);
    let how = client.push_blob(&to, &blob, source, Some(&from), &Unwatched).await.unwrap();
    assert_eq!(how, BlobPush::Mounted);
    assert_eq!(client.read_blob(&to, &blob, 100).await.unwrap(), b"a layer");
}

#[tokio::test]
async fn what_cannot_be_mounted_is_sent() {
    let registry = RealRegistry::start();
    let (client, bytes) = (client(), noise(21, 1000));
    let blob = layer(&bytes);
    for from in [format!("{}/nothing", registry.host), "other.example/base".into()] {
        let target = image(&registry.host, &format!("app{}", from.len()));
        let source = BlobSource::Bytes(&bytes);
        let from = from.parse().unwrap();
        let how = client.push_blob(&target, &blob, source, Some(&from), &Unwatched).await;
        assert_eq!(how.unwrap(), BlobPush::Uploaded);
    }
}

#[tokio::test]
async fn a_damaged_blob_is_never_sent_whole() {
    let registry = RealRegistry::start();
    let reference = image(&registry.host, "app");
    let (_home, store) = store();
    let bytes = noise(22, 700_000);
    let blob = layer(&bytes);
    store.put(&bytes).unwrap();
    let mut damaged = bytes.clone();
    damaged[699_999] ^= 1;
    std::fs::write(store.path(&blob.digest), &damaged).unwrap();
    let source = BlobSource::Store(&store);
    let error = client().push_blob(&reference, &blob, source, None, &Unwatched).await.unwrap_err();
    let (host, found) = (&registry.host, digest_of(&damaged));
    assert_eq!(
        error.to_string(),
        format!(
            "the request of {host}/app was not sent to {host}: the stored blob {} is damaged \
             (its bytes now have the digest {found}); it was removed\n\
             help: run the command again: the blob will be fetched or made anew",
            blob.digest
        )
    );
}

#[tokio::test]
async fn a_broken_upload_starts_again() {
    let (goes, bytes) = (AtomicU32::new(0), noise(23, 300_000));
    let expected = bytes.clone();
    let rogue = Rogue::start(move |request, stream| {
        if request.is("HEAD") {
            answer(stream, "404 Not Found", "", b"");
        } else if request.is("POST") {
            answer(stream, "202 Accepted", "Location: /upload/1?state=a%2Fb\r\n", b"");
        } else if goes.fetch_add(1, Ordering::SeqCst) == 0 {
            // The first upload is cut off without an answer.
        } else {
            assert_eq!(request.header("content-length"), Some("300000"));
            assert_eq!(request.body, expected);
            answer(stream, "201 Created", "", b"");
        }
    });
    let (_home, store) = store();
    let blob = layer(&bytes);
    store.put(&bytes).unwrap();
    let (reference, source) = (image(&rogue.host, "app"), BlobSource::Store(&store));
    let how = client().push_blob(&reference, &blob, source, None, &Unwatched).await.unwrap();
    assert_eq!(how, BlobPush::Uploaded);
    let put = format!("PUT /upload/1?state=a%2Fb&digest=sha256%3A{}", blob.digest.hex());
    let puts: Vec<_> = rogue.seen().into_iter().filter(|line| line.starts_with("PUT")).collect();
    assert_eq!(puts, [put.clone(), put]);
}

#[tokio::test]
async fn manifests_that_cannot_be_right_are_not_sent() {
    let client = client();
    let manifest = manifest("", &[]);
    let other = digest_of(b"other");
    let target = image("registry.example", &format!("app@{other}"));
    let error = client.push_manifest(&target, media_type::MANIFEST, &manifest).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the manifest of registry.example/app@{other} was not sent to registry.example: \
             its digest is {}\n\
             help: push to a tag, or to the digest that the bytes have",
            digest_of(&manifest)
        )
    );
    let large = vec![b' '; (4 << 20) + 1];
    let target = image("registry.example", "app:1");
    let error = client.push_manifest(&target, media_type::MANIFEST, &large).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the manifest of registry.example/app:1 was not sent to registry.example: \
         it has 4194305 bytes, registries take 4 MiB\n\
         help: use fewer or shorter annotations"
    );
}

#[tokio::test]
async fn a_manifest_whose_layers_are_missing_is_refused_by_the_registry() {
    let registry = RealRegistry::start();
    let (host, bytes) = (&registry.host, manifest("", &[layer(b"not there")]));
    let target = image(host, "app:1");
    let error = client().push_manifest(&target, media_type::MANIFEST, &bytes).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{host} refuses the manifest of {host}/app:1 \
             (400 Bad Request: MANIFEST_BLOB_UNKNOWN, blob unknown to registry)\n\
             help: the registry lacks something that the manifest names, \
             or does not take this kind of manifest"
        )
    );
}

#[tokio::test]
async fn a_manifest_that_was_changed_on_its_way_is_sent_again() {
    let (bytes, other) = (manifest("", &[]), digest_of(b"something else"));
    let right = digest_of(&bytes);
    for honest_after in [1, u32::MAX] {
        let seen = AtomicU32::new(0);
        let rogue = Rogue::start(move |_, stream| {
            let honest = seen.fetch_add(1, Ordering::SeqCst) >= honest_after;
            let stored = if honest { right } else { other };
            let header = format!("Docker-Content-Digest: {stored}\r\n");
            answer(stream, "201 Created", &header, b"");
        });
        let host = &rogue.host;
        let target = image(host, "app:1");
        let pushed = client().push_manifest(&target, media_type::MANIFEST, &bytes).await;
        if honest_after == 1 {
            assert_eq!(pushed.unwrap().descriptor.digest, right);
            assert_eq!(rogue.seen().len(), 2);
            continue;
        }
        assert_eq!(
            pushed.unwrap_err().to_string(),
            format!(
                "{host} stored {other} as {host}/app:1, but {right} was sent, in 3 attempts\n\
                 help: something between here and the registry changes what it passes on; \
                 until that is found, do not use {host}/app:1"
            )
        );
    }
}
