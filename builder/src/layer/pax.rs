//! PAX records (POSIX.1-2017, pax, "pax Extended Header"): `LENGTH KEY=VALUE\n`, where LENGTH counts
//! itself. Read by length and not by line, because the value of an extended attribute may hold
//! newlines, and a reader that splits lines can be shown another file than the one that is unpacked.

/// One record: key and value.
pub(crate) type Record = (String, Vec<u8>);

/// Reads all records of a header; `None` when it is malformed.
pub(crate) fn parse(mut data: &[u8]) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    while !data.is_empty() {
        let space = data.iter().take(20).position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&data[..space]).ok()?.parse().ok()?;
        if length > data.len() || length < space + 4 || data[length - 1] != b'\n' {
            return None;
        }
        let record = &data[space + 1..length - 1];
        let equals = record.iter().position(|byte| *byte == b'=')?;
        let key = std::str::from_utf8(&record[..equals]).ok()?;
        records.push((key.to_owned(), record[equals + 1..].to_vec()));
        data = &data[length..];
        // Some writers pad the header with NUL bytes.
        if data.iter().all(|byte| *byte == 0) {
            break;
        }
    }
    Some(records)
}

/// Appends one record to a header's body.
pub(crate) fn append(body: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    body.extend_from_slice(format!("{length} {key}=").as_bytes());
    body.extend_from_slice(value);
    body.push(b'\n');
}

/// Reads a decimal time, `seconds[.fraction]`, as (seconds, nanoseconds counted forward).
pub(crate) fn time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9.9}").parse().ok()?;
    match (whole.starts_with('-'), nanos) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos)),
        _ => Some((seconds, nanos)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_newlines_survive() {
        let mut body = Vec::new();
        append(&mut body, "SCHILY.xattr.user.x", b"1\n7 path=evil\n");
        append(&mut body, "path", &[b'p'; 91]);
        let records = parse(&body).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].1, b"1\n7 path=evil\n");
        assert!(
            body.windows(9).any(|part| part == b"101 path="),
            "the length counts its own digits"
        );
    }

    #[test]
    fn malformed_records_are_refused() {
        for bad in [&b"5 a=b"[..], b"x a=b\n", b"99 a=b\n", b"0 a=b\n", b"6 abc\n"] {
            assert_eq!(parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(parse(b"6 a=b\n\0\0").unwrap(), [("a".into(), b"b".to_vec())]);
    }

    #[test]
    fn times() {
        assert_eq!(time(b"1700000000.25"), Some((1_700_000_000, 250_000_000)));
        assert_eq!(time(b"-1.5"), Some((-2, 500_000_000)));
        assert_eq!(time(b"7"), Some((7, 0)));
        assert_eq!(time(b"1.x"), None);
    }
}
