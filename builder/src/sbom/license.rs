//! License expressions (SPDX 2.3, annex D) from what packages write. What is not on the SPDX license
//! list becomes a `LicenseRef-…` together with its text, so that no expression says more than the
//! package does.

use std::collections::{BTreeMap, BTreeSet};

use crate::oci::digest::Digest;

/// Identifiers of the SPDX license list that packages of the distributions use.
const KNOWN: &[&str] = &[
    "0BSD",
    "AFL-2.1",
    "AFL-3.0",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-1.0",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-1.0",
    "Artistic-1.0-Perl",
    "Artistic-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-2-Clause-Patent",
    "BSD-3-Clause",
    "BSD-4-Clause",
    "BSD-4-Clause-UC",
    "BSD-Source-Code",
    "BSL-1.0",
    "Beerware",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDDL-1.0",
    "CDDL-1.1",
    "ClArtistic",
    "EPL-1.0",
    "EPL-2.0",
    "EUPL-1.2",
    "FSFAP",
    "FSFUL",
    "FSFULLR",
    "FTL",
    "GFDL-1.1-or-later",
    "GFDL-1.2-only",
    "GFDL-1.2-or-later",
    "GFDL-1.3-no-invariants-only",
    "GFDL-1.3-no-invariants-or-later",
    "GFDL-1.3-only",
    "GFDL-1.3-or-later",
    "GPL-1.0-only",
    "GPL-1.0-or-later",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "HPND",
    "HPND-sell-variant",
    "ICU",
    "IJG",
    "IPL-1.0",
    "ISC",
    "LGPL-2.0-only",
    "LGPL-2.0-or-later",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "LPPL-1.3c",
    "Latex2e",
    "Libpng",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-1.1",
    "MPL-2.0",
    "NCSA",
    "NTP",
    "OFL-1.1",
    "OLDAP-2.8",
    "OpenSSL",
    "PHP-3.01",
    "PSF-2.0",
    "PostgreSQL",
    "Python-2.0",
    "Ruby",
    "SISSL",
    "SMLNJ",
    "SSH-OpenSSH",
    "SSH-short",
    "Sleepycat",
    "TCL",
    "TCP-wrappers",
    "Unicode-3.0",
    "Unicode-DFS-2015",
    "Unicode-DFS-2016",
    "Unlicense",
    "Vim",
    "W3C",
    "WTFPL",
    "X11",
    "Zlib",
    "blessing",
    "bzip2-1.0.6",
    "curl",
    "libpng-2.0",
    "libtiff",
    "zlib-acknowledgement",
];

/// Identifiers of the SPDX list of exceptions.
const EXCEPTIONS: &[&str] = &[
    "Autoconf-exception-2.0",
    "Autoconf-exception-3.0",
    "Bison-exception-2.2",
    "Classpath-exception-2.0",
    "Font-exception-2.0",
    "GCC-exception-2.0",
    "GCC-exception-3.1",
    "LLVM-exception",
    "Libtool-exception",
    "Linux-syscall-note",
    "OCaml-LGPL-linking-exception",
    "OpenSSL-exception",
    "openvpn-openssl-exception",
    "x11vnc-openssl-exception",
];

/// Debian's short names (copyright-format 1.0, "License specification") and other common spellings,
/// in lower case.
const SPELLINGS: &[(&str, &str)] = &[
    ("expat", "MIT"),
    ("apache-2", "Apache-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("artistic-1", "Artistic-1.0-Perl"),
    ("artistic-2", "Artistic-2.0"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd-4-clause", "BSD-4-Clause"),
    ("bsl-1", "BSL-1.0"),
    ("bzip2", "bzip2-1.0.6"),
    ("cc0", "CC0-1.0"),
    ("mit/expat", "MIT"),
    ("openldap-2.8", "OLDAP-2.8"),
    ("psf-2", "PSF-2.0"),
    ("zlib", "Zlib"),
    ("gfdl-niv-1.3", "GFDL-1.3-no-invariants-only"),
    ("gfdl-niv-1.3+", "GFDL-1.3-no-invariants-or-later"),
    ("gfdl-1.3+-no-invariant", "GFDL-1.3-no-invariants-or-later"),
];

/// Longest license text that is taken over, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// A declared license.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct License {
    /// SPDX license expression; `None` when the package says nothing that can be read.
    pub expression: Option<String>,
    /// The licenses in it that are not on the SPDX list, by identifier.
    pub extracted: BTreeMap<String, Extracted>,
}

/// A license that is not on the SPDX list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Extracted {
    /// The name that the package uses.
    pub name: String,
    /// Its text, or where it is.
    pub text: String,
}

impl License {
    /// All of these apply. `terms` are statements such as `GPL-2+ or Artistic`; `text` gives the text
    /// of a name that is not on the SPDX list.
    pub fn all_of<'a>(
        terms: impl IntoIterator<Item = &'a str>,
        text: &dyn Fn(&str) -> String,
    ) -> Self {
        let mut reader = Reader { text, extracted: BTreeMap::new(), known: BTreeMap::new() };
        let parts: BTreeSet<(String, bool)> =
            terms.into_iter().filter_map(|term| reader.statement(term)).collect();
        let parts: Vec<_> = parts.into_iter().collect();
        let expression = join(&parts, " AND ").map(|(expression, _)| expression);
        Self { expression, extracted: reader.extracted }
    }
}

/// Statements on their way to one expression.
struct Reader<'a> {
    text: &'a dyn Fn(&str) -> String,
    extracted: BTreeMap<String, Extracted>,
    /// The identifier of each name that was met: a text is long, and a name may stand in every line.
    known: BTreeMap<String, String>,
}

impl Reader<'_> {
    /// One statement: its expression, and does it need brackets inside another one? A comma before
    /// `and` or `or` binds weaker than the words alone.
    fn statement(&mut self, text: &str) -> Option<(String, bool)> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut all = Vec::new();
        for part in text.split(", and ") {
            let choices: Option<Vec<_>> =
                part.split(", or ").map(|choice| self.words(choice)).collect();
            all.push(join(&choices?, " OR ")?);
        }
        join(&all, " AND ")
    }

    /// Names with `and` and `or` between them.
    fn words(&mut self, text: &str) -> Option<(String, bool)> {
        let text = text.replace(['(', ')'], " ");
        let mut choices = Vec::new();
        for choice in split_word(&text, "or") {
            let all = split_word(&choice, "and");
            let all: Vec<_> = all.iter().filter_map(|name| self.name(name)).collect();
            choices.extend(join(&all, " AND "));
        }
        join(&choices, " OR ")
    }

    /// One name.
    fn name(&mut self, name: &str) -> Option<(String, bool)> {
        let name = name.trim().trim_matches(',');
        if name.is_empty() {
            return None;
        }
        if let Some(known) = self.known.get(name) {
            return Some((known.clone(), false));
        }
        let identifier = listed(name).unwrap_or_else(|| self.extract(name));
        self.known.insert(name.to_owned(), identifier.clone());
        Some((identifier, false))
    }

    /// An identifier for a name that is not listed, with its text.
    fn extract(&mut self, name: &str) -> String {
        let mut text = (self.text)(name);
        let mut end = text.len().min(MAX_TEXT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        let identifier = reference(name, &text);
        self.extracted.insert(identifier.clone(), Extracted { name: name.into(), text });
        identifier
    }
}

/// The expression for a name of the list, perhaps with an exception.
fn listed(name: &str) -> Option<String> {
    match name.split_once(" WITH ") {
        Some((license, exception)) => {
            let exception = EXCEPTIONS.iter().find(|known| **known == exception);
            on_list(license).zip(exception).map(|(l, e)| format!("{l} WITH {e}"))
        }
        None => on_list(name),
    }
}

/// Joins expressions; the flag says that the result has operators in it.
fn join(parts: &[(String, bool)], operator: &str) -> Option<(String, bool)> {
    match parts {
        [] => None,
        [one] => Some(one.clone()),
        many => {
            let bracketed = many.iter().map(|(part, compound)| match compound {
                true => format!("({part})"),
                false => part.clone(),
            });
            Some((bracketed.collect::<Vec<_>>().join(operator), true))
        }
    }
}

/// Splits at a word of any case.
fn split_word(text: &str, word: &str) -> Vec<String> {
    let mut parts = vec![Vec::new()];
    for part in text.split_whitespace() {
        if part.eq_ignore_ascii_case(word) {
            parts.push(Vec::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(part);
        }
    }
    parts.into_iter().map(|words| words.join(" ")).collect()
}

/// The identifier of the SPDX list for a name, whichever way it is spelled.
fn on_list(name: &str) -> Option<String> {
    let name = name.trim();
    let listed = |name: &str| {
        KNOWN.iter().find(|known| known.eq_ignore_ascii_case(name)).map(|known| (*known).to_owned())
    };
    if let Some(found) = listed(name) {
        return Some(found);
    }
    let lower = name.to_lowercase();
    if let Some((_, found)) = SPELLINGS.iter().find(|(spelling, _)| *spelling == lower) {
        return Some((*found).to_owned());
    }
    // GPL-2+, LGPLv2.1, GPL-3.0+, AGPL-3: the family, a version, and is any later one allowed?
    let (version, later) = match lower.strip_suffix('+') {
        Some(version) => (version, "or-later"),
        None => (lower.as_str(), "only"),
    };
    let family = ["agpl", "lgpl", "gpl", "gfdl"].into_iter().find(|f| version.starts_with(f))?;
    let number = version[family.len()..].trim_start_matches(['-', 'v']);
    let dotted = if number.contains('.') { number.to_owned() } else { format!("{number}.0") };
    listed(&format!("{family}-{dotted}-{later}"))
}

/// An identifier for a license that is not listed: same name and same text, same identifier.
fn reference(name: &str, text: &str) -> String {
    let valid = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = name.chars().map(valid).take(60).collect();
    let digest = Digest::of(text.as_bytes()).hex();
    format!("LicenseRef-{}-{}", name.trim_matches('-'), &digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(terms: &[&str]) -> String {
        License::all_of(terms.iter().copied(), &|_| "text".into()).expression.unwrap()
    }

    #[test]
    fn names_become_identifiers_of_the_list() {
        for (name, expected) in [
            ("GPL-2+", "GPL-2.0-or-later"),
            ("GPL-2", "GPL-2.0-only"),
            ("LGPLv2.1+", "LGPL-2.1-or-later"),
            ("GPL-3.0+", "GPL-3.0-or-later"),
            ("AGPL-3", "AGPL-3.0-only"),
            ("Expat", "MIT"),
            ("BSD-3-clause", "BSD-3-Clause"),
            ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
            ("zlib", "Zlib"),
            (
                "GPL-2.0-only WITH Classpath-exception-2.0",
                "GPL-2.0-only WITH Classpath-exception-2.0",
            ),
        ] {
            assert_eq!(expression(&[name]), expected, "{name}");
        }
    }

    #[test]
    fn choices_and_commas_keep_their_meaning() {
        assert_eq!(expression(&["GPL-1+ or Artistic"]), "GPL-1.0-or-later OR Artistic-1.0-Perl");
        assert_eq!(
            expression(&["GPL-1+ or Artistic, and Expat"]),
            "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND MIT"
        );
        assert_eq!(
            expression(&["MIT and ISC or Zlib", "ISC", "ISC"]),
            "((MIT AND ISC) OR Zlib) AND ISC"
        );
        assert_eq!(expression(&["MIT AND BSD-2-Clause"]), "MIT AND BSD-2-Clause");
    }

    #[test]
    fn what_is_not_listed_keeps_its_text() {
        let license = License::all_of(["GPL-2+ with Texinfo exception", "PD"], &|name| {
            format!("text of {name}")
        });
        let identifiers: Vec<_> = license.extracted.keys().cloned().collect();
        assert_eq!(license.expression.unwrap(), identifiers.join(" AND "));
        assert!(identifiers[0].starts_with("LicenseRef-GPL-2--with-Texinfo-exception-"));
        assert_eq!(license.extracted[&identifiers[1]].text, "text of PD");
        assert_eq!(License::all_of([" "], &|_| String::new()), License::default());
    }
}
