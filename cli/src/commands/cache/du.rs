//! `touchmark cache du`.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::format_description};
use touchmark_builder::space::{
    choose::Filter,
    item::{Item, Kind},
};

use super::filter::Filters;
use crate::ui::{
    table::columns,
    text::{harmless, size},
};

/// What is listed, and how.
#[derive(Debug, Args)]
pub(super) struct DuArgs {
    /// Also the names of things, when they were made and what they lie on
    #[arg(long)]
    verbose: bool,
    /// Only what all of these hold for: type=step|base|blob|download|mount|record|partial|internal, until=24h (not
    /// used for so long), id=, description=, inuse, shared, private
    #[arg(long, value_name = "NAME=VALUE")]
    filter: Vec<Filters>,
    /// How
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for people
    Table,
    /// One object for programs
    Json,
}

impl DuArgs {
    /// The conditions.
    pub(super) fn filter_list(&self) -> Vec<Filter> {
        self.filter.iter().flat_map(|filters| filters.0.clone()).collect()
    }
}

/// The listing as text.
pub(super) fn show(items: &[Item], args: &DuArgs) -> String {
    let mut items: Vec<&Item> = items.iter().collect();
    items.sort_by(|a, b| (b.bytes, &a.id).cmp(&(a.bytes, &b.id)));
    match args.format {
        Format::Table => table(&items, args.verbose),
        Format::Json => {
            let sums = Sums::of(&items);
            let items: Vec<Value> = items.iter().map(|item| object(item)).collect();
            let Sums { total, reclaimable, shared } = sums;
            let totals = json!({
                "total": total,
                "reclaimable": reclaimable,
                "shared": shared,
                "private": total - shared,
            });
            json!({"items": items, "bytes": totals}).to_string()
        }
    }
}

/// Bytes in all.
struct Sums {
    total: u64,
    reclaimable: u64,
    shared: u64,
}

impl Sums {
    fn of(items: &[&Item]) -> Self {
        let sum = |wanted: &dyn Fn(&Item) -> bool| {
            items.iter().filter(|item| wanted(item)).map(|item| item.bytes).sum()
        };
        Self {
            total: sum(&|_| true),
            reclaimable: sum(&|item| item.is_reclaimable() && item.kind != Kind::Internal),
            shared: sum(&|item| item.shared),
        }
    }
}

/// A thing as `--format json` shows it.
pub(super) fn object(item: &Item) -> Value {
    json!({
        "type": item.kind,
        "id": item.id,
        "description": item.about,
        "bytes": item.bytes,
        "created": item.made,
        "lastUsed": item.used,
        "shared": item.shared,
        "inUse": item.in_use,
        "reclaimable": item.is_reclaimable(),
        "parent": item.parent,
    })
}

fn table(items: &[&Item], verbose: bool) -> String {
    let mut heads = vec!["TYPE", "SIZE", "LAST USED", "SHARED", "IN USE"];
    if verbose {
        heads.extend(["ID", "MADE", "PARENT"]);
    }
    heads.push("DESCRIPTION");
    let mut rows = vec![heads.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for item in items {
        let mut row = vec![
            item.kind.as_str().to_owned(),
            size(item.bytes),
            date(item.used),
            yes(item.shared),
            yes(item.in_use),
        ];
        if verbose {
            let parent =
                item.parent.as_deref().map_or("-", |name| name.trim_start_matches("layer-"));
            row.extend([item.id.clone(), date(item.made), parent.chars().take(24).collect()]);
        }
        row.push(harmless(&one_line(&item.about)));
        rows.push(row);
    }
    let Sums { total, reclaimable, shared } = Sums::of(items);
    let sums = [
        ("Shared:", shared),
        ("Private:", total - shared),
        ("Reclaimable:", reclaimable),
        ("Total:", total),
    ];
    let sums: Vec<_> = sums.map(|(name, bytes)| vec![name.to_owned(), size(bytes)]).to_vec();
    format!("{}\n{}", columns(&rows), columns(&sums))
}

fn yes(truth: bool) -> String {
    if truth { "yes" } else { "-" }.to_owned()
}

/// An instruction over several lines is told by its first ones.
pub(super) fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(72) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn date(seconds: i64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok().filter(|_| seconds > 0);
    time.and_then(|time| time.format(&format).ok()).unwrap_or_else(|| "-".to_owned())
}
