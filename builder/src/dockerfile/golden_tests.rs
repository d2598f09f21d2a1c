//! Every folder of `golden/` is a case: `Dockerfile`, and `ast.txt` (instructions, then warnings) or
//! `error.txt` (whole messages). `UPDATE_GOLDEN=1` writes what is found.

use std::{fmt::Write as _, fs, path::Path};

use super::*;

fn show(instruction: &Instruction, out: &mut String) {
    let span = instruction.span;
    let comments = &instruction.comments;
    let _ = write!(out, "{}-{} ", span.first_line, span.last_line);
    let _ = write!(out, "{:#?}", instruction.kind);
    out.push_str(&format!("\n  text {:?}\n", instruction.text));
    if !comments.is_empty() {
        let _ = writeln!(out, "  comments {comments:?}");
    }
}

/// Spans take one line each and hide the rest; they are folded to `line:column-column`.
fn fold_spans(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(before) = line.strip_suffix("Span {") {
            let mut number = || {
                let line = lines.next().unwrap_or_default();
                line.trim().trim_end_matches(',').split(' ').next_back().unwrap_or("").to_owned()
            };
            let (first, last, column, end) = (number(), number(), number(), number());
            let tail = lines.next().unwrap_or_default().trim().trim_start_matches('}');
            let last = if first == last { String::new() } else { format!("..{last}") };
            let _ = writeln!(out, "{before}@{first}:{column}-{end}{last}{tail}");
        } else {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

fn ast(source: &str) -> Result<String, String> {
    let faults = match Dockerfile::parse(source) {
        Ok(dockerfile) => {
            let mut out = format!("{:?}\n", dockerfile.directives);
            dockerfile.global.iter().for_each(|instruction| show(instruction, &mut out));
            for stage in &dockerfile.stages {
                let platform = stage.platform.as_ref().map(|platform| platform.text.as_str());
                let _ = writeln!(
                    out,
                    "{} FROM {:?} name {:?} platform {platform:?}",
                    stage.span, stage.base.text, stage.name
                );
                stage.instructions.iter().for_each(|instruction| show(instruction, &mut out));
            }
            for warning in &dockerfile.warnings {
                out.push_str(&warning_excerpt("Dockerfile", source, warning));
            }
            return Ok(fold_spans(&out));
        }
        Err(faults) => faults,
    };
    Err(faults.iter().map(|fault| excerpt("Dockerfile", source, fault)).collect())
}

/// Compares what `find` makes of each case of a room's golden folder with `good`, or its fault with
/// `error.txt`. There are at least `least` cases.
pub(crate) fn compare(
    room: &str,
    good: &str,
    least: usize,
    find: impl Fn(&Path, &str) -> Result<String, String>,
) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room).join("golden");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut cases: Vec<_> = fs::read_dir(&root).unwrap().map(|case| case.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= least, "the golden folder is not where it should be");
    let mut different = Vec::new();
    for case in cases {
        let source = fs::read_to_string(case.join("Dockerfile")).unwrap();
        let (name, other, found) = match find(&case, &source) {
            Ok(text) => (good, "error.txt", text),
            Err(text) => ("error.txt", good, text),
        };
        if update {
            fs::write(case.join(name), &found).unwrap();
            let _ = fs::remove_file(case.join(other));
        }
        let expected = fs::read_to_string(case.join(name)).unwrap_or_default();
        if expected != found {
            different.push(format!("{}\n--- found\n{found}", case.join(name).display()));
        }
    }
    assert!(different.is_empty(), "UPDATE_GOLDEN=1 rewrites these:\n{}", different.join("\n"));
}

#[test]
fn golden() {
    compare("dockerfile", "ast.txt", 30, |_, source| ast(source));
}
