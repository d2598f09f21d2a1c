//! Keeping within a cap without looking at everything after each build.

use std::{path::Path, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::{
    Removed, Space, SpaceError,
    choose::{Wish, choose},
};
use crate::{
    content::{
        hold::seconds,
        index::{Index, Table},
        records::Records,
    },
    oci::digest::Digest,
};

/// What was seen when everything was looked at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// Bytes of disk blocks in all.
    total: u64,
    /// Bytes that the file system had free.
    free: u64,
    /// When, in seconds since 1970.
    at: i64,
}

/// Others may free what builds take, so the file system's free space alone is not trusted for longer.
const HOUR: i64 = 3600;

impl Seen {
    /// May there be more than `cap` by now? What the file system lost since may all be ours.
    fn may_exceed(self, cap: u64, free: u64, now: i64) -> bool {
        let most = self.total.saturating_add(self.free.saturating_sub(free));
        most > cap || now.saturating_sub(self.at) > HOUR || now < self.at
    }
}

/// May what is below `data` take more than `cap` bytes? Answered from what was seen last.
#[must_use]
pub fn may_exceed(index: &std::sync::Arc<Index>, data: &Path, cap: u64) -> bool {
    let sizes = Records::new(index.clone(), Table::Sizes);
    let Some(seen) = sizes.get::<Seen>(&key()) else { return true };
    seen.may_exceed(cap, free(data), seconds(SystemTime::now()))
}

impl Space {
    /// Removes what was not used for the longest time until what is left takes no more than `cap` bytes,
    /// and a tenth less, so that not every build has to.
    ///
    /// # Errors
    /// As [`Space::survey`] and [`Space::remove`].
    pub async fn keep_within(&self, cap: u64) -> Result<Removed, SpaceError> {
        let items = self.survey().await?;
        let mut total: u64 = items.iter().map(|item| item.bytes).sum();
        let mut removed = Removed::default();
        if total > cap {
            let now = seconds(SystemTime::now());
            let wish = Wish { keep: Some(cap - cap / 10), now, ..Wish::default() };
            let chosen = choose(&items, &wish).into_iter().map(|at| items[at].clone());
            removed = self.remove(chosen.collect()).await?;
            total = total.saturating_sub(removed.bytes());
        }
        let seen = Seen { total, free: free(&self.data), at: seconds(SystemTime::now()) };
        // Without it the next build looks again.
        let _ = Records::new(self.index.clone(), Table::Sizes).put(&key(), &seen);
        Ok(removed)
    }
}

fn key() -> Digest {
    Digest::of(b"seen")
}

/// Bytes that the file system has free for this user.
fn free(data: &Path) -> u64 {
    rustix::fs::statvfs(data).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_last_answers_while_it_must_hold() {
        let seen = Seen { total: 60, free: 1000, at: 5000 };
        assert!(!seen.may_exceed(100, 1000, 5001));
        assert!(!seen.may_exceed(100, 960, 5001), "40 more at most");
        assert!(seen.may_exceed(100, 959, 5001));
        assert!(!seen.may_exceed(100, 2000, 5001), "others made room");
        assert!(seen.may_exceed(100, 1000, 5001 + HOUR));
        assert!(seen.may_exceed(100, 1000, 4999), "the clock was set back");
        assert!(seen.may_exceed(59, 1000, 5001), "the cap was lowered");
    }
}
