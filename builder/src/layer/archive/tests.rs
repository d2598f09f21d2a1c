use super::*;
use crate::layer::emit::ArchiveWriter;

fn written(members: &[(Member, &[u8])]) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new());
    for (member, content) in members {
        writer.append(member, *content).unwrap();
    }
    writer.finish().unwrap()
}

fn read_all(bytes: &[u8]) -> Result<Vec<(Member, Vec<u8>)>, ArchiveError> {
    let mut archive = Archive::new(bytes);
    let mut members = Vec::new();
    while let Some(member) = archive.next()? {
        let mut content = Vec::new();
        archive.read_to_end(&mut content)?;
        members.push((member, content));
    }
    Ok(members)
}

fn odd_member() -> Member {
    let mut member = Member::new("d/".repeat(200) + "é", Kind::File, 0o4755);
    member.uid = 3_000_000;
    member.gid = 65_535;
    member.size = 5;
    member.mtime = Mtime { seconds: -2, nanos: 500_000_000 };
    member.xattrs.insert("security.capability".into(), b"\x01\n\0\n8 path=x\n".to_vec());
    member
}

#[test]
fn what_is_written_is_read_back() {
    let mut link = Member::new("bin", Kind::Symlink, 0o777);
    link.link = "x".repeat(150).into_bytes();
    let mut null = Member::new("dev/null", Kind::Char, 0o666);
    null.device = (1, 3);
    let long = Member::new("p".repeat(120) + "/" + &"n".repeat(99), Kind::Directory, 0o755);
    let members = [(odd_member(), &b"hello"[..]), (link, b""), (null, b""), (long, b"")];
    let bytes = written(&members);
    let mut read = read_all(&bytes).unwrap();
    assert_eq!(read[3].0.path.pop(), Some(b'/'), "directories end with a slash");
    assert_eq!(read[0].1, b"hello");
    for ((wrote, _), (got, _)) in members.iter().zip(&read) {
        assert_eq!(wrote, got);
    }
    assert_eq!(bytes, written(&members), "same input, same bytes");
}

#[test]
fn the_tar_crate_reads_the_same() {
    let bytes = written(&[(Member::new("a".repeat(300), Kind::File, 0o644), b"")]);
    let mut other = tar::Archive::new(&bytes[..]);
    let entry = other.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(entry.path_bytes(), "a".repeat(300).as_bytes());
}

#[test]
fn gnu_long_names_are_read() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o600);
    builder.append_data(&mut header, "g".repeat(180), &b"ok"[..]).unwrap();
    let read = read_all(&builder.into_inner().unwrap()).unwrap();
    assert_eq!((read[0].0.path.len(), &read[0].1[..]), (180, &b"ok"[..]));
}

#[test]
fn raw_blocks_copy_an_entry_byte_for_byte() {
    let bytes = written(&[(odd_member(), b"hello")]);
    let mut archive = Archive::new(&bytes[..]);
    let member = archive.next().unwrap().unwrap();
    let raw = archive.raw().to_vec();
    let mut writer = ArchiveWriter::new(Vec::new());
    writer.append_raw(&raw, &mut archive, member.size).unwrap();
    assert_eq!(writer.finish().unwrap(), bytes);
}

#[test]
fn bytes_after_the_end_are_noticed() {
    let mut bytes = written(&[]);
    bytes.extend_from_slice(&[0; 512]);
    let mut archive = Archive::new(&bytes[..]);
    assert!(archive.next().unwrap().is_none() && !archive.trailing());
    bytes.extend_from_slice(&written(&[(Member::new("hidden", Kind::File, 0o644), b"")]));
    let mut archive = Archive::new(&bytes[..]);
    assert!(archive.next().unwrap().is_none() && archive.trailing());
}

fn extension(kind: u8, name: &str, body: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_entry_type(EntryType::new(kind));
    header.set_size(body.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

#[test]
fn each_hostile_form_has_its_message() {
    let file = || written(&[(Member::new("f", Kind::File, 0o644), b"")]);
    let after = |start: Vec<u8>| [start, file()].concat();
    let mut huge = extension(b'x', "pax", b"");
    huge[124..136].copy_from_slice(b"00010000000\0");
    let mut header = Header::from_byte_slice(&huge[..512]).clone();
    header.set_cksum();
    let mut endless = file();
    endless[124..136].copy_from_slice(&[0xff; 12]);
    let mut endless = Header::from_byte_slice(&endless[..512]).clone();
    endless.set_cksum();
    let comment = format!("1000000 comment={}\n", "x".repeat(1_000_000 - 17));
    let mut named = Member::new("big", Kind::File, 0o644);
    named.size = 600;
    let cut = written(&[(named, &[7; 600])]);
    let mut damaged = file();
    damaged[0] = b'g';
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            header.as_bytes().to_vec(),
            "the archive has an extended header of 2097152 bytes at byte 0; the most that is read \
             is 1048576",
        ),
        (endless.as_bytes().to_vec(), "entry 'f': its size is not a number"),
        (
            after(extension(b'g', "pax", comment.as_bytes()).repeat(6)),
            "entry '': more than 4 MiB of extended headers stand before it",
        ),
        (damaged, "the archive is damaged at byte 0: the header there has a wrong checksum"),
        (cut[..800].to_vec(), "the archive ends in the middle of 'big': it is truncated"),
        (cut[..300].to_vec(), "the archive ends in the middle of a header: it is truncated"),
        (
            extension(b'x', "pax", b"6 a=b\n"),
            "the archive ends in the middle of an extended header: it is truncated",
        ),
        (
            after(extension(b'g', "pax", b"11 path=up\n")),
            "entry '': a global PAX header sets 'path' for all entries, which unpackers read \
             differently",
        ),
        (after(extension(b'x', "pax", b"5 a=b")), "entry '': its PAX header is malformed"),
        (
            after([extension(b'x', "p", b"6 a=b\n"), extension(b'x', "p", b"6 a=b\n")].concat()),
            "entry '': two extended headers of one kind describe it",
        ),
        (
            after(
                [extension(b'L', "p", b"one\0"), extension(b'x', "p", b"12 path=two\n")].concat(),
            ),
            "entry 'two': it has two different names",
        ),
        (extension(b'S', "holes", b""), "entry 'holes': it is sparse; pack it without --sparse"),
        (extension(b'Q', "odd", b""), "entry 'odd': its type 'Q' is unknown"),
    ];
    for (bytes, message) in cases {
        let fault = match read_all(&bytes) {
            Err(ArchiveError::Read(inner)) => inner.to_string(),
            Err(fault) => fault.to_string(),
            Ok(read) => panic!("read as {read:?} instead of: {message}"),
        };
        assert_eq!(fault, message);
    }
}

#[test]
fn cut_and_flipped_archives_never_panic() {
    let bytes = written(&[(odd_member(), b"hello"), (Member::new("z", Kind::Fifo, 0o644), b"")]);
    for end in 0..bytes.len() {
        let _ = read_all(&bytes[..end]);
    }
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 0x81;
        let _ = read_all(&other);
    }
}
