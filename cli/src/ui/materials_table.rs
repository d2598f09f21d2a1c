//! What went into an image, for people.

use touchmark_builder::materials::{
    material::{Material, Sort},
    overview::{Count, Group, Overview},
};

use super::{
    table::columns,
    text::{harmless, size},
};

/// The table of groups with their sum, then each thing that has no digest.
pub(crate) fn draw(overview: &Overview, materials: &[Material]) -> String {
    let head = ["FROM", "WHAT", "COUNT", "SIZE", "DIGEST", "VERIFIED"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(overview.groups.iter().map(row));
    let total = cells(&overview.total);
    rows.push([vec!["total".to_owned(), String::new()], total].concat());
    let mut text = columns(&rows);
    let gaps: Vec<&Material> = materials.iter().filter(|one| one.incomplete.is_some()).collect();
    if !gaps.is_empty() {
        text.push_str("\nwithout a digest:\n");
    }
    for gap in gaps {
        let why = gap.incomplete.as_deref().unwrap_or_default();
        text.push_str(&format!("  {}: {}\n", harmless(&gap.uri), harmless(why)));
    }
    let failed = |one: &&Material| one.status.is_some_and(|status| status >= 400);
    let errors = materials.iter().filter(failed).count();
    if errors > 0 {
        text.push_str(&format!("\nerror pages, as the steps got them: {errors}\n"));
    }
    text
}

fn row(group: &Group) -> Vec<String> {
    let place = &group.place;
    let from = match (place.origin.as_str(), &place.mirror) {
        ("", _) => "(this machine)".to_owned(),
        (origin, None) => harmless(origin),
        (origin, Some(mirror)) => format!("{} via {}", harmless(origin), harmless(mirror)),
    };
    let ecosystem = place.ecosystem.as_deref().map(harmless);
    let what = match (place.sort, ecosystem) {
        (Sort::Image, _) => "base images".to_owned(),
        (Sort::Context, _) => "context".to_owned(),
        (Sort::Git, _) => "repositories".to_owned(),
        (Sort::Package, ecosystem) => format!("{} packages", ecosystem.unwrap_or_default()),
        (Sort::File, Some(ecosystem)) => format!("{ecosystem} index"),
        (Sort::File, None) => "files".to_owned(),
    };
    [vec![from, what], cells(&group.count)].concat()
}

/// Count, size, digests, verified. What is said of all is a word, what is said of some a fraction.
fn cells(count: &Count) -> Vec<String> {
    let share = |of: u64, none: &str| match of {
        0 => none.to_owned(),
        all if all == count.count => "all".to_owned(),
        some => format!("{some} of {}", count.count),
    };
    let bytes = match count.without_size {
        all if all == count.count => "-".to_owned(),
        _ => size(count.bytes),
    };
    vec![
        count.count.to_string(),
        bytes,
        share(count.with_digest, "NONE"),
        share(count.verified, "-"),
    ]
}
