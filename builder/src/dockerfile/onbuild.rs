//! ONBUILD: an instruction kept for the stages that build on this one.

use super::{
    diagnostic::Diagnostic,
    instruction::{Instruction, Kind, Onbuild},
    parse,
    span::Span,
    statement::Statement,
};

pub(super) fn onbuild(statement: &mut Statement<'_>) -> Option<Kind> {
    statement.flags(&[]);
    if statement.arguments.is_empty() {
        let help = "write for example: ONBUILD COPY . /app";
        statement.fault_here("ONBUILD needs an instruction".into(), help);
        return None;
    }
    let mut inner = Statement::cut(statement.line, statement.arguments.clone(), statement.escape);
    inner.heredocs = std::mem::take(&mut statement.heredocs);
    inner.last_line = statement.last_line;
    let name = inner.name();
    if matches!(name.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
        let message = format!("{name} cannot be an ONBUILD trigger");
        statement.fault(&inner.keyword, message, "any other instruction can");
        return None;
    }
    let mut trigger = statement.rest().to_owned();
    for heredoc in &inner.heredocs {
        trigger = format!("{trigger}\n{}{}", heredoc.contents, heredoc.name);
    }
    let parsed = parse::instruction(&mut inner);
    statement.warnings.append(&mut inner.warnings);
    let instruction = match parsed {
        Some(instruction) if inner.faults.is_empty() => Ok(Box::new(instruction)),
        _ => Err(inner.faults),
    };
    for fault in instruction.as_ref().err().into_iter().flatten() {
        let message = format!("no stage can build on this one: {}", fault.message);
        statement.warnings.push(Diagnostic { message, ..fault.clone() });
    }
    Some(Kind::Onbuild(Onbuild { trigger, instruction }))
}

impl Instruction {
    /// Parses an ONBUILD trigger as an image configuration keeps it. The instruction and its faults
    /// stand at `place`, the FROM that brings the trigger in.
    ///
    /// # Errors
    /// The faults of the trigger.
    pub fn from_trigger(text: &str, place: Span) -> Result<Self, Vec<Diagnostic>> {
        parse::trigger(text, place)
    }
}
