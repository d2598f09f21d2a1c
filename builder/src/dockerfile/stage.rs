//! FROM, and the stage it begins.

use super::{
    diagnostic::Diagnostic,
    instruction::{Instruction, Located},
    span::Span,
    statement::{FlagKind::Value, Statement},
};

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The name behind AS, in lower case.
    pub name: Option<String>,
    /// The name as it is written.
    pub written_name: Option<Located>,
    /// The base: image, earlier stage or `scratch`. Variables are not expanded.
    pub base: Located,
    /// `--platform`. Variables are not expanded.
    pub platform: Option<Located>,
    /// The FROM instruction.
    pub span: Span,
    /// FROM as one line.
    pub text: String,
    /// The comments directly before it.
    pub comments: Vec<String>,
    /// The instructions that follow.
    pub instructions: Vec<Instruction>,
}

impl Stage {
    /// The name, else `stage-N`, as BuildKit shows it; N counts from 0.
    #[must_use]
    pub fn label(&self, index: usize) -> String {
        self.name.clone().unwrap_or_else(|| format!("stage-{index}"))
    }

    /// Parses FROM. A faulty one still begins a stage, so that what follows is judged rightly.
    pub(super) fn parse(statement: &mut Statement<'_>) -> Self {
        let flags = statement.flags(&[("platform", Value)]);
        let words = statement.words();
        let help = "write FROM image, or FROM image AS name";
        let mut name = None;
        match &words[..] {
            [] => statement.fault_here("FROM needs an image or a stage".into(), help),
            [_] => {}
            [_, keyword, written] if keyword.text.eq_ignore_ascii_case("as") => {
                let located = statement.located(written);
                if !is_name(&located.text.to_lowercase()) {
                    let shown: String = located.text.chars().take(60).collect();
                    statement.faults.push(
                        Diagnostic::new(located.span, format!("'{shown}' cannot name a stage")).help(
                            "begin with a letter and go on with letters, digits, '-', '_' and '.'",
                        ),
                    );
                }
                name = Some(located);
            }
            [_, keyword, ..] => {
                let range = keyword.range.start..statement.arguments.end;
                statement.fault(&range, "FROM takes one image and at most AS name".into(), help);
            }
        }
        let missing = Located { text: String::new(), span: statement.span(&statement.keyword) };
        Self {
            name: name.as_ref().map(|name| name.text.to_lowercase()),
            written_name: name,
            base: words.first().map_or(missing, |base| statement.located(base)),
            platform: flags.value("platform").filter(|platform| !platform.text.is_empty()),
            span: statement.whole(),
            text: statement.line.text.trim().to_owned(),
            comments: statement.line.comments.clone(),
            instructions: Vec::new(),
        }
    }
}

/// `[a-z][a-z0-9-_.]*`
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
}
