//! CopyIgnoredFile, SecretFile: the files that COPY and ADD take from the context.

use crate::{
    dockerfile::{Kind, copy::Copy, instruction::Located},
    lint::{
        finding::{Finding, shown},
        rule::{COPY_IGNORED_FILE, SECRET_FILE},
        scope::Scope,
        subject::{Step, View},
    },
};

/// Names of files that are made to hold secrets.
const SECRETS: [&str; 15] = [
    ".env",
    ".git-credentials",
    ".htpasswd",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".pypirc",
    ".vault-token",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "id_rsa",
    "kubeconfig",
    "service-account.json",
    "terraform.tfstate",
];

pub(super) fn check(step: &Step<'_>, scope: &Scope, view: &View<'_>, findings: &mut Vec<Finding>) {
    let (Kind::Copy(copy) | Kind::Add(copy)) = &step.instruction.kind else { return };
    if copy.from.is_some() {
        return;
    }
    for source in &copy.sources {
        let Ok(path) = view.expander().expand(&source.text, scope) else { continue };
        if !path.text.contains("://") && !path.text.starts_with("git@") {
            judge(step, copy, source, &path.text, view, findings);
        }
    }
}

fn judge(
    step: &Step<'_>,
    copy: &Copy,
    source: &Located,
    path: &str,
    view: &View<'_>,
    findings: &mut Vec<Finding>,
) {
    // As BuildKit, only a path that is written as the ignore file would write it.
    let plain =
        !path.starts_with('/') && !path.starts_with("./") && !path.contains(['*', '?', '[']);
    let path = path.trim_end_matches('/');
    let hidden = plain && (view.ignored)(path);
    if hidden {
        findings.push(Finding::new(
            &COPY_IGNORED_FILE,
            step.lines,
            step.place(source.span),
            format!("the ignore file hides '{}'", shown(path)),
            "copy something else, or take it back in the ignore file with a line !path",
        ));
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let excluded = copy.exclude.iter().any(|pattern| pattern.ends_with(name));
    if SECRETS.contains(&name) && !hidden && !excluded {
        findings.push(Finding::new(
            &SECRET_FILE,
            step.lines,
            step.place(source.span),
            format!("'{}' stays in a layer for everyone who has the image", shown(path)),
            "use RUN --mount=type=secret,id=… where it is needed, and list it in .dockerignore",
        ));
    }
}
