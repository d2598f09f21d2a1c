//! Debian's machine-readable copyright files (copyright-format 1.0). A file in free form gives no
//! license: guessing one would be a claim that nobody made.

use std::collections::BTreeMap;

use super::{dpkg::stanzas, license::License};

/// The license that the copyright file of `package` declares for all of its files together.
#[must_use]
pub fn license(package: &str, contents: &[u8]) -> License {
    let text = String::from_utf8_lossy(contents);
    let stanzas = stanzas(&text);
    let machine_readable = stanzas.first().is_some_and(|first| first.get("format").is_some());
    if !machine_readable {
        return License::default();
    }
    let mut terms = Vec::new();
    let mut texts = BTreeMap::new();
    for stanza in &stanzas {
        let Some(value) = stanza.get("license") else { continue };
        let (name, body) = value.split_once('\n').unwrap_or((value, ""));
        let name = name.trim();
        if !body.trim().is_empty() {
            texts.entry(name.to_lowercase()).or_insert_with(|| unfold(body));
        }
        if !name.is_empty() && (stanza.get("files").is_some() || stanza.get("format").is_some()) {
            terms.push(name.to_owned());
        }
    }
    License::all_of(terms.iter().map(String::as_str), &|name| {
        let own = texts.get(&name.to_lowercase()).cloned();
        own.unwrap_or_else(|| format!("{name}: see /usr/share/doc/{package}/copyright"))
    })
}

/// The text of a folded field: one space less in front, a lone dot is an empty line.
fn unfold(body: &str) -> String {
    let lines = body.lines().map(|line| match line.strip_prefix(' ').unwrap_or(line) {
        "." => "",
        line => line,
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COPYRIGHT: &[u8] =
        b"Format: https://copyright.example/1.0/\nSource: https://x.example\n\n\
        Files: *\nCopyright: 2020 A\nLicense: GPL-2+\n This is\n .\n free.\n\n\
        Files: a b\nCopyright: B\nLicense: Odd\n\n\
        License: Odd\n Do as\n .\n you like.\n\n\
        License: Unused\n Not here.\n";

    #[test]
    fn licenses_of_files_with_their_texts() {
        let license = license("x", COPYRIGHT);
        let (identifier, odd) = license.extracted.iter().next().unwrap();
        assert_eq!(odd.text, "Do as\n\nyou like.");
        assert_eq!(license.expression.unwrap(), format!("GPL-2.0-or-later AND {identifier}"));
        assert_eq!(license.extracted.len(), 1);
    }

    #[test]
    fn a_file_in_free_form_declares_nothing() {
        assert_eq!(license("x", b"This is free software.\nLicense: GPL-2\n"), License::default());
        assert_eq!(license("x", b""), License::default());
    }
}
