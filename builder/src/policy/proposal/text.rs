//! The file, section by section, with a comment on why each line is there.

use std::collections::BTreeSet;

use super::{Observed, rule::Rule};
use crate::policy::{Policy, harden::UserRule};

/// A comment shows so much of a foreign text.
const SHOWN: usize = 80;

pub(super) fn opening() -> String {
    "# Proposed by `touchmark policy init` from what a build did: what the build did not use is not allowed.\n\
     # Read it before you keep it: it allows whatever the build did, wanted or not.\n"
        .into()
}

pub(super) fn registries(observed: &Observed, known: Option<&Policy>) -> String {
    let mut text = "\n# Where images may come from and go to. Registries on loopback always may.\n\
                    [registries]\n"
        .to_owned();
    let mut seen = BTreeSet::new();
    for (registry, _) in &observed.registries {
        if !seen.insert(registry) {
            continue;
        }
        let uses = observed.registries.iter().filter(|(other, _)| other == registry);
        let uses: BTreeSet<&str> = uses.map(|(_, what)| what.as_str()).collect();
        let uses: Vec<&str> = uses.into_iter().collect();
        let entry = known.and_then(|policy| policy.registries.written_entry(registry));
        let entry = entry.unwrap_or_else(|| "{}".into());
        text.push_str(&format!(
            "{} = {entry}  # {}\n",
            quoted(registry),
            comment(&uses.join("; "))
        ));
        let mirror = known.and_then(|policy| policy.registries.mirror_registry(registry));
        if let Some(mirror) = mirror.filter(|mirror| !observed.named(mirror))
            && let Some(entry) = known.and_then(|policy| policy.registries.written_entry(&mirror))
            && seen.iter().all(|other| **other != mirror)
        {
            let name = quoted(&mirror);
            text.push_str(&format!("{name} = {entry}  # the mirror of {}\n", comment(registry)));
        }
    }
    text
}

pub(super) fn network(rules: &[(String, Rule)]) -> String {
    let mut text = "\n[network]\n\
                    allow = []  # no preset: the hosts that were used stand below\n\
                    deny-private = true  # but for upstreams that are named below\n"
        .to_owned();
    if rules.is_empty() {
        text.push_str("# Nothing was fetched.\n");
    }
    for (host, rule) in rules {
        text.push_str(&mirror(host, rule));
    }
    text
}

fn mirror(host: &str, rule: &Rule) -> String {
    let mut text = format!("\n# {}\n[[network.mirror]]\nhost = {}\n", reason(rule), quoted(host));
    if let Some(upstream) = &rule.upstream {
        let line = format!("upstream = {}  # it was fetched from there\n", quoted(upstream));
        text.push_str(&line);
    }
    if rule.tunnel {
        if !host.ends_with(":22") {
            text.push_str(
                "tls = \"tunnel\"  # what travels inside is not seen; \"inspect\" records it\n",
            );
        }
        return text;
    }
    let paths = rule.written_paths();
    if paths.is_empty() {
        text.push_str("# no paths: what was asked for stands directly below the root\n");
    } else {
        text.push_str("paths = [\n");
        for (pattern, asked) in paths {
            text.push_str(&format!("  {},{}\n", quoted(pattern), example(pattern, asked)));
        }
        text.push_str("]\n");
    }
    if !rule.methods.is_empty() {
        let methods: Vec<String> = rule.methods.iter().map(|method| quoted(method)).collect();
        let line = "# more than reading; such requests keep a build from being hermetic";
        text.push_str(&format!("methods = [{}]  {line}\n", methods.join(", ")));
    }
    text
}

/// `Lines 3, 4: 12 requests (deb)`
fn reason(rule: &Rule) -> String {
    let lines: Vec<String> = rule.lines.iter().map(u64::to_string).collect();
    let place = match lines.as_slice() {
        [] => String::new(),
        [line] => format!("Line {line} of the Dockerfile: "),
        lines => format!("Lines {} of the Dockerfile: ", lines.join(", ")),
    };
    let what = match rule.count {
        1 => "1 request".to_owned(),
        count => format!("{count} requests"),
    };
    let ecosystems: Vec<&str> = rule.ecosystems.iter().map(String::as_str).collect();
    let of = match ecosystems.as_slice() {
        [] => String::new(),
        names => format!(" ({})", names.join(", ")),
    };
    comment(&format!("{place}{what}{of}"))
}

/// Behind a pattern that is not the path itself: what it was asked for.
fn example(pattern: &str, asked: &BTreeSet<String>) -> String {
    match (asked.first(), asked.len()) {
        (Some(first), 1) if first == pattern => String::new(),
        (Some(first), 1) => format!("  # {}", comment(first)),
        (Some(first), count) => format!("  # {count} files, such as {}", comment(first)),
        (None, _) => String::new(),
    }
}

pub(super) fn harden(observed: &Observed, known: Option<&Policy>) -> String {
    let level = quoted(&observed.harden);
    let mut text = format!("\n[harden]\nlevel = {level}  # as the build had it\n");
    let Some(known) = known.map(|policy| &policy.harden) else { return text };
    for (key, globs) in [("keep", &known.keep), ("remove", &known.remove)] {
        let globs: Vec<String> = globs.iter().map(|glob| quoted(&glob.to_string())).collect();
        if !globs.is_empty() {
            text.push_str(&format!("{key} = [{}]  # from the policy so far\n", globs.join(", ")));
        }
    }
    match known.user {
        UserRule::ByLevel => {}
        UserRule::RequireNonroot => text.push_str("user = \"require-nonroot\"\n"),
        UserRule::AllowRoot => text.push_str("user = \"allow-root\"\n"),
    }
    text
}

pub(super) fn sign(known: Option<&Policy>) -> String {
    match known.and_then(|policy| policy.sign.key.as_deref()) {
        Some(key) => format!("\n[sign]\nkey = {}  # from the policy so far\n", quoted(key)),
        None => "\n# With what the image was signed, its provenance does not say.\n\
                 # [sign]\n# key = \"cosign.key\"\n"
            .into(),
    }
}

pub(super) fn verify(observed: &Observed) -> String {
    let mut text = "\n[verify]\n".to_owned();
    match observed.keys.as_slice() {
        [] => text.push_str("# keys = [\"cosign.pub\"]  # nobody checked the signature of what this was made from\n"),
        keys => {
            let keys: Vec<String> = keys.iter().map(|key| quoted(key)).collect();
            let line = format!("keys = [{}]  # it signed the provenance\n", keys.join(", "));
            text.push_str(&line);
        }
    }
    text.push_str("require = [\"signature\", \"provenance\", \"sbom\"]\n");
    let builder = quoted(&observed.builder);
    text.push_str(&format!("builders = [{builder}]  # how it was built\n"));
    match &observed.source {
        Some(source) => {
            let line = format!("sources = [{}]  # what it was built from\n", quoted(source));
            text.push_str(&line);
        }
        None => text.push_str("# sources = []  # the context was no repository\n"),
    }
    match observed.hermetic {
        true => text.push_str("hermetic = true  # everything that was fetched is known\n"),
        false => text
            .push_str("hermetic = false  # something was fetched, or lent, that nobody recorded\n"),
    }
    text
}

impl Observed {
    fn named(&self, registry: &str) -> bool {
        self.registries.iter().any(|(own, _)| own == registry)
    }
}

/// A basic string of TOML.
pub(in crate::policy) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A text that stays in its line.
fn comment(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut out: String = plain.take(SHOWN).collect();
    if text.chars().count() > SHOWN {
        out.push('…');
    }
    out
}
