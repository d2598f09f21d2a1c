//! Patterns for paths: as tight as they stay useful when a version changes.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::{glob::Glob, preset::PRESETS};

/// More patterns than this for one host are put together.
const MOST: usize = 6;

/// For each path its pattern. `ecosystem` is the package type of what the host serves.
pub(super) fn patterns(
    paths: &BTreeSet<&str>,
    ecosystem: Option<&str>,
) -> BTreeMap<String, String> {
    let layouts = layouts(ecosystem);
    let mut found = BTreeMap::new();
    let mut rest = BTreeSet::new();
    for path in paths {
        match layouts.iter().find_map(|layout| concrete(layout, path)) {
            Some(pattern) => drop(found.insert((*path).to_owned(), pattern)),
            None => drop(rest.insert(*path)),
        }
    }
    found.extend(generic(&rest));
    let distinct: BTreeSet<&String> = found.values().collect();
    if distinct.len() > MOST {
        let all = |path: &&str| ((*path).to_owned(), "/**".to_owned());
        return paths.iter().map(all).collect();
    }
    found
}

/// The layouts of the servers of an ecosystem, from the presets.
fn layouts(ecosystem: Option<&str>) -> Vec<String> {
    let of = |name: &str| PRESETS.iter().find(|one| one.ecosystem().as_deref() == Some(name));
    ecosystem.and_then(of).map(|preset| preset.areas()).unwrap_or_default()
}

/// The layout with what `path` has in the place of its wildcards; a `**` at the end stays.
fn concrete(layout: &str, path: &str) -> Option<String> {
    if !Glob::new(layout).ok()?.matches(path) {
        return None;
    }
    let (head, tail) = match layout.strip_suffix("/**") {
        Some(head) => (head, "/**"),
        None => layout.rsplit_once('/').map(|(head, _)| (head, "/"))?,
    };
    let words: Vec<&str> = head.split('/').skip(1).collect();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let floating = words.first() == Some(&"**");
    let words = if floating { &words[1..] } else { &words[..] };
    let fits = |at: &usize| {
        let here = parts.get(*at..*at + words.len());
        here.is_some_and(|here| {
            words.iter().zip(here).all(|(word, part)| *word == "*" || word == part)
        })
    };
    let at = match floating {
        true => (0..parts.len()).find(fits)?,
        false => 0,
    };
    let prefix = parts.get(..at + words.len())?.iter();
    let prefix: String = prefix.map(|part| format!("/{}", plain_or_star(part))).collect();
    Some(match tail {
        "/**" => format!("{prefix}/**"),
        // The last word of the layout: a name as it is, or any file.
        _ if layout.ends_with('*') => format!("{prefix}/*"),
        _ => layout.to_owned(),
    })
}

fn plain_or_star(part: &str) -> &str {
    if is_plain(part) { part } else { "*" }
}

/// A file that is alone in its directory by its name, several by their directory.
fn generic(paths: &BTreeSet<&str>) -> BTreeMap<String, String> {
    let mut directories: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in paths {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        directories.entry(directory).or_default().push(path);
    }
    let mut found = BTreeMap::new();
    for (directory, files) in &directories {
        for file in files {
            let pattern = match files.as_slice() {
                [only] if is_plain(only) => (*only).to_owned(),
                _ => below(directory, file),
            };
            found.insert((*file).to_owned(), pattern);
        }
    }
    let distinct: BTreeSet<&String> = found.values().collect();
    if distinct.len() <= MOST {
        return found;
    }
    let first = |path: &str| path.split('/').nth(1).unwrap_or_default().to_owned();
    let mut areas: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for path in paths {
        areas.entry(first(path)).or_default().push(path);
    }
    let widened = |(_, files): (String, Vec<&str>)| {
        let pattern = match files.as_slice() {
            [only] => found.get(*only).cloned().unwrap_or_default(),
            several => format!("{}/**", shared(several)),
        };
        files.into_iter().map(move |file| (file.to_owned(), pattern.clone())).collect::<Vec<_>>()
    };
    areas.into_iter().flat_map(widened).collect()
}

/// Every file of `directory`, also where its name is encoded in a way that a pattern cannot show.
fn below(directory: &str, file: &str) -> String {
    // Decoded, it is a slash, which a single star does not cover.
    let crosses = |text: &str| text.to_ascii_lowercase().contains("%2f");
    if crosses(directory) {
        return format!("{}/**", plain_prefix(directory));
    }
    let parts = directory.split('/').skip(1);
    let directory: String = parts.map(|part| format!("/{}", plain_or_star(part))).collect();
    format!("{directory}/{}", if crosses(file) { "**" } else { "*" })
}

/// The directory that all of them are below.
fn shared(paths: &[&str]) -> String {
    let parts = |path: &&str| -> Vec<String> {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        directory.split('/').skip(1).map(str::to_owned).collect()
    };
    let mut common = paths.first().map(parts).unwrap_or_default();
    for path in paths {
        let own = parts(path);
        let same = common.iter().zip(&own).take_while(|(a, b)| a == b).count();
        common.truncate(same);
    }
    let whole: String = common.iter().map(|part| format!("/{part}")).collect();
    plain_prefix(&whole)
}

/// The longest front of it that stands for itself in a pattern.
fn plain_prefix(directory: &str) -> String {
    let parts = directory.split('/').skip(1).take_while(|part| is_plain(part));
    parts.map(|part| format!("/{part}")).collect()
}

/// Does it stand for itself in a pattern, and is it the same before and after decoding?
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && !b"*?[]{}\\%\"".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(paths: &[&str], ecosystem: Option<&str>) -> Vec<String> {
        let patterns = patterns(&paths.iter().copied().collect(), ecosystem);
        for (path, pattern) in &patterns {
            assert!(Glob::new(pattern).unwrap().matches(path), "{pattern} is not for {path}");
        }
        let distinct: BTreeSet<String> = patterns.into_values().collect();
        distinct.into_iter().collect()
    }

    #[test]
    fn a_layout_is_spelled_out() {
        let deb = of(
            &["/debian/dists/bookworm/InRelease", "/debian/pool/main/h/hello/hello_1_amd64.deb"],
            Some("deb"),
        );
        assert_eq!(deb, ["/debian/dists/bookworm/**", "/debian/pool/**"]);
        let apk = of(&["/alpine/v3.20/main/x86_64/musl-1.apk"], Some("apk"));
        assert_eq!(apk, ["/alpine/v3.20/main/x86_64/*"]);
        assert_eq!(of(&["/left", "/left/-/left-1.tgz"], Some("npm")), ["/**"]);
        assert_eq!(of(&["/versions", "/info/rack"], Some("gem")), ["/info/**", "/versions"]);
    }

    #[test]
    fn one_file_is_named_and_several_share_their_directory() {
        assert_eq!(of(&["/a/tool-1.tgz"], None), ["/a/tool-1.tgz"]);
        assert_eq!(of(&["/a/x", "/a/y", "/b/z"], None), ["/a/*", "/b/z"]);
        assert_eq!(of(&["/"], None), ["/"]);
    }

    #[test]
    fn what_a_pattern_cannot_show_is_covered_by_its_directory() {
        assert_eq!(of(&["/a/g%2b%2b.deb"], None), ["/a/*"]);
        assert_eq!(of(&["/a/b%2fc"], None), ["/a/**"]);
        assert_eq!(of(&["/x/a%20b/c d"], None), ["/x/*/*"]);
        assert_eq!(of(&["/x/a%2Fb/c"], None), ["/x/**"]);
        assert_eq!(of(&["/a/[x]"], None), ["/a/*"]);
    }

    #[test]
    fn many_are_put_together() {
        let many: Vec<String> = (0..9).map(|n| format!("/a/b/{n}/f")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(of(&many, None), ["/a/b/**"]);
        let wide: Vec<String> = (0..9).map(|n| format!("/{n}/f")).collect();
        let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
        assert_eq!(of(&wide, None), ["/**"]);
    }
}
