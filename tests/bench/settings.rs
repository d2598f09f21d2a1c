//! What is asked for, in variables of the environment: `make bench ROWS=… RUNS=…`.

use std::{
    env,
    path::{Path, PathBuf},
};

/// What is asked for.
pub(crate) struct Settings {
    /// Keys of the rows to run; all of them when there is none.
    pub(crate) rows: Vec<String>,
    /// Runs of each row and builder whose time counts.
    pub(crate) runs: usize,
    /// The root directory that holds the other builders; mounted by scripts/bench. None where only downloads are measured.
    peers: Option<PathBuf>,
    /// Who runs touchmark.
    pub(crate) user: String,
    /// The registry's port.
    pub(crate) port: Option<u16>,
    /// Whether docs/benchmarks.* is written.
    pub(crate) record: bool,
}

impl Settings {
    /// Reads the environment; `known` are the keys of all rows.
    ///
    /// # Errors
    /// What is wrong, for the user.
    pub(crate) fn read(known: &[&str]) -> Result<Self, String> {
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let rows = text("ROWS").unwrap_or_default();
        let rows: Vec<String> =
            rows.split([' ', ',']).filter(|key| !key.is_empty()).map(str::to_owned).collect();
        if let Some(key) = rows.iter().find(|key| !known.contains(&key.as_str())) {
            return Err(format!("there is no row '{key}'\nhelp: the rows are {}", known.join(" ")));
        }
        let number = |name: &str, otherwise: Option<u64>| match text(name) {
            None => Ok(otherwise),
            Some(value) => match value.parse() {
                Ok(number @ 1..) => Ok(Some(number)),
                _ => Err(format!("{name} is '{value}', which is no number above 0")),
            },
        };
        let record = match text("RECORD").as_deref() {
            Some("yes") => true,
            Some("no") => false,
            Some(other) => return Err(format!("RECORD is '{other}', which is neither yes nor no")),
            None => rows.is_empty(),
        };
        let alone = !rows.is_empty() && rows.iter().all(|row| row.starts_with("download"));
        let peers = text("TOUCHMARK_BENCH_PEERS").map(PathBuf::from);
        if peers.is_none() && !alone {
            return Err("the other builders are not set up\nhelp: run 'make bench'".into());
        }
        Ok(Self {
            runs: number("RUNS", Some(5))?.unwrap_or(5) as usize,
            peers: peers.filter(|_| !alone),
            user: text("TOUCHMARK_BENCH_USER").unwrap_or_else(|| "touchmark-bench".into()),
            port: number("TOUCHMARK_BENCH_PORT", None)?.map(|port| port as u16),
            record,
            rows,
        })
    }

    /// The root directory that holds the other builders.
    pub(crate) fn peers(&self) -> &Path {
        self.peers.as_deref().expect("only asked for where there are some")
    }

    /// Whether other builders take part.
    pub(crate) fn has_peers(&self) -> bool {
        self.peers.is_some()
    }

    /// Whether the row with this key is to be run.
    pub(crate) fn wants(&self, key: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| wanted == key)
    }
}
