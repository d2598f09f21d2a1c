//! Snapshots that a machine which went down may have left half written.

use std::collections::{HashMap, HashSet};

use super::{SnapshotError, SnapshotInfo, Snapshots};
use crate::worker::unsettled::Unsettled;

/// Clocks are set now and then. What is removed without need costs only time.
const DOUBT_SECONDS: i64 = 60;

/// Removes every snapshot that was written when the machine went down, and what lies on it. To be called before
/// any snapshot is used, after what killed builds left was swept. Gives how many.
///
/// # Errors
/// When containerd does not answer, a snapshot cannot be removed, or the marks cannot be read or removed; then
/// no snapshot may be used.
pub async fn recover(snapshots: &Snapshots, unsettled: &Unsettled) -> Result<usize, SnapshotError> {
    let marks = SnapshotError::marks(unsettled.place());
    let Some(lost) = unsettled.lost().map_err(&marks)? else { return Ok(0) };
    let doubted = doubted(&snapshots.list().await?, lost.since - DOUBT_SECONDS);
    for name in &doubted {
        snapshots.remove(name).await?;
    }
    lost.forget().map_err(&marks)?;
    Ok(doubted.len())
}

/// The names of those made at `since` (seconds since 1970) or later with all that lies on them, the uppermost first.
fn doubted(all: &[SnapshotInfo], since: i64) -> Vec<String> {
    let mut children: HashMap<&str, Vec<&SnapshotInfo>> = HashMap::new();
    for info in all {
        children.entry(&info.parent).or_default().push(info);
    }
    let mut seen = HashSet::new();
    let mut lowest_first = Vec::new();
    // Lowest first by age alone would not do: two may be of the same second.
    let mut next: Vec<(&SnapshotInfo, bool)> =
        children.get("").into_iter().flatten().map(|info| (*info, false)).collect();
    while let Some((info, below)) = next.pop() {
        let doubtful = below || info.created >= since;
        if !seen.insert(&info.name) {
            continue;
        }
        if doubtful {
            lowest_first.push(info.name.clone());
        }
        let above = children.get(info.name.as_str()).into_iter().flatten();
        next.extend(above.map(|info| (*info, doubtful)));
    }
    lowest_first.reverse();
    lowest_first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::SnapshotKind;

    #[test]
    fn what_is_young_goes_with_all_that_lies_on_it_from_the_top() {
        let info = |name: &str, parent: &str, created| SnapshotInfo {
            name: name.into(),
            parent: parent.into(),
            kind: SnapshotKind::Committed,
            created,
            labels: HashMap::new(),
        };
        let all = [
            info("base", "", 10),
            info("step", "base", 20),
            info("on step", "step", 20),
            // Its clock was wrong.
            info("late", "on step", 5),
            info("other", "base", 19),
        ];
        assert_eq!(doubted(&all, 20), ["late", "on step", "step"]);
        assert_eq!(doubted(&all, 21), Vec::<String>::new());
        assert_eq!(doubted(&all, 0).len(), 5);
        assert_eq!(doubted(&all, 0).last().unwrap(), "base");
    }
}
