//! Keeping within a cap.

use std::{sync::Arc, time::SystemTime};

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

/// Were there more than `cap` bytes when everything was looked at last?
#[must_use]
pub fn exceeded(index: &Arc<Index>, cap: u64) -> bool {
    let sizes = Records::new(index.clone(), Table::Sizes);
    sizes.get::<u64>(&key()).is_some_and(|total| total > cap)
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
        // Without it the next build does not know that there is too much already.
        let _ = Records::new(self.index.clone(), Table::Sizes).put(&key(), &total);
        Ok(removed)
    }
}

fn key() -> Digest {
    Digest::of(b"total")
}
