//! How touchmark's time and memory grow with what it is given.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{context, meter::Watch, result, stage::Stage};

/// A build that takes longer is run once: sampling its memory costs it nothing that could be seen.
const LONG: Duration = Duration::from_secs(12);

/// Something that grows.
pub(crate) struct Series {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    sizes: &'static [u64],
    write: fn(&Path, &str, u64),
}

/// All of them, in the order of the report.
pub(crate) fn all() -> Vec<Series> {
    vec![
        Series {
            key: "growth-settings",
            title: "instructions that run nothing",
            sizes: &[10, 200, 1_000],
            write: settings,
        },
        Series { key: "growth-runs", title: "RUN steps", sizes: &[50, 200], write: runs },
        Series {
            key: "growth-files",
            title: "files",
            sizes: &[2_000, 20_000, 200_000],
            write: files,
        },
        Series {
            key: "growth-bytes",
            title: "bytes of one file",
            sizes: &[100_000_000, 1_000_000_000, 4_000_000_000],
            write: bytes,
        },
    ]
}

impl Series {
    /// Builds each size from a cold start.
    pub(crate) fn run(&self, stage: &mut Stage) -> Value {
        let points = self.sizes.iter().map(|&size| {
            let context =
                stage.context(self.key, |dir, registry| (self.write)(dir, registry, size));
            let point = point(stage, &context);
            let _ = fs::remove_dir_all(&context);
            match point {
                Ok((wall, peak, written)) => {
                    println!(
                        "   {}: {size}, {wall:.0} ms, at most {} MB",
                        self.key,
                        peak / 1_000_000
                    );
                    json!({"size": size, "wall": wall, "peak": peak, "written": written})
                }
                Err(error) => {
                    println!("   {}: {size} FAILED: {error}", self.key);
                    json!({"size": size, "failed": error})
                }
            }
        });
        let points: Vec<Value> = points.collect();
        json!({"row": self.key, "title": self.title, "points": points})
    }
}

/// Milliseconds, peak of memory and bytes written of a context.
fn point(stage: &mut Stage, context: &Path) -> Result<(f64, u64, u64), String> {
    let first = stage.alone(context, Watch::Memory)?;
    let mut times = Vec::new();
    if first.wall < LONG {
        for _ in 0..3 {
            times.push(result::milliseconds(stage.alone(context, Watch::Time)?.wall));
        }
    }
    let wall = result::median(times).unwrap_or_else(|| result::milliseconds(first.wall));
    Ok((wall, first.peak.unwrap_or_default(), first.usage.written))
}

fn settings(dir: &Path, registry: &str, count: u64) {
    context::dockerfile(dir, &context::settings(&context::busybox(registry), count as usize));
}

fn runs(dir: &Path, registry: &str, count: u64) {
    context::dockerfile(dir, &context::runs(&context::busybox(registry), count as usize));
}

fn files(dir: &Path, registry: &str, count: u64) {
    let base = context::busybox(registry);
    context::dockerfile(dir, &format!("FROM {base}\nCOPY files /srv/files\n"));
    context::small_files(dir, count as usize);
}

fn bytes(dir: &Path, registry: &str, count: u64) {
    let base = context::busybox(registry);
    context::dockerfile(dir, &format!("FROM {base}\nCOPY large /srv/\n"));
    context::large_file(&dir.join("large"), count);
}
