//! From text to stages: lines are joined, here-documents read, each instruction handed to its parser,
//! and the faults of all of them gathered.

use super::{
    Dockerfile,
    diagnostic::Diagnostic,
    directive::DirectiveReader,
    healthcheck,
    heredoc::Heredoc,
    instruction::{Instruction, Kind},
    line::{LogicalLine, PhysicalLines},
    onbuild, pairs, run, setting,
    span::Span,
    stage::Stage,
    statement::Statement,
};

/// More faults than this are not gathered; they would only hide the first ones.
const MAX_FAULTS: usize = 100;

/// The parser of an instruction.
type Parser = fn(&mut Statement<'_>) -> Option<Kind>;

/// Every instruction but FROM.
const PARSERS: [(&str, Parser); 17] = [
    ("ADD", super::copy::add),
    ("ARG", pairs::arg),
    ("CMD", setting::cmd),
    ("COPY", super::copy::copy),
    ("ENTRYPOINT", setting::entrypoint),
    ("ENV", pairs::env),
    ("EXPOSE", setting::expose),
    ("HEALTHCHECK", healthcheck::healthcheck),
    ("LABEL", pairs::label),
    ("MAINTAINER", setting::maintainer),
    ("ONBUILD", onbuild::onbuild),
    ("RUN", run::run),
    ("SHELL", setting::shell),
    ("STOPSIGNAL", setting::stop_signal),
    ("USER", setting::user),
    ("VOLUME", setting::volume),
    ("WORKDIR", setting::workdir),
];

/// Parses a whole file: what could be read, and the faults. A faulty instruction is left out.
pub(super) fn dockerfile(source: &str) -> (Dockerfile, Vec<Diagnostic>) {
    if let Some(fault) = not_text(source) {
        return (Dockerfile::default(), vec![fault]);
    }
    let mut lines = PhysicalLines::new(source);
    let mut directives = DirectiveReader::default();
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    let (mut global, mut stages): (Vec<Instruction>, Vec<Stage>) = (Vec::new(), Vec::new());
    let mut homeless = false;
    while let Some(line) = LogicalLine::read(&mut lines, &mut directives, &mut faults) {
        let mut statement = Statement::cut(&line, 0..line.text.len(), directives.escape());
        read_heredocs(&mut statement, &mut lines);
        warnings.extend(line.blank_line.map(|number| blank_line(number, &line)));
        if statement.name() == "FROM" {
            stages.push(Stage::parse(&mut statement));
        } else if let Some(instruction) = instruction(&mut statement) {
            match stages.last_mut() {
                Some(stage) => stage.instructions.push(instruction),
                None if matches!(instruction.kind, Kind::Arg(_)) => global.push(instruction),
                None if homeless => {}
                None => {
                    homeless = true;
                    let message = format!("{} stands before the first FROM", statement.name());
                    let help = "begin with FROM; only ARG may stand before it";
                    statement.fault_here(message, help);
                }
            }
        }
        faults.append(&mut statement.faults);
        warnings.append(&mut statement.warnings);
        if faults.len() >= MAX_FAULTS {
            break;
        }
    }
    if faults.is_empty() && stages.is_empty() {
        let fault = if global.is_empty() { "the Dockerfile is empty" } else { "there is no FROM" };
        faults.push(
            Diagnostic::new(Span::on_line(lines.number.max(1), 1, 2), fault)
                .help("write for example: FROM debian:bookworm"),
        );
    }
    faults.sort_by_key(|fault| (fault.span.first_line, fault.span.first_column));
    (Dockerfile { directives: directives.finish(), global, stages, warnings }, faults)
}

/// Parses an ONBUILD trigger, one instruction with its here-documents, always with `\` as escape
/// character. Whatever is found stands at `place`, the FROM that brings the trigger in.
pub(super) fn trigger(text: &str, place: Span) -> Result<Instruction, Vec<Diagnostic>> {
    let shown = text.lines().next().unwrap_or_default();
    let fault = |message: String| {
        Diagnostic::new(place, message).help("the trigger comes from the base; use another base")
    };
    let mut lines = PhysicalLines::new(text);
    let (mut directives, mut faults) = (DirectiveReader::default(), Vec::new());
    let Some(mut line) = LogicalLine::read(&mut lines, &mut directives, &mut faults) else {
        return Err(vec![fault("an ONBUILD trigger of the base is empty".into())]);
    };
    line.place = Some(place);
    let mut statement = Statement::cut(&line, 0..line.text.len(), '\\');
    read_heredocs(&mut statement, &mut lines);
    if LogicalLine::read(&mut lines, &mut directives, &mut faults).is_some() {
        let message =
            format!("the ONBUILD trigger '{shown}' of the base is more than one instruction");
        return Err(vec![fault(message)]);
    }
    if matches!(statement.name().as_str(), "FROM" | "ONBUILD" | "MAINTAINER") {
        return Err(vec![fault(format!(
            "the ONBUILD trigger '{shown}' of the base is not allowed"
        ))]);
    }
    let instruction = instruction(&mut statement);
    let found = faults.into_iter().chain(statement.faults);
    let found: Vec<Diagnostic> = found
        .map(|found| {
            let message = found.message;
            fault(format!("in the ONBUILD trigger '{shown}' of the base: {message}"))
        })
        .collect();
    instruction.ok_or(found)
}

/// Parses one instruction that is not FROM.
pub(super) fn instruction(statement: &mut Statement<'_>) -> Option<Instruction> {
    let name = statement.name();
    let Some((_, parser)) = PARSERS.iter().find(|(known, _)| *known == name) else {
        let written: String =
            statement.line.text[statement.keyword.clone()].chars().take(60).collect();
        let known = PARSERS.iter().map(|(name, _)| *name).chain(["FROM"]);
        let fault = Diagnostic::new(
            statement.span(&statement.keyword),
            format!("unknown instruction '{written}'"),
        );
        let help = "an instruction begins each line; a line that goes on ends with \\";
        statement.faults.push(fault.help(help).suggest(&written, known));
        return None;
    };
    let known_faults = statement.faults.len();
    let kind = parser(statement)?;
    // A faulty instruction is of no use, and the whole parse fails anyway.
    (statement.faults.len() == known_faults).then(|| Instruction {
        span: statement.whole(),
        keyword: statement.line.text[statement.keyword.clone()].to_owned(),
        text: statement.line.text[statement.range.clone()].to_owned(),
        comments: statement.line.comments.clone(),
        kind,
    })
}

/// Reads the here-documents that the instruction opens: RUN, COPY, ADD and ONBUILD of one of them, not
/// in exec form.
fn read_heredocs(statement: &mut Statement<'_>, lines: &mut PhysicalLines<'_>) {
    let (mut name, mut arguments) = (statement.name(), statement.rest());
    let inner;
    if name == "ONBUILD" {
        inner = Statement::cut(statement.line, statement.arguments.clone(), statement.escape);
        (name, arguments) = (inner.name(), inner.rest());
    }
    let is_json = arguments.starts_with('[')
        && serde_json::from_str::<Vec<serde_json::Value>>(arguments).is_ok();
    if !matches!(name.as_str(), "RUN" | "COPY" | "ADD") || is_json {
        return;
    }
    let text = &statement.line.text;
    for mut heredoc in Heredoc::find(text) {
        let start = text.find("<<").unwrap_or(0);
        let length = text[start..].find(char::is_whitespace).unwrap_or(text.len() - start);
        let span = statement.span(&(start..start + length));
        heredoc.read(lines, span, &mut statement.faults);
        statement.heredocs.push(heredoc);
    }
    statement.last_line = lines.number.max(statement.last_line);
}

/// A file with a NUL byte is no text, and each of its lines would be a fault of its own.
pub(super) fn not_text(source: &str) -> Option<Diagnostic> {
    let line = source[..source.find('\0')?].matches('\n').count() + 1;
    let fault =
        Diagnostic::new(Span::on_line(line, 1, 2), "this is a binary file, not a Dockerfile");
    Some(fault.help("name the Dockerfile with --file"))
}

fn blank_line(number: usize, line: &LogicalLine) -> Diagnostic {
    Diagnostic::new(Span::on_line(number, 1, 2), "a blank line stands inside an instruction")
        .help("remove it, or end the line before it without \\")
        .related(line.whole(), "the instruction begins here")
        .rule("NoEmptyContinuation")
}
