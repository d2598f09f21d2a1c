use std::{fs, process::Command, sync::Arc, thread};

use super::{super::records::Records, *};

fn records(dir: &Path) -> Records {
    Records::new(Arc::new(Index::open(dir)), Table::Results)
}

fn key(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

#[test]
fn a_document_outlives_the_process_and_its_kind_keeps_it_apart() {
    let dir = tempfile::tempdir().unwrap();
    let first = records(dir.path());
    assert_eq!(first.get::<u32>(&key("a")), None);
    first.put(&key("a"), &7_u32).unwrap();
    assert_eq!(first.get(&key("a")), Some(7_u32), "at once");
    drop(first);
    let second = records(dir.path());
    assert_eq!(second.get(&key("a")), Some(7_u32));
    assert_eq!(second.get::<String>(&key("a")), None, "what is not understood is absent");
    assert_eq!(second.of(Table::Layers).get::<u32>(&key("a")), None);
    assert_eq!(second.index().warning(), None);
}

#[test]
fn what_is_removed_is_gone_at_once_and_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (records(dir.path()), records(dir.path()));
    one.put(&key("a"), &1).unwrap();
    one.index().flush();
    assert_eq!(other.get(&key("a")), Some(1));
    one.index().remove([(Table::Results, key("a"))]);
    assert_eq!(one.get::<i32>(&key("a")), None);
    one.index().flush();
    assert_eq!(other.get::<i32>(&key("a")), None);
    assert_eq!(one.index().entries(Table::Results), Vec::new());
}

#[test]
fn several_writers_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for writer in 0..4 {
            let dir = dir.path();
            scope.spawn(move || {
                let records = records(dir);
                for number in 0..50 {
                    records.put(&key(&format!("{writer} {number}")), &number).unwrap();
                }
                assert_eq!(records.index().warning(), None);
            });
        }
    });
    assert_eq!(records(dir.path()).index().entries(Table::Results).len(), 200);
}

#[test]
fn a_recent_use_is_not_written_an_older_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let first = records(dir.path());
    first.put(&key("a"), &1).unwrap();
    drop(first);
    let second = records(dir.path());
    assert_eq!(second.get(&key("a")), Some(1));
    second.index().flush();
    assert!(second.index().writer.lock().unwrap().is_none(), "nothing was written");
    drop(second);
    let database = Connection::open(dir.path().join("index.db")).unwrap();
    database.execute("UPDATE entry SET used = 1000, made = 1000", []).unwrap();
    drop(database);
    let third = records(dir.path());
    assert_eq!(third.get(&key("a")), Some(1));
    let entries = third.index().entries(Table::Results);
    assert_eq!(entries[0].made, 1000);
    assert!(now() - entries[0].used < HOUR);
}

#[test]
fn a_damaged_or_foreign_file_is_put_aside_with_one_warning() {
    let damages: [&dyn Fn(&Path); 4] = [
        &|file| fs::write(file, b"").unwrap(),
        &|file| fs::write(file, [b'x'; 9000]).unwrap(),
        &|file| {
            let database = Connection::open(file).unwrap();
            database.execute_batch("PRAGMA user_version = 99").unwrap();
        },
        &|file| File::create(file.with_file_name("damaged")).map(drop).unwrap(),
    ];
    for damage in damages {
        let dir = tempfile::tempdir().unwrap();
        drop(records(dir.path()));
        damage(&dir.path().join("index.db"));
        let records = records(dir.path());
        let warning = records.index().warning().unwrap();
        assert!(warning.contains("was put aside and begun anew"), "{warning}");
        assert_eq!(records.index().warning(), None, "once");
        records.put(&key("a"), &1).unwrap();
        records.index().flush();
        assert!(dir.path().join("aside/index.db").is_file());
        assert_eq!(self::records(dir.path()).get(&key("a")), Some(1));
    }
}

#[test]
fn damage_inside_is_found_when_it_is_read_and_repaired_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let first = records(dir.path());
    for number in 0..500 {
        first.put(&key(&number.to_string()), &vec![number; 50]).unwrap();
    }
    drop(first);
    let path = dir.path().join("index.db");
    Connection::open(&path).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let second = records(dir.path());
    assert_eq!(second.get::<Vec<i32>>(&key("7")), None);
    second.put(&key("7"), &vec![1]).unwrap();
    assert_eq!(second.get(&key("7")), Some(vec![1]), "this process knows what it wrote");
    assert!(second.index().warning().unwrap().contains("is damaged"));
    drop(second);
    let third = records(dir.path());
    assert!(third.index().warning().unwrap().contains("put aside"));
    assert_eq!(third.get::<Vec<i32>>(&key("7")), None);
}

#[test]
fn without_a_database_the_process_remembers_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let records = records(&file.join("index"));
    records.put(&key("a"), &1).unwrap();
    assert_eq!(records.get(&key("a")), Some(1));
    assert!(records.index().warning().unwrap().contains("not kept"));
}

/// Writes until it is killed; the child of the test below.
#[test]
#[ignore = "run by another test"]
fn child_that_writes() {
    let records = records(Path::new(&std::env::var("INDEX_DIR").unwrap()));
    for number in 0.. {
        records.put(&key(&number.to_string()), &vec![number; 200]).unwrap();
        records.index().flush();
        fs::write(records.dir().join("reached"), number.to_string()).unwrap();
    }
}

#[test]
fn a_killed_writer_leaves_a_whole_index() {
    let dir = tempfile::tempdir().unwrap();
    let reached = dir.path().join("reached");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "content::index::tests::child_that_writes", "--ignored"])
        .env("INDEX_DIR", dir.path())
        .spawn()
        .unwrap();
    let number = || fs::read_to_string(&reached).ok().and_then(|text| text.parse::<i32>().ok());
    while number().is_none_or(|number| number < 20) {
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let records = records(dir.path());
    assert_eq!(records.index().warning(), None);
    assert_eq!(records.get(&key("20")), Some(vec![20; 200]));
    let reader = lock(&records.index().reader);
    let check = reader.as_ref().unwrap();
    let check = check.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(check.unwrap(), "ok");
}
