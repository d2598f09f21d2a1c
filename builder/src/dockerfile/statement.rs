//! One instruction while it is parsed: its text cut into keyword, flags and arguments, and a place for
//! the faults found in it.

use std::ops::Range;

use super::{
    diagnostic::Diagnostic,
    heredoc::Heredoc,
    instruction::{CommandLine, Located},
    line::LogicalLine,
    span::Span,
    word::{self, Word},
};

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlagKind {
    /// Nothing, or `true` or `false`.
    Switch,
    /// One value.
    Value,
    /// A value each time it is given.
    Values,
}

/// The flags an instruction knows.
pub(super) type Known = &'static [(&'static str, FlagKind)];

/// A flag that was given.
#[derive(Debug)]
struct Flag {
    name: &'static str,
    value: Located,
}

/// The flags that were given.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<Flag>);

impl Flags {
    /// The value of a flag that is given at most once.
    pub(super) fn value(&self, name: &str) -> Option<Located> {
        self.values(name).next()
    }

    /// The values of a flag, in order.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = Located> {
        self.0.iter().filter(move |flag| flag.name == name).map(|flag| flag.value.clone())
    }

    /// A switch that was given.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.value(name).map(|value| value.text == "true")
    }
}

/// An instruction that is being parsed.
pub(super) struct Statement<'a> {
    pub(super) line: &'a LogicalLine,
    pub(super) escape: char,
    /// From the keyword to the end, in bytes of the line.
    pub(super) range: Range<usize>,
    pub(super) keyword: Range<usize>,
    flags: Vec<Word>,
    pub(super) arguments: Range<usize>,
    pub(super) heredocs: Vec<Heredoc>,
    /// Last line of the last heredoc, else of the instruction.
    pub(super) last_line: usize,
    pub(super) faults: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
}

impl<'a> Statement<'a> {
    /// Cuts the instruction in this range of the line.
    pub(super) fn cut(line: &'a LogicalLine, range: Range<usize>, escape: char) -> Self {
        let cut = word::command(&line.text, range, escape);
        let end = cut.arguments.end.max(cut.keyword.end);
        let end = cut.flags.last().map_or(end, |flag| flag.range.end.max(end));
        Self {
            line,
            escape,
            range: cut.keyword.start..end,
            keyword: cut.keyword,
            flags: cut.flags,
            arguments: cut.arguments,
            heredocs: Vec::new(),
            last_line: line.last_line,
            faults: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The keyword in capitals.
    pub(super) fn name(&self) -> String {
        self.line.text[self.keyword.clone()].to_uppercase()
    }

    /// The arguments as they are written.
    pub(super) fn rest(&self) -> &'a str {
        &self.line.text[self.arguments.clone()]
    }

    pub(super) fn span(&self, range: &Range<usize>) -> Span {
        self.line.span(range.clone())
    }

    /// All lines of the instruction.
    pub(super) fn whole(&self) -> Span {
        match self.line.place {
            Some(place) => place,
            None => self.span(&self.range).until(self.last_line),
        }
    }

    pub(super) fn located(&self, word: &Word) -> Located {
        Located { text: word.text.clone(), span: self.span(&word.range) }
    }

    /// Notes a fault at a range of the line.
    pub(super) fn fault(&mut self, range: &Range<usize>, message: String, help: &str) {
        let span = self.span(range);
        self.faults.push(Diagnostic::new(span, message).help(help));
    }

    /// Notes a fault of the whole instruction, at its keyword.
    pub(super) fn fault_here(&mut self, message: String, help: &str) {
        self.fault(&self.keyword.clone(), message, help);
    }

    /// The arguments cut at blanks.
    pub(super) fn words(&self) -> Vec<Word> {
        word::plain(&self.line.text, self.arguments.clone())
    }

    /// The arguments cut at white space outside quotes.
    pub(super) fn quoted_words(&self) -> Vec<Word> {
        word::quoted(&self.line.text, self.arguments.clone(), self.escape)
    }

    /// The arguments as a JSON array of strings. `None` when they are none; an array of other things is
    /// a fault, and one that is not JSON is a warning, because the shell form takes its place.
    pub(super) fn json(&mut self) -> Option<Vec<String>> {
        let rest = self.rest();
        if !rest.starts_with('[') {
            return None;
        }
        match serde_json::from_str::<Vec<serde_json::Value>>(rest) {
            Ok(values) => {
                let strings = values.iter().map(|value| value.as_str().map(str::to_owned));
                let strings: Option<Vec<String>> = strings.collect();
                if strings.is_none() {
                    self.fault(
                        &self.arguments.clone(),
                        "a JSON array may hold only strings here".into(),
                        "put each element in double quotes",
                    );
                }
                Some(strings.unwrap_or_default())
            }
            Err(_) if is_shell_test(rest) => None,
            Err(_) => {
                let span = self.span(&self.arguments);
                self.warnings.push(
                    Diagnostic::new(
                        span,
                        "this looks like a JSON array but is not one; it is taken as plain text",
                    )
                    .help("use double quotes, no comma at the end, and nothing after the bracket")
                    .rule("MalformedJSONArray"),
                );
                None
            }
        }
    }

    /// A command in exec or shell form.
    pub(super) fn command_line(&mut self) -> CommandLine {
        let span = if self.arguments.is_empty() {
            self.span(&self.keyword)
        } else {
            self.span(&self.arguments)
        };
        match self.json() {
            Some(words) => CommandLine { exec: true, words, span },
            None if self.rest().is_empty() => CommandLine { exec: false, words: Vec::new(), span },
            None => CommandLine { exec: false, words: vec![self.rest().to_owned()], span },
        }
    }

    /// Reads the flags; what is not known, given twice or has a wrong value is a fault.
    pub(super) fn flags(&mut self, known: Known) -> Flags {
        let mut flags = Flags::default();
        for word in std::mem::take(&mut self.flags) {
            let written = word.text.strip_prefix("--").unwrap_or(&word.text);
            let (name, value) = match written.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (written, None),
            };
            let Some((known_name, kind)) = known.iter().find(|(own, _)| *own == name) else {
                self.unknown_flag(name, &word, known);
                continue;
            };
            if *kind != FlagKind::Values && flags.value(known_name).is_some() {
                let message = format!("the flag --{name} is given twice");
                self.fault(&word.range, message, "keep one of the two");
                continue;
            }
            let text = match (kind, value) {
                (FlagKind::Switch, None) => "true".to_owned(),
                (FlagKind::Switch, Some(value)) => {
                    let value = value.to_ascii_lowercase();
                    if value != "true" && value != "false" {
                        let message = format!("the flag --{name} is true or false, not '{value}'");
                        self.fault(
                            &word.range,
                            message,
                            &format!("write --{name} or --{name}=false"),
                        );
                        continue;
                    }
                    value
                }
                (_, Some(value)) => value.to_owned(),
                (_, None) => {
                    let message = format!("the flag --{name} needs a value");
                    self.fault(&word.range, message, &format!("write --{name}=VALUE"));
                    continue;
                }
            };
            let span = self.span(&word.range);
            flags.0.push(Flag { name: known_name, value: Located { text, span } });
        }
        flags
    }

    /// Warns where there are flags that nothing reads.
    pub(super) fn ignore_flags(&mut self, message: &str) {
        if let Some(flag) = std::mem::take(&mut self.flags).first() {
            let span = self.span(&flag.range);
            self.warnings.push(Diagnostic::new(span, message).help("remove them"));
        }
    }

    fn unknown_flag(&mut self, name: &str, word: &Word, known: Known) {
        let own = self.name();
        let names: Vec<String> = known.iter().map(|(name, _)| format!("--{name}")).collect();
        let help = if names.is_empty() {
            format!("{own} takes no flags; write -- before an argument that begins with --")
        } else {
            format!("{own} knows {}", names.join(", "))
        };
        let shown: String = name.chars().take(60).collect();
        let fault =
            Diagnostic::new(self.span(&word.range), format!("unknown flag '--{shown}' of {own}"));
        let names = names.iter().map(String::as_str);
        self.faults.push(fault.help(help).suggest(&format!("--{name}"), names));
    }
}

/// Is it a command such as `[ -f x ] && y`, which begins like an array?
fn is_shell_test(text: &str) -> bool {
    let inside = text.trim_start_matches('[');
    let quoted = inside.trim_start().starts_with(['"', '\'']);
    inside.starts_with([' ', '\t']) && (!quoted || !inside.contains(','))
}
