use std::process::{Command, Stdio};

use super::*;

fn store() -> (tempfile::TempDir, ContentStore) {
    let home = tempfile::tempdir().unwrap();
    let store = ContentStore::open(home.path().join("content")).unwrap();
    (home, store)
}

fn ingest(store: &ContentStore) -> Vec<String> {
    let names = fs::read_dir(store.ingest()).unwrap().map(|e| e.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).filter(|name| name != "lock").collect()
}

#[test]
fn what_is_put_is_read_back_and_lies_where_an_oci_layout_has_it() {
    let (home, store) = store();
    let digest = store.put(b"blob").unwrap();
    assert_eq!(digest, store.put(b"blob").unwrap());
    assert!(store.has(&digest));
    assert_eq!(store.read(&digest, 4).unwrap(), b"blob");
    let place = home.path().join("content/blobs/sha256").join(digest.hex());
    assert_eq!(fs::read(place).unwrap(), b"blob");
    assert_eq!(store.blobs_on_disk().unwrap(), [(digest, 4)]);
    assert!(ingest(&store).is_empty());
    assert!(store.remove(&digest).unwrap() && !store.remove(&digest).unwrap());
    assert!(matches!(store.read(&digest, 4), Err(ContentError::Missing { .. })));
}

#[test]
fn a_blob_over_the_limit_is_refused_before_it_is_read() {
    let (_home, store) = store();
    let digest = store.put(&[0; 100]).unwrap();
    assert_eq!(
        store.read(&digest, 99).unwrap_err().to_string(),
        format!("{digest} has 100 bytes, more than the 99 bytes allowed for its kind")
    );
}

#[test]
fn a_dropped_writer_leaves_nothing_and_a_wrong_digest_stores_nothing() {
    let (_home, store) = store();
    let mut writer = store.writer().unwrap();
    writer.write_all(b"half").unwrap();
    assert_eq!(writer.count(), 4);
    drop(writer);
    let mut writer = store.writer().unwrap();
    writer.write_all(b"other").unwrap();
    let error = writer.commit(Some(Digest::of(b"promised"))).unwrap_err();
    assert!(matches!(error, ContentError::WrongDigest { .. }));
    assert!(ingest(&store).is_empty() && store.blobs_on_disk().unwrap().is_empty());
}

#[test]
fn damage_on_disk_is_noticed_at_the_end_and_healed_by_removal() {
    let (_home, store) = store();
    let descriptor = Descriptor::of("text/plain", b"good bytes");
    for read_whole in [true, false] {
        store.put(b"good bytes").unwrap();
        fs::write(store.path(&descriptor.digest), b"evil bytes").unwrap();
        let message = if read_whole {
            store.read(&descriptor.digest, 100).unwrap_err().to_string()
        } else {
            let mut reader = store.open_verified(&descriptor).unwrap();
            io::copy(&mut reader, &mut io::sink()).unwrap_err().to_string()
        };
        assert_eq!(
            message,
            format!(
                "the stored blob {} is damaged (its bytes now have the digest {}); it was removed\n\
                 help: run the command again: the blob will be fetched or made anew",
                descriptor.digest,
                Digest::of(b"evil bytes")
            )
        );
        assert!(!store.has(&descriptor.digest));
    }
}

#[test]
fn a_descriptor_that_lies_about_the_size_is_refused_and_the_blob_stays() {
    let (_home, store) = store();
    store.put(b"1234").unwrap();
    let mut descriptor = Descriptor::of("text/plain", b"1234");
    let read = |descriptor: &Descriptor| {
        let mut bytes = Vec::new();
        store.open_verified(descriptor).unwrap().read_to_end(&mut bytes).map(|_| bytes)
    };
    assert_eq!(read(&descriptor).unwrap(), b"1234");
    descriptor.size = 5;
    assert_eq!(
        read(&descriptor).unwrap_err().to_string(),
        format!("{} has 4 bytes, but its descriptor says 5", descriptor.digest)
    );
    assert!(store.has(&descriptor.digest));
}

#[test]
fn a_partial_download_goes_on_where_it_stopped() {
    let (_home, store) = store();
    let digest = Digest::of(b"first second");
    let (mut partial, offset) = store.resume(&digest).unwrap();
    assert_eq!(offset, 0);
    partial.write_all(b"first ").unwrap();
    drop(partial);
    let (mut partial, offset) = store.resume(&digest).unwrap();
    assert_eq!(offset, 6);
    partial.write_all(b"second").unwrap();
    assert_eq!(partial.commit().unwrap(), (digest, 12));
    assert_eq!(store.read(&digest, 12).unwrap(), b"first second");
    assert!(ingest(&store).is_empty());
}

#[test]
fn a_partial_download_with_wrong_bytes_is_thrown_away() {
    let (_home, store) = store();
    let digest = Digest::of(b"right");
    let (mut partial, _) = store.resume(&digest).unwrap();
    partial.write_all(b"wrong").unwrap();
    assert!(matches!(partial.commit(), Err(ContentError::WrongDigest { .. })));
    assert!(ingest(&store).is_empty() && !store.has(&digest));
    let (mut partial, _) = store.resume(&digest).unwrap();
    partial.write_all(b"wrong").unwrap();
    partial.restart().unwrap();
    partial.write_all(b"right").unwrap();
    partial.commit().unwrap();
    assert_eq!(store.read(&digest, 5).unwrap(), b"right");
}

#[test]
fn two_downloads_of_one_blob_share_the_work() {
    let (_home, store) = store();
    let digest = Digest::of(b"shared");
    let (mut first, _) = store.resume(&digest).unwrap();
    assert!(store.try_resume(&digest).unwrap().is_none());
    let other = store.clone();
    let second = std::thread::spawn(move || {
        let (partial, offset) = other.resume(&digest).unwrap();
        let done = other.has(&digest);
        drop(partial);
        (offset, done)
    });
    first.write_all(b"shared").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    first.commit().unwrap();
    assert_eq!(second.join().unwrap(), (0, true));
    // The one who waited did not touch the blob that took the partial file's place.
    assert_eq!(store.read(&digest, 6).unwrap(), b"shared");
    assert!(ingest(&store).is_empty());
}

/// Not a test of its own: the process that `kill_nine_keeps_…` kills.
#[test]
#[ignore = "run by another test as its child process"]
fn child_that_downloads_until_it_is_killed() {
    let store = ContentStore::open(std::env::var_os("STORE").unwrap().into()).unwrap();
    let (mut partial, _) = store.resume(&Digest::of(b"never finished")).unwrap();
    partial.write_all(b"never ").unwrap();
    let mut writer = store.writer().unwrap();
    writer.write_all(b"orphan").unwrap();
    println!("written");
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn kill_nine_keeps_the_partial_download_and_orphans_are_swept() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("content");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg("content::store::tests::child_that_downloads_until_it_is_killed")
        .env("STORE", &root)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("written") {
        assert_ne!(io::BufRead::read_line(&mut lines, &mut line).unwrap(), 0, "{line}");
    }
    let digest = Digest::of(b"never finished");
    let store = ContentStore::open(root.clone()).unwrap();
    assert!(store.try_resume(&digest).unwrap().is_none(), "locked while the child lives");
    assert_eq!(ingest(&store).len(), 2, "another process writes: nothing is swept");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(store);
    let store = ContentStore::open(root).unwrap();
    assert_eq!(ingest(&store).len(), 1, "the orphan is gone, the download is not");
    let (mut partial, offset) = store.resume(&digest).unwrap();
    assert_eq!(offset, 6);
    partial.write_all(b"finished").unwrap();
    partial.commit().unwrap();
}
