//! Python's simple index as HTML (PEP 503): links with the hash in the fragment.

use super::{
    digest_of::{Algorithm, Hash},
    statement::{About, Statement},
};

/// A tag is not longer than this, in bytes.
const TAG: usize = 16 << 10;

/// Tells `tell` every link of the page at `base` that has a hash.
pub(super) fn read(base: &str, page: &str, tell: &mut dyn FnMut(Statement)) {
    for (at, _) in page.match_indices("<a") {
        let rest = &page.as_bytes()[at + 2..];
        let tag = &rest[..rest.len().min(TAG)];
        let Some(end) = memchr::memchr(b'>', tag) else { continue };
        let Some(tag) = tag.get(..end).and_then(|tag| std::str::from_utf8(tag).ok()) else {
            continue;
        };
        link(base, tag, tell);
    }
}

fn link(base: &str, tag: &str, tell: &mut dyn FnMut(Statement)) {
    let Some(target) = attribute(tag, "href") else { return };
    let (address, fragment) = target.split_once('#').unwrap_or((&target, ""));
    let mut say = |address: &str, told: &str, algorithm, name: &str| {
        let hash = told.strip_prefix(name).and_then(|hex| Hash::hex(algorithm, hex));
        if let (Some(hash), Some(about)) = (hash, About::at(base, address)) {
            tell(Statement { about, hash });
        }
    };
    for told in fragment.split('&') {
        say(address, told, Algorithm::Sha256, "sha256=");
        say(address, told, Algorithm::Sha512, "sha512=");
    }
    let metadata = attribute(tag, "data-core-metadata");
    if let Some(told) = metadata.or_else(|| attribute(tag, "data-dist-info-metadata")) {
        say(&format!("{address}.metadata"), &told, Algorithm::Sha256, "sha256=");
    }
}

/// The value of an attribute in quotation marks.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut from = 0;
    while let Some(found) = tag[from..].find(name) {
        let at = from + found;
        from = at + name.len();
        let before = tag[..at].chars().next_back();
        let value = tag[from..].trim_start().strip_prefix('=').map(str::trim_start);
        let quote = value.and_then(|value| value.chars().next());
        if let (true, Some(value), Some(quote @ ('"' | '\''))) =
            (before.is_some_and(char::is_whitespace), value, quote)
        {
            let text = value[1..].split(quote).next().unwrap_or_default();
            return Some(text.replace("&gt;", ">").replace("&amp;", "&"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_state_hashes_of_files_and_of_their_metadata() {
        let (a, b) = ("aa".repeat(32), "bb".repeat(32));
        let page = format!(
            "<!DOCTYPE html><html><body><a-b>\n<a href=\"../../packages/x-1.whl#sha256={a}\" data-requires-python=\"&gt;=3\" \
             data-core-metadata=\"sha256={b}\">x</a>\n<a data-href='no' href='https://f.example/y%20z.tar.gz?q=1&amp;r=2#sha256={b}'>y</a>\n\
             <a href=\"plain.whl\">z</a><a href=\"odd.whl#sha256=12\"><a href=\"ä"
        );
        let mut all = Vec::new();
        read("https://py.example/simple/x/", &page, &mut |statement| all.push(statement));
        let sha256 = |hex: &str| Hash::hex(Algorithm::Sha256, hex).unwrap();
        let at =
            |url: &str, hex: &str| Statement { about: About::Url(url.into()), hash: sha256(hex) };
        assert_eq!(
            all,
            [
                at("https://py.example/packages/x-1.whl", &a),
                at("https://py.example/packages/x-1.whl.metadata", &b),
                at("https://f.example/y%20z.tar.gz?q=1&r=2", &b),
            ]
        );
    }
}
