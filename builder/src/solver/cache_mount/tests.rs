use std::cell::Cell;

use super::*;

fn name(id: &str) -> CacheName {
    CacheName { id: id.into(), mode: 0o755, uid: 0, gid: 0, seed: None }
}

async fn lock(root: &Path, sharing: Sharing) -> Option<CacheDir> {
    let cancel = CancellationToken::new();
    let wait = Duration::from_millis(200);
    let apt = name("apt");
    let locked = CacheDir::lock(root, &apt, sharing, &cancel, |_| ());
    tokio::time::timeout(wait, locked).await.ok().map(Result::unwrap)
}

#[tokio::test]
async fn sharing_decides_who_waits() {
    let root = tempfile::tempdir().unwrap();
    let first = lock(root.path(), Sharing::Shared).await.unwrap();
    let second = lock(root.path(), Sharing::Shared).await.unwrap();
    assert_eq!(first.path(), second.path());
    assert!(lock(root.path(), Sharing::Locked).await.is_none(), "it waits for the others");
    let own = lock(root.path(), Sharing::Private).await.unwrap();
    assert_ne!(own.path(), first.path(), "a busy cache is not waited for");
    drop((first, second));
    let alone = lock(root.path(), Sharing::Locked).await.unwrap();
    assert!(lock(root.path(), Sharing::Shared).await.is_none());
    drop(alone);
    assert!(lock(root.path(), Sharing::Shared).await.is_some());
}

#[tokio::test]
async fn who_waits_says_so_once() {
    let root = tempfile::tempdir().unwrap();
    let held = lock(root.path(), Sharing::Locked).await.unwrap();
    let told = Cell::new(0);
    let cancel = CancellationToken::new();
    let apt = name("apt");
    let waiting = CacheDir::lock(root.path(), &apt, Sharing::Locked, &cancel, |id| {
        assert_eq!(id, "apt");
        told.set(told.get() + 1);
    });
    let free = async {
        tokio::time::sleep(PATIENCE * 4).await;
        drop(held);
    };
    let (taken, ()) = tokio::join!(waiting, free);
    taken.unwrap();
    assert_eq!(told.get(), 1);
}

#[tokio::test]
async fn a_cancelled_build_does_not_wait() {
    let root = tempfile::tempdir().unwrap();
    let _held = lock(root.path(), Sharing::Locked).await.unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let refused = CacheDir::lock(root.path(), &name("apt"), Sharing::Locked, &cancel, |_| ()).await;
    assert!(refused.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn another_owner_or_seed_is_another_cache() {
    let root = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    let names = [
        name("apt"),
        name("npm"),
        CacheName { uid: 7, ..name("apt") },
        CacheName { mode: 0o700, ..name("apt") },
        CacheName { seed: Some((vec![Digest::of(b"layer")], "/".into())), ..name("apt") },
    ];
    let mut found = Vec::new();
    for name in &names {
        let taken = CacheDir::lock(root.path(), name, Sharing::Shared, &cancel, |_| ());
        let taken = taken.await.unwrap();
        assert!(!found.contains(&taken.path));
        found.push(taken.path);
    }
}
