//! COPY and ADD.

use super::{
    chmod,
    heredoc::Heredoc,
    instruction::{Kind, Located},
    statement::{
        FlagKind::{Switch, Value, Values},
        Known, Statement,
    },
    word::Word,
};

/// What COPY and ADD say. Variables are not expanded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Paths, patterns and (ADD) addresses, in order.
    pub sources: Vec<Located>,
    /// Files given in the Dockerfile itself.
    pub inline: Vec<Heredoc>,
    /// Where to.
    pub destination: Located,
    /// `--from`: stage, index, named context or image; may hold no variable.
    pub from: Option<Located>,
    /// `--chown`
    pub chown: Option<Located>,
    /// `--chmod`
    pub chmod: Option<Located>,
    /// `--link`
    pub link: bool,
    /// `--parents`
    pub parents: bool,
    /// `--exclude`, never expanded.
    pub exclude: Vec<String>,
    /// `--checksum`
    pub checksum: Option<Located>,
    /// `--keep-git-dir`
    pub keep_git_dir: Option<bool>,
    /// `--unpack`
    pub unpack: Option<bool>,
}

const COPY: Known = &[
    ("from", Value),
    ("chown", Value),
    ("chmod", Value),
    ("link", Switch),
    ("parents", Switch),
    ("exclude", Values),
];

const ADD: Known = &[
    ("chown", Value),
    ("chmod", Value),
    ("link", Switch),
    ("exclude", Values),
    ("checksum", Value),
    ("keep-git-dir", Switch),
    ("unpack", Switch),
];

pub(super) fn copy(statement: &mut Statement<'_>) -> Option<Kind> {
    parse(statement, COPY).map(Kind::Copy)
}

pub(super) fn add(statement: &mut Statement<'_>) -> Option<Kind> {
    parse(statement, ADD).map(Kind::Add)
}

fn parse(statement: &mut Statement<'_>, known: Known) -> Option<Copy> {
    let flags = statement.flags(known);
    let (sources, inline, destination) = paths(statement)?;
    let given = |name: &str| flags.value(name).filter(|value| !value.text.is_empty());
    let from = given("from");
    if let Some(from) = from.as_ref().filter(|from| from.text.contains('$')) {
        statement.faults.push(
            super::Diagnostic::new(from.span, "--from cannot hold a variable")
                .help("define a stage with FROM, where a variable may stand, and name it here"),
        );
    }
    let chmod = given("chmod");
    if let Some(mode) = chmod.as_ref().filter(|mode| !mode.text.contains('$'))
        && let Err(message) = chmod::check(&mode.text)
    {
        statement.faults.push(super::Diagnostic::new(mode.span, message).help(chmod::HELP));
    }
    Some(Copy {
        sources,
        inline,
        destination,
        from,
        chown: flags.value("chown"),
        chmod,
        link: flags.switch("link").unwrap_or(false),
        parents: flags.switch("parents").unwrap_or(false),
        exclude: flags.values("exclude").map(|value| value.text).collect(),
        checksum: flags.value("checksum"),
        keep_git_dir: flags.switch("keep-git-dir"),
        unpack: flags.switch("unpack"),
    })
}

type Paths = (Vec<Located>, Vec<Heredoc>, Located);

/// Sources and destination, as a JSON array or as words.
fn paths(statement: &mut Statement<'_>) -> Option<Paths> {
    let known = statement.faults.len();
    let words = match statement.json() {
        Some(_) if statement.faults.len() > known => return None,
        Some(texts) => {
            let range = statement.arguments.clone();
            texts.into_iter().map(|text| Word { text, range: range.clone() }).collect()
        }
        None => statement.words(),
    };
    let name = statement.name();
    let Some((destination, sources)) =
        words.split_last().filter(|(_, sources)| !sources.is_empty())
    else {
        let message = match words.len() {
            0 => format!("{name} needs a source and a destination"),
            _ => format!("{name} needs a destination behind its source"),
        };
        statement.fault_here(message, &format!("write for example: {name} src/ /app/"));
        return None;
    };
    // BuildKit takes also an element of an array for one, which is empty then.
    let heredoc = |word: &Word| Heredoc::parse(&word.text);
    if heredoc(destination).is_some() {
        let message = format!("a heredoc cannot be the destination of {name}");
        statement.fault(&destination.range, message, "write the destination path behind it");
        return None;
    }
    let (mut paths, mut inline) = (Vec::new(), Vec::new());
    for source in sources {
        match heredoc(source) {
            Some(opened) => {
                let read = statement.heredocs.iter().rfind(|read| read.name == opened.name);
                let contents = read.map(|read| read.contents.clone()).unwrap_or_default();
                inline.push(Heredoc { contents, ..opened });
            }
            None => paths.push(statement.located(source)),
        }
    }
    Some((paths, inline, statement.located(destination)))
}
