use std::fs;

use super::*;
use crate::layer::{UnpackOptions, unpack};

fn entry(id: &str) -> Entry {
    let name = CacheName { id: id.into(), mode: 0o755, uid: 0, gid: 0, seed: None };
    Entry { name, mode: 0o700, uid: 1, gid: 2 }
}

/// An archive with this table of contents and these members, each with a few bytes.
fn archive(table: &str, members: &[Member]) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
    let mut first = Member::new(TABLE, Kind::File, 0o644);
    first.size = table.len() as u64;
    writer.append(&first, table.as_bytes()).unwrap();
    for member in members {
        writer.append(member, io::repeat(7).take(member.size)).unwrap();
    }
    writer.finish().unwrap().finish().unwrap()
}

fn table(entries: &[Entry]) -> String {
    serde_json::to_string(&Table { version: VERSION, caches: entries.to_vec() }).unwrap()
}

fn file(path: &str) -> Member {
    Member { size: 3, ..Member::new(path, Kind::File, 0o644) }
}

fn fault(archive: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let options = UnpackOptions { owner: Some((own(0), own(1))), ..UnpackOptions::default() };
    read(archive, |_, tar| Ok(unpack(tar, dir.path(), options).map(drop)?)).unwrap_err().to_string()
}

/// Unpacking needs no rights where everything belongs to who runs the test.
fn own(which: usize) -> u32 {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    [user.as_raw(), group.as_raw()][which]
}

#[test]
fn what_is_written_is_read_and_the_bytes_follow_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    for folder in [&one, &two] {
        fs::create_dir_all(folder.join("deep/er")).unwrap();
        fs::write(folder.join("deep/er/file"), vec![b'x'; 70_000]).unwrap();
        fs::hard_link(folder.join("deep/er/file"), folder.join("same")).unwrap();
        std::os::unix::fs::symlink("/etc", folder.join("link")).unwrap();
        fs::write(folder.join("empty"), "").unwrap();
    }
    let (first, second) = (entry("a"), entry("b"));
    let caches = [(&first, one.as_path()), (&second, two.as_path())];
    let bytes = write(&caches, Vec::new()).unwrap();
    assert_eq!(bytes, write(&caches, Vec::new()).unwrap());
    let mut seen = Vec::new();
    let options = UnpackOptions { owner: Some((own(0), own(1))), ..UnpackOptions::default() };
    read(&bytes[..], |entry, tar| {
        let place = dir.path().join(format!("again-{}", entry.name.id));
        fs::create_dir(&place).unwrap();
        seen.push(entry.clone());
        Ok(unpack(tar, &place, options).map(drop)?)
    })
    .unwrap();
    assert_eq!(seen, [first, second]);
    let again = dir.path().join("again-b");
    assert_eq!(fs::read(again.join("same")).unwrap().len(), 70_000);
    assert_eq!(fs::read_link(again.join("link")).unwrap(), Path::new("/etc"));
    assert_eq!(fs::read(again.join("empty")).unwrap(), b"");
}

#[test]
fn a_cache_that_is_not_read_is_skipped() {
    let bytes = archive(&table(&[entry("a"), entry("b")]), &[file("0/x"), file("1/y")]);
    let mut count = 0;
    read(&bytes[..], |_, _| {
        count += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(count, 2);
}

#[test]
fn hostile_archives_are_refused() {
    let one = table(&[entry("a")]);
    assert!(fault(&archive(&one, &[file("0/../x")])).contains("leaves its cache"));
    let link = Member { link: b"/etc/passwd".into(), ..Member::new("0/l", Kind::Hardlink, 0) };
    assert!(fault(&archive(&one, &[link])).contains("leaves its cache"));
    let link = Member { link: b"../x".into(), ..Member::new("0/l", Kind::Symlink, 0o777) };
    let through = archive(&one, &[link, file("0/l/x")]);
    assert!(fault(&through).contains("'l'"), "{}", fault(&through));
    let other = fault(&archive(&one, &[file("1/x")]));
    assert!(other.contains("'1/x' belongs to no cache"), "{other}");
    let mut loud = entry("a");
    loud.uid = 70_000;
    assert!(fault(&archive(&table(&[loud]), &[])).contains("the mode or owner"));
    let mut bytes = archive(&one, &[file("0/x")]);
    bytes.truncate(bytes.len() - 5);
    let _ = fault(&bytes);
}

#[test]
fn other_files_are_told_from_archives() {
    assert!(fault(b"").contains("no file of `touchmark cache export`"));
    assert!(read(&b"not compressed"[..], |_, _| Ok(())).is_err());
    let plain = zstd::encode_all(&b"text"[..], 1).unwrap();
    assert!(fault(&plain).contains("no file of `touchmark cache export`"), "{}", fault(&plain));
    for table in ["", "{}", r#"{"version":2,"caches":[]}"#, r#"{"version":1,"caches":[],"x":1}"#] {
        assert!(fault(&archive(table, &[])).contains("no file of"), "{table}");
    }
}
