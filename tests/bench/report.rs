//! docs/benchmarks.md, from what was kept.

use serde_json::Value;

use crate::result::{measured, median, numbers, ratio};

/// What stands around the tables.
const BEFORE: &str = include_str!("before.md");
const AFTER: &str = include_str!("after.md");

/// The whole document.
pub(crate) fn document(results: &Value) -> String {
    format!("{BEFORE}\n{}\n{}\n{AFTER}", machine(&results["machine"]), tables(results))
}

/// All tables.
pub(crate) fn tables(results: &Value) -> String {
    let rows = results["rows"].as_array().cloned().unwrap_or_default();
    let mut text = String::new();
    if !rows.is_empty() {
        text.push_str("## Beside the others\n\n![ratios touchmark/BuildKit](benchmarks.svg)\n\n");
        text.push_str(
            "| row | | touchmark | BuildKit | buildah | touchmark/BuildKit | at most | |\n",
        );
        text.push_str("|---|---|---:|---:|---:|---:|---:|---|\n");
        rows.iter().for_each(|row| text.push_str(&clock(row)));
        text.push_str(&memory_bound(&rows));
        text.push_str("\n### Memory, bytes written, processor time\n\n");
        text.push_str(
            "| row | builder | peak memory | of it before | bytes written | processor time |\n",
        );
        text.push_str("|---|---|---:|---:|---:|---:|\n");
        rows.iter().for_each(|row| text.push_str(&usage(row)));
        text.push_str(&reasons(&rows));
    }
    text.push_str(&downloads(results));
    let growth = results["growth"].as_array().cloned().unwrap_or_default();
    if !growth.is_empty() {
        text.push_str(
            "\n## Growth, touchmark alone\n\n![time and memory](benchmarks-growth.svg)\n\n",
        );
        text.push_str(
            "| what grows | size | time | exponent | peak memory | exponent | bytes written |\n",
        );
        text.push_str("|---|---:|---:|---:|---:|---:|---:|\n");
        growth.iter().for_each(|series| text.push_str(&grown(series)));
    }
    text
}

fn machine(machine: &Value) -> String {
    let text = |key: &str| machine[key].as_str().unwrap_or("?").to_owned();
    let builders = machine["builders"].as_array().into_iter().flatten();
    let builders: String =
        builders.filter_map(Value::as_str).map(|builder| format!("- {builder}\n")).collect();
    format!(
        "## What was measured, and on what\n\n\
         {}, commit {}, {} runs of each; {} cores of {}, {} of memory, Linux {}; {} processes wanted to run when it began.\n\n{builders}",
        text("date"),
        text("commit"),
        machine["runs"],
        machine["cores"],
        text("processor"),
        bytes(machine["memory"].as_f64().unwrap_or_default()),
        text("kernel"),
        text("load"),
    )
}

fn clock(row: &Value) -> String {
    let ratio = ratio(row, "wall");
    let bound = row["bound"].as_f64();
    let verdict = match (ratio, bound) {
        (Some(ratio), Some(bound)) if ratio <= bound => "reached",
        (Some(_), Some(_)) => "**not reached**",
        (None, Some(_)) => "**not measured**",
        _ => "",
    };
    format!(
        "| {} | `{}` | {} | {} | {} | {} | {} | {verdict} |\n",
        row["title"].as_str().unwrap_or_default(),
        row["row"].as_str().unwrap_or_default(),
        time(row, "touchmark"),
        time(row, "BuildKit"),
        time(row, "buildah"),
        ratio.map_or("–".into(), |ratio| format!("**{ratio:.2}**")),
        bound.map_or("–".into(), |bound| format!("{bound:.1}")),
    )
}

/// The median, and between brackets the least and the most.
fn time(row: &Value, builder: &str) -> String {
    let Some(entry) = measured(row, builder) else { return absence(row, builder) };
    let walls = numbers(&entry["wall"]);
    let least = walls.iter().copied().fold(f64::INFINITY, f64::min);
    let most = walls.iter().copied().fold(0.0, f64::max);
    let middle = median(walls).unwrap_or_default();
    format!("{} ({}–{})", seconds(middle), seconds(least), seconds(most))
}

fn absence(row: &Value, builder: &str) -> String {
    let entries = row["builders"].as_array().into_iter().flatten();
    let mut own = entries.filter(|entry| entry["builder"] == builder);
    match own.next().and_then(|entry| entry["outcome"].as_str()) {
        Some("failed") => "**failed**".into(),
        Some("pending") => "*pending*".into(),
        _ => "–".into(),
    }
}

/// The row about memory: the worst of all rows.
fn memory_bound(rows: &[Value]) -> String {
    let ratios = rows.iter().filter_map(|row| Some((ratio(row, "peak")?, row)));
    let Some((worst, row)) = ratios.max_by(|one, other| one.0.total_cmp(&other.0)) else {
        return String::new();
    };
    let peak = |builder| measured(row, builder).and_then(|entry| entry["peak"].as_f64());
    let shown = |builder| peak(builder).map_or("–".into(), bytes);
    let verdict = if worst <= 0.5 { "reached" } else { "**not reached**" };
    format!(
        "| peak memory, the worst of all rows | `{}` | {} | {} | {} | **{worst:.2}** | 0.5 | {verdict} |\n",
        row["row"].as_str().unwrap_or_default(),
        shown("touchmark"),
        shown("BuildKit"),
        shown("buildah"),
    )
}

fn usage(row: &Value) -> String {
    let of = |builder: &str| {
        let entry = measured(row, builder)?;
        let number = |key: &str| median(numbers(&entry[key]));
        Some(format!(
            "| `{}` | {builder} | {} | {} | {} | {} |\n",
            row["row"].as_str().unwrap_or_default(),
            number("peak").map_or("–".into(), bytes),
            number("idle").map_or("–".into(), bytes),
            number("written").map_or("–".into(), bytes),
            number("cpu").map_or("–".into(), seconds),
        ))
    };
    ["touchmark", "BuildKit", "buildah"].into_iter().filter_map(of).collect()
}

/// Why somebody is missing somewhere.
fn reasons(rows: &[Value]) -> String {
    let mut text = String::new();
    for row in rows {
        for entry in row["builders"].as_array().into_iter().flatten() {
            let (Some(reason), Some(kind)) = (entry["reason"].as_str(), entry["outcome"].as_str())
            else {
                continue;
            };
            let (key, builder) = (row["row"].as_str().unwrap_or_default(), &entry["builder"]);
            let builder = builder.as_str().unwrap_or_default();
            let reason = reason.replace('\n', " / ");
            text.push_str(&format!("- `{key}`, {builder}: {kind}: {reason}\n"));
        }
    }
    if text.is_empty() { text } else { format!("\nWho is missing where:\n\n{text}") }
}

/// What steps download, beside the same on the host.
fn downloads(results: &Value) -> String {
    let rows = results["downloads"].as_array().cloned().unwrap_or_default();
    if rows.is_empty() {
        return String::new();
    }
    let line = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap_or_default();
        if !row["failed"].is_null() {
            return format!("| {} | `{}` | **failed** | | | | | |\n", text("title"), text("row"));
        }
        let time = |key: &str| median(numbers(&row[key])).map_or("–".into(), seconds);
        let (ratio, bound) = (crate::downloads::ratio(row), row["bound"].as_f64());
        let verdict = match (ratio, bound) {
            (Some(ratio), Some(bound)) if ratio <= bound => "reached",
            (_, Some(_)) => "**not reached**",
            (_, None) => "",
        };
        format!(
            "| {} | `{}` | {} | {} | {} | {} | {verdict} | {} |\n",
            text("title"),
            text("row"),
            time("step"),
            time("host"),
            ratio.map_or("–".into(), |ratio| format!("**{ratio:.2}**")),
            bound.map_or("–".into(), |bound| format!("{bound:.2}")),
            row["peak"].as_f64().map_or("–".into(), bytes),
        )
    };
    format!(
        "\n## Downloads through inspection, touchmark alone\n\n\
         | row | | in a step | on the host | step/host | at most | | peak memory |\n\
         |---|---|---:|---:|---:|---:|---|---:|\n{}",
        rows.iter().map(line).collect::<String>()
    )
}

fn grown(series: &Value) -> String {
    let mut text = String::new();
    let mut before: Option<&Value> = None;
    for point in series["points"].as_array().into_iter().flatten() {
        let title = series["title"].as_str().unwrap_or_default();
        let size = point["size"].as_u64().unwrap_or_default();
        if let Some(reason) = point["failed"].as_str() {
            let reason = reason.replace('\n', " / ");
            text.push_str(&format!("| {title} | {size} | **failed**: {reason} | | | | |\n"));
            continue;
        }
        let number = |key: &str| point[key].as_f64().unwrap_or_default();
        let exponent = |key: &str| match before.and_then(|before| exponent(before, point, key)) {
            Some(exponent) => format!("{exponent:.2}"),
            None => String::new(),
        };
        text.push_str(&format!(
            "| {title} | {size} | {} | {} | {} | {} | {} |\n",
            seconds(number("wall")),
            exponent("wall"),
            bytes(number("peak")),
            exponent("peak"),
            bytes(number("written")),
        ));
        before = Some(point);
    }
    text
}

/// With which power of the size `key` grows between two points: 1 is linear, 0 is flat.
pub(crate) fn exponent(before: &Value, after: &Value, key: &str) -> Option<f64> {
    let growth = |key: &str| Some(after[key].as_f64()? / before[key].as_f64()?);
    Some(growth(key)?.ln() / growth("size")?.ln()).filter(|exponent| exponent.is_finite())
}

/// Milliseconds, as people say them.
pub(crate) fn seconds(milliseconds: f64) -> String {
    match milliseconds {
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 10_000.0 => format!("{:.2} s", ms / 1_000.0),
        ms => format!("{:.1} s", ms / 1_000.0),
    }
}

/// Bytes, as people say them.
pub(crate) fn bytes(bytes: f64) -> String {
    match bytes {
        bytes if bytes < 1e6 => format!("{:.0} kB", bytes / 1e3),
        bytes if bytes < 1e9 => format!("{:.0} MB", bytes / 1e6),
        bytes => format!("{:.2} GB", bytes / 1e9),
    }
}
