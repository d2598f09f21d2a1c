//! The objects that a question of git wants: `want ID` in lines with their length in front (gitprotocol-common, "pkt-line").

use std::{collections::BTreeSet, io::Read};

use flate2::read::GzDecoder;

use super::query::LARGEST;

/// The objects, each once, sorted, with a space between them; none where nothing is wanted, or the question is not whole.
/// `zipped`: as gzip.
#[must_use]
pub fn commits(body: &[u8], zipped: bool) -> Option<String> {
    let mut plain = Vec::new();
    let lines = match zipped {
        true => {
            GzDecoder::new(body).take(LARGEST as u64).read_to_end(&mut plain).ok()?;
            plain.as_slice()
        }
        false => body,
    };
    let (mut rest, mut wanted) = (lines, BTreeSet::new());
    while let Some((length, _)) = rest.split_at_checked(4) {
        let length = usize::from_str_radix(std::str::from_utf8(length).ok()?, 16).ok()?;
        // Lengths below four are marks without a line.
        let (line, more) = rest.split_at_checked(length.max(4))?;
        rest = more;
        let Some(id) = line.get(4..).and_then(|line| line.strip_prefix(b"want ")) else { continue };
        let id = id.split(|byte| !byte.is_ascii_hexdigit()).next()?;
        let id = std::str::from_utf8(id).ok().filter(|id| matches!(id.len(), 40 | 64))?;
        wanted.insert(id);
    }
    let all: Vec<&str> = wanted.into_iter().collect();
    (!all.is_empty()).then(|| all.join(" "))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn line(text: &str) -> String {
        format!("{:04x}{text}", text.len() + 4)
    }

    #[test]
    fn the_commits_that_are_wanted_are_told_from_the_question() {
        let want = |id: &str, more: &str| line(&format!("want {id}{more}\n"));
        let first = format!("{}{}0000{}", want(ID, " ofs-delta"), want(ID, ""), line("done\n"));
        assert_eq!(commits(first.as_bytes(), false).as_deref(), Some(ID));
        let second = format!("{}0001{}0000", line("command=fetch"), want(ID, ""));
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        zipped.write_all(second.as_bytes()).unwrap();
        assert_eq!(commits(&zipped.finish().unwrap(), true).as_deref(), Some(ID));
        let two = format!("{}{}", want(ID, ""), want(&ID.replace('0', "1"), ""));
        let both = format!("{ID} {}", ID.replace('0', "1"));
        assert_eq!(commits(two.as_bytes(), false), Some(both));
        for none in [line("command=ls-refs\n").as_str(), "", "zzzz", "ffff", "0009want x"] {
            assert_eq!(commits(none.as_bytes(), false), None, "{none}");
        }
    }
}
