//! Which things go: a pure function of what there is.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use super::item::{Item, Kind};

/// One condition; all of them have to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// It was not used for so many seconds.
    UnusedFor(i64),
    /// It is of one of these kinds.
    Kinds(Vec<Kind>),
    /// Its name begins like this.
    Id(String),
    /// It belongs to something with this in its name.
    About(String),
    /// A running command needs it, or not.
    InUse(bool),
    /// More than one thing needs it, or not.
    Shared(bool),
}

impl Filter {
    /// Does it hold for `item`, `now` being the time in seconds since 1970?
    #[must_use]
    pub fn holds(&self, item: &Item, now: i64) -> bool {
        match self {
            Self::UnusedFor(seconds) => now.saturating_sub(item.used) >= *seconds,
            Self::Kinds(kinds) => kinds.contains(&item.kind),
            Self::Id(start) => item.id.starts_with(start),
            Self::About(part) => item.about.contains(part),
            Self::InUse(wanted) => item.in_use == *wanted,
            Self::Shared(wanted) => item.shared == *wanted,
        }
    }
}

/// What shall go.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Only what they hold for.
    pub filters: Vec<Filter>,
    /// Only until no more than this is left, in bytes.
    pub keep: Option<u64>,
    /// Also what touchmark needs to find the rest, where it can be made anew.
    pub all: bool,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// The places in `items` of those that go, in an order in which they can: what was not used for the longest
/// time first, and nothing before what lies on it.
///
/// Time runs at another speed for some. What is merely a second form of something that stays, and what can
/// be fetched again as a file, ages faster; layers of base images, which many builds share and a registry
/// has to send again, age at half the speed.
#[must_use]
pub fn choose(items: &[Item], wish: &Wish) -> Vec<usize> {
    let mut left: u64 = items.iter().map(|item| item.bytes).sum();
    let mut above: HashMap<&str, usize> = HashMap::new();
    for parent in items.iter().filter_map(|item| item.parent.as_deref()) {
        *above.entry(parent).or_default() += 1;
    }
    let places: HashMap<&str, usize> =
        items.iter().enumerate().filter_map(|(at, item)| Some((item.snapshot()?, at))).collect();
    let may_go = |item: &Item| {
        item.is_reclaimable()
            && (wish.all || item.kind != Kind::Internal)
            && wish.filters.iter().all(|filter| filter.holds(item, wish.now))
    };
    let free = |above: &HashMap<&str, usize>, item: &Item| {
        item.snapshot().is_none_or(|name| above.get(name).is_none_or(|count| *count == 0))
    };
    let entry = |at: usize| (age(&items[at], wish.now), Reverse(at));
    let mut next: BinaryHeap<(i64, Reverse<usize>)> = (0..items.len())
        .filter(|at| may_go(&items[*at]) && free(&above, &items[*at]))
        .map(entry)
        .collect();
    let mut gone = Vec::new();
    while wish.keep.is_none_or(|keep| left > keep) {
        let Some((_, Reverse(at))) = next.pop() else { break };
        gone.push(at);
        left = left.saturating_sub(items[at].bytes);
        let Some(parent) = items[at].parent.as_deref() else { continue };
        let count = above.entry(parent).or_default();
        *count = count.saturating_sub(1);
        if let Some(below) = places.get(parent)
            && *count == 0
            && may_go(&items[*below])
        {
            next.push(entry(*below));
        }
    }
    gone
}

/// Quarters of seconds since it was used, weighed.
fn age(item: &Item, now: i64) -> i64 {
    let quarters = match item.kind {
        Kind::Partial | Kind::Download => 16,
        Kind::Base => 2,
        _ if item.spare => 8,
        _ => 4,
    };
    now.saturating_sub(item.used).max(0).saturating_mul(quarters)
}

#[cfg(test)]
mod tests;
