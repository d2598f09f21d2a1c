//! The instructions that take a plain text or a list: USER, WORKDIR, STOPSIGNAL, MAINTAINER, EXPOSE,
//! VOLUME, SHELL, CMD, ENTRYPOINT.

use super::{
    instruction::{Kind, Located},
    statement::Statement,
};

/// The rest of the line; empty is a fault.
fn text(statement: &mut Statement<'_>, example: &str) -> Option<Located> {
    statement.flags(&[]);
    if statement.arguments.is_empty() {
        let message = format!("{} needs an argument", statement.name());
        statement.fault_here(message, &format!("write for example: {example}"));
        return None;
    }
    let span = statement.span(&statement.arguments);
    Some(Located { text: statement.rest().to_owned(), span })
}

pub(super) fn user(statement: &mut Statement<'_>) -> Option<Kind> {
    text(statement, "USER app").map(Kind::User)
}

pub(super) fn workdir(statement: &mut Statement<'_>) -> Option<Kind> {
    text(statement, "WORKDIR /app").map(Kind::Workdir)
}

pub(super) fn stop_signal(statement: &mut Statement<'_>) -> Option<Kind> {
    text(statement, "STOPSIGNAL SIGTERM").map(Kind::StopSignal)
}

pub(super) fn maintainer(statement: &mut Statement<'_>) -> Option<Kind> {
    text(statement, "MAINTAINER Jo <jo@mail.example>").map(|name| Kind::Maintainer(name.text))
}

pub(super) fn expose(statement: &mut Statement<'_>) -> Option<Kind> {
    text(statement, "EXPOSE 8080/tcp")?;
    let words = statement.words();
    let mut ports: Vec<Located> = words.iter().map(|word| statement.located(word)).collect();
    ports.sort_by(|a, b| a.text.cmp(&b.text));
    Some(Kind::Expose(ports))
}

pub(super) fn volume(statement: &mut Statement<'_>) -> Option<Kind> {
    let whole = text(statement, "VOLUME /data")?;
    let volumes: Vec<Located> = match statement.json() {
        Some(words) => words
            .into_iter()
            .map(|text| Located { text: text.trim().to_owned(), span: whole.span })
            .collect(),
        None => statement.words().iter().map(|word| statement.located(word)).collect(),
    };
    if volumes.is_empty() && statement.faults.is_empty() {
        let message = "VOLUME needs at least one path".into();
        statement.fault_here(message, "write for example: VOLUME /data");
    }
    if volumes.iter().any(|volume| volume.text.is_empty()) {
        let range = statement.arguments.clone();
        statement.fault(&range, "a path of VOLUME is empty".into(), "remove it");
    }
    Some(Kind::Volume(volumes))
}

pub(super) fn shell(statement: &mut Statement<'_>) -> Option<Kind> {
    let help = "write for example: SHELL [\"/bin/bash\", \"-c\"]";
    statement.flags(&[]);
    let known = statement.faults.len();
    match statement.json() {
        Some(words) if !words.is_empty() => return Some(Kind::Shell(words)),
        Some(_) if statement.faults.len() > known => {}
        Some(_) => statement.fault_here("SHELL needs at least one argument".into(), help),
        None if statement.arguments.is_empty() => {
            statement.fault_here("SHELL needs at least one argument".into(), help);
        }
        None => {
            // The warning about the array would only repeat the fault.
            statement.warnings.clear();
            let range = statement.arguments.clone();
            statement.fault(&range, "SHELL takes a JSON array".into(), help);
        }
    }
    None
}

pub(super) fn cmd(statement: &mut Statement<'_>) -> Option<Kind> {
    statement.flags(&[]);
    Some(Kind::Cmd(statement.command_line()))
}

pub(super) fn entrypoint(statement: &mut Statement<'_>) -> Option<Kind> {
    statement.flags(&[]);
    Some(Kind::Entrypoint(statement.command_line()))
}
