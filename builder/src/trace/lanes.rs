//! Which spans are drawn in one line: those of a lane that do not overlap. What a span is made of stays with it.

use super::span::Trace;

/// The lines of a drawing.
pub(super) struct Lanes {
    /// Their names, from the top.
    pub(super) names: Vec<String>,
    /// The line of each span.
    pub(super) of: Vec<usize>,
}

/// Distributes the spans of `trace`.
pub(super) fn lanes(trace: &Trace) -> Lanes {
    let mut names: Vec<String> = Vec::new();
    // Of each line: its lane, and when its last span ended.
    let mut lines: Vec<(&str, std::time::Duration)> = Vec::new();
    let mut of = vec![0; trace.spans.len()];
    // Spans are in the order of their begin, parents first.
    for (index, span) in trace.spans.iter().enumerate() {
        if let Some(parent) = span.parent.filter(|parent| *parent != 0) {
            of[index] = of[parent];
            continue;
        }
        let free = lines.iter().position(|(lane, end)| *lane == span.lane && *end <= span.begin);
        let line = free.unwrap_or_else(|| {
            let same = lines.iter().filter(|(lane, _)| *lane == span.lane).count();
            names.push(match same {
                0 => span.lane.clone(),
                same => format!("{} ({})", span.lane, same + 1),
            });
            lines.push((&span.lane, span.end));
            lines.len() - 1
        });
        lines[line].1 = span.end;
        of[index] = line;
    }
    Lanes { names, of }
}
