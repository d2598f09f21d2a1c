//! Tables for people: aligned columns, the last one wrapped by nobody.

use touchmark_attest::policy::{Cover, Rejected, Status, Verdict};

use super::text::harmless;

/// Rows as aligned columns, two spaces apart, without trailing blanks.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or_default()).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A check made outside the verdict: of the image's own bytes.
#[derive(Debug, Clone)]
pub(crate) struct ContentCheck {
    /// What was looked at.
    pub(crate) name: &'static str,
    /// The answer.
    pub(crate) status: Status,
    /// The answer in words.
    pub(crate) detail: String,
    /// Did it fail because a registry did not answer?
    pub(crate) unanswered: bool,
}

/// The verdict table: each question with its answer, then the evidence that does not count.
pub(crate) fn verdict(name: &str, verdict: &Verdict, content: &[ContentCheck]) -> String {
    let mut rows = vec![vec!["CHECK".to_owned(), "RESULT".to_owned(), "DETAIL".to_owned()]];
    for check in content {
        rows.push(row(check.name, check.status, &check.detail));
    }
    for check in verdict.checks() {
        rows.push(row(check.name.as_str(), check.status, &check.detail));
    }
    let passed = verdict.passed() && content.iter().all(|check| check.status != Status::Failed);
    let mut text = format!("{}\n{}\n\n{}", harmless(name), verdict.image(), columns(&rows));
    if !verdict.platforms().is_empty() {
        text.push_str(&format!("\n{}", columns(&coverage(verdict))));
    }
    let of_platforms = verdict.platforms().iter().flat_map(|one| &one.rejected);
    let rejected: Vec<&Rejected> = verdict.rejected().iter().chain(of_platforms).collect();
    if !rejected.is_empty() {
        text.push_str("\nevidence that does not count:\n");
    }
    for rejected in rejected {
        text.push_str(&format!(
            "  {}  {}: {}\n",
            harmless(&short(&rejected.origin)),
            rejected.reason,
            harmless(&rejected.detail)
        ));
    }
    text.push_str(if passed { "\nVERIFIED\n" } else { "\nNOT VERIFIED\n" });
    text
}

/// Of an index: which platform has what, and where.
fn coverage(verdict: &Verdict) -> Vec<Vec<String>> {
    let head = ["PLATFORM", "MANIFEST", "SIGNATURE", "PROVENANCE", "SBOM", "HARDENING", "REBUILD"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for covered in verdict.platforms() {
        let mut row = vec![harmless(&covered.platform), short(&covered.image)];
        row.extend(covered.roles().map(|(cover, _)| {
            match cover {
                Cover::Own => "own",
                Cover::Index => "by index",
                Cover::Missing => "MISSING",
                Cover::NotRequired => "-",
            }
            .to_owned()
        }));
        rows.push(row);
    }
    rows
}

fn row(name: &str, status: Status, detail: &str) -> Vec<String> {
    let result = match status {
        Status::Done => "ok",
        Status::Failed => "FAILED",
        Status::Skipped => "skipped",
        Status::NotRequired => "-",
    };
    vec![name.to_owned(), result.to_owned(), harmless(detail)]
}

/// A digest shortened for the eye.
fn short(origin: &str) -> String {
    match origin.strip_prefix("sha256:") {
        Some(hex) => format!("sha256:{}", hex.chars().take(12).collect::<String>()),
        None => origin.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_end_clean() {
        let rows = [vec!["a".to_owned(), "bb".to_owned()], vec!["ccc".to_owned(), String::new()]];
        assert_eq!(columns(&rows), "a    bb\nccc\n");
    }
}
