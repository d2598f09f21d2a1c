//! Stages that need each other.

use super::Plan;
use crate::dockerfile::Diagnostic;

/// So many instructions that reach forward are looked at; each takes time in proportion to the file.
/// (One that is needed is a fault anyway.)
const MAX_FORWARD: usize = 50;

impl Plan<'_> {
    /// The indexes of the stages that this one needs, and its own, in order.
    pub(super) fn reachable(&self, from: usize) -> Vec<usize> {
        let mut seen = vec![false; self.stages.len()];
        let mut open = vec![from];
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut seen[index], true) {
                open.extend(self.dependencies(index).into_iter().map(|(other, _)| other));
            }
        }
        (0..seen.len()).filter(|index| seen[*index]).collect()
    }

    /// A stage that copies from itself, and stages that need each other. FROM reaches only back, so each
    /// circle has an instruction that reaches forward; those are looked at.
    pub(super) fn circles(&self) -> Vec<Diagnostic> {
        let (mut found, mut forward) = (Vec::new(), 0);
        for index in 0..self.stages.len() {
            for (other, span) in self.dependencies(index) {
                if other < index || forward == MAX_FORWARD {
                    continue;
                }
                forward += 1;
                let label = |index: usize| self.file.stages[index].label(index);
                let (name, other_name) = (label(index), label(other));
                if other == index {
                    found.push(
                        Diagnostic::new(span, format!("the stage '{name}' needs itself"))
                            .help("copy from an earlier stage, or from the build context")
                            .related(self.file.stages[index].span, "the stage begins here"),
                    );
                } else if self.reachable(other).contains(&index) {
                    found.push(
                        Diagnostic::new(
                            span,
                            format!("the stages '{name}' and '{other_name}' need each other"),
                        )
                        .help("move what both need into a stage of its own before them")
                        .related(
                            self.file.stages[other].span,
                            format!("the stage '{other_name}' begins here"),
                        ),
                    );
                }
            }
        }
        found
    }
}
