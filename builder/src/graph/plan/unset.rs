//! A variable in FROM that is not set: what was meant, and where that is declared.

use super::Plan;
use crate::dockerfile::{Diagnostic, Instruction, Kind, Span, expansion::Expander, suggest};

impl Plan<'_> {
    /// The fault with its explanation, when `text` holds a variable that is not set; else with none.
    pub(super) fn explained(
        &self,
        fault: Diagnostic,
        text: &str,
    ) -> Result<Diagnostic, Diagnostic> {
        let unset = Expander::new('\\').expand(text, &self.global).map(|expanded| expanded.unset);
        let Some(name) = unset.ok().and_then(|unset| unset.into_iter().next()) else {
            return Err(fault);
        };
        if let Some(near) = suggest::nearest(&name, self.global.names()) {
            let explained = fault.help(format!("{name} is not set; did you mean {near}?"));
            return Ok(match declared(&self.file.global, near) {
                Some(place) => explained.related(place, format!("{near} is declared here")),
                None => explained,
            });
        }
        let help = format!("{name} is not set; declare it with ARG {name}=… before the first FROM");
        let stages = self.file.stages.iter();
        let inside = stages.filter_map(|stage| declared(&stage.instructions, &name)).next();
        let explained = fault.help(help);
        Ok(match inside {
            Some(place) => {
                explained.related(place, "this ARG counts only inside of its stage".to_owned())
            }
            None => explained,
        })
    }
}

/// Where an ARG among these declares `name` with a value or without.
fn declared(instructions: &[Instruction], name: &str) -> Option<Span> {
    instructions.iter().find_map(|instruction| match &instruction.kind {
        Kind::Arg(arguments) => {
            arguments.iter().find(|argument| argument.name == name).map(|argument| argument.span)
        }
        _ => None,
    })
}
