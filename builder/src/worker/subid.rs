//! Subordinate id ranges: `/etc/subuid` and `/etc/subgid` (subuid(5)).

use super::WorkerUser;

/// How many ids a worker maps; a step sees 0..=65535.
pub const NEEDED: u64 = 65536;

/// The first id that distributions hand out.
const FIRST: u64 = 100_000;

/// One line of the file: `owner:first:count`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubordinateRange {
    /// A login name or a user id in decimal digits.
    pub owner: String,
    /// The first id of the range.
    pub first: u64,
    /// How many ids it holds.
    pub count: u64,
}

/// Reads the file's lines; a line that is not a range is passed over, as the system's own tools do.
#[must_use]
pub fn parse(text: &str) -> Vec<SubordinateRange> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<SubordinateRange> {
    let mut fields = line.trim().split(':');
    let owner = fields.next().filter(|owner| !owner.is_empty() && !owner.starts_with('#'))?;
    let first = fields.next()?.parse().ok()?;
    let count = fields.next()?.parse().ok()?;
    fields.next().is_none().then(|| SubordinateRange { owner: owner.to_owned(), first, count })
}

/// How many ids `user` owns.
#[must_use]
pub fn owned(ranges: &[SubordinateRange], user: &WorkerUser) -> u64 {
    let uid = user.uid.to_string();
    let own = ranges.iter().filter(|range| range.owner == user.name || range.owner == uid);
    own.fold(0, |sum, range| sum.saturating_add(range.count))
}

/// The first id of the lowest range of [`NEEDED`] ids, aligned to that size from 100000 on, that overlaps
/// none of `taken`.
#[must_use]
pub fn free_range(taken: &[SubordinateRange]) -> u64 {
    let overlaps = |first: u64, range: &SubordinateRange| {
        first < range.first.saturating_add(range.count) && range.first < first + NEEDED
    };
    let candidates = (FIRST..u64::from(u32::MAX) - NEEDED).step_by(65536);
    let mut free = candidates.filter(|first| !taken.iter().any(|range| overlaps(*first, range)));
    free.next().unwrap_or(FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_ids_and_passes_over_the_rest() {
        let ranges = parse("# comment\nana:100000:65536\n1000:300000:10\nbad\nana:x:1\n:1:2\n");
        assert_eq!(ranges.len(), 2);
        let ana = WorkerUser { name: "ana".into(), uid: 1000 };
        assert_eq!(owned(&ranges, &ana), 65546);
        assert_eq!(owned(&ranges, &WorkerUser { name: "ben".into(), uid: 1001 }), 0);
    }

    #[test]
    fn a_free_range_overlaps_none() {
        assert_eq!(free_range(&[]), 100_000);
        assert_eq!(free_range(&parse("a:100000:65536\nb:165536:65536")), 231_072);
        assert_eq!(free_range(&parse("a:100001:1\nb:231072:65536")), 165_536);
    }
}
