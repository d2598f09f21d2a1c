//! `touchmark cache prune`.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use serde_json::{Value, json};
use touchmark_builder::space::{Removed, choose::Wish};

use super::{du, filter::Filters};
use crate::{
    amount,
    error::CliError,
    ui::{
        printer::Printer,
        table::columns,
        text::{harmless, size},
    },
};

/// What goes.
#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// Also what touchmark needs to find the rest: afterwards nothing of any build is left
    #[arg(short, long)]
    pub(super) all: bool,
    /// Only what all of these hold for; see `cache du`
    #[arg(long, value_name = "NAME=VALUE")]
    filter: Vec<Filters>,
    /// Stop when no more than this is left, for example 20GB; what was not used for the longest time goes first
    #[arg(long, value_name = "SIZE", value_parser = size_of, visible_aliases = ["keep-storage", "reserved-space"])]
    max_used_space: Option<u64>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Print one object for programs
    #[arg(long)]
    json: bool,
    /// Also the names of what went
    #[arg(long)]
    verbose: bool,
}

fn size_of(text: &str) -> Result<u64, String> {
    amount::bytes(text).ok_or_else(|| format!("'{text}' is no size such as 20GB or 512MiB"))
}

impl PruneArgs {
    /// What shall go at this time, in seconds since 1970.
    pub(super) fn wish(&self, now: i64) -> Wish {
        let filters = self.filter.iter().flat_map(|filters| filters.0.clone()).collect();
        Wish { filters, keep: self.max_used_space, all: self.all, now }
    }

    /// Does it ask for everything without exception?
    pub(super) fn is_everything(&self) -> bool {
        self.all && self.filter.is_empty() && self.max_used_space.is_none()
    }

    /// Asks, unless that is not wanted; false when the answer is no.
    pub(super) fn is_confirmed(&self, printer: &Printer) -> Result<bool, CliError> {
        if self.force {
            return Ok(true);
        }
        if !io::stdin().is_terminal() {
            return Err(CliError::usage("nobody can be asked whether the cache may be removed")
                .hint("add --force"));
        }
        let what = match (self.all, self.filter.is_empty() && self.max_used_space.is_none()) {
            (true, true) => "Everything that builds left goes.",
            (false, true) => "Everything that no running build uses goes.",
            _ => "What was asked for goes.",
        };
        printer.prompt(&format!("{what} Later builds take longer. Continue? [y/N] "));
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        read.map_err(|error| CliError::environment(format!("no answer could be read: {error}")))?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// What went, as text.
    pub(super) fn show(&self, removed: &Removed) -> String {
        if self.json {
            let items: Vec<Value> = removed.items.iter().map(du::object).collect();
            return json!({"removed": items, "bytes": {"reclaimed": removed.bytes()}}).to_string();
        }
        let mut text = String::new();
        if !removed.items.is_empty() {
            let mut rows = vec![["TYPE", "SIZE", "DESCRIPTION"].map(str::to_owned).to_vec()];
            if self.verbose {
                rows[0].insert(1, "ID".to_owned());
            }
            for item in &removed.items {
                let about = harmless(&du::one_line(&item.about));
                let mut row = vec![item.kind.as_str().to_owned(), size(item.bytes), about];
                if self.verbose {
                    row.insert(1, item.id.clone());
                }
                rows.push(row);
            }
            text = columns(&rows) + "\n";
        }
        text + &format!("Total: {}\n", size(removed.bytes()))
    }
}
