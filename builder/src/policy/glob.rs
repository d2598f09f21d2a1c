//! Patterns: paths (`/debian/**`, `/usr/bin/nc*`) and host names (`*.example.org`).

use std::fmt;

/// A path pattern: `*` and `?` stay within one component, `**` crosses components, and `/**/` is also a
/// single slash. Everything else stands for itself; there are no classes and no braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Literal(char),
    One,
    Within,
    Across,
    /// `**/` behind a slash: nothing, or directories with their slashes.
    Directories,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a pattern: {reason}")]
pub struct GlobError {
    text: String,
    /// What a pattern looks like.
    pub reason: &'static str,
}

/// Longer patterns are refused: matching costs pattern length × path length.
const PATTERN_CHARACTERS: usize = 1024;

impl Glob {
    /// Reads a pattern for absolute paths.
    ///
    /// # Errors
    /// When the text does not start with `/`, is longer than 1024 characters, or holds `[`, `{`, `\`
    /// or more than two stars in a row, which look like features that are not there.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        let fault = |reason| GlobError { text: text.chars().take(100).collect(), reason };
        if !text.starts_with('/') {
            return Err(fault("a path starts with '/'"));
        }
        if text.contains("***") || text.contains(['[', ']', '{', '}', '\\']) {
            return Err(fault("only '*', '**' and '?' are special"));
        }
        if text.chars().count() > PATTERN_CHARACTERS {
            return Err(fault("it is longer than 1024 characters"));
        }
        let mut parts = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            parts.push(match character {
                '*' if rest.next_if_eq(&'*').is_some() => match parts.last() {
                    Some(Part::Literal('/')) if rest.next_if_eq(&'/').is_some() => {
                        Part::Directories
                    }
                    _ => Part::Across,
                },
                '*' => Part::Within,
                '?' => Part::One,
                literal => Part::Literal(literal),
            });
        }
        Ok(Self { text: text.into(), parts })
    }

    /// Does the whole `path` match? `/**` at the end also matches the directory itself.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let directory = self.text.strip_suffix("/**").is_some_and(|directory| directory == path);
        directory || self.matches_characters(path)
    }

    /// The components before the first one with a wildcard: `/debian` of `/debian/**`.
    #[must_use]
    pub fn fixed(&self) -> &str {
        let wild = self.text.find(['*', '?']).unwrap_or(self.text.len());
        let slash = self.text[..wild].rfind('/').unwrap_or(0);
        &self.text[..slash]
    }

    /// One row per pattern part, so that no pattern can take exponential time.
    fn matches_characters(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        let mut next = reached.clone();
        for part in &self.parts {
            let mut open = false;
            for at in 0..=path.len() {
                // The character before this place: was the place before it reached, is it by this part?
                let before = at.checked_sub(1).map(|last| (path[last], reached[last], next[last]));
                next[at] = match (part, before) {
                    (Part::Within | Part::Across | Part::Directories, _) if reached[at] => true,
                    (_, None) => false,
                    (Part::Literal(literal), Some((c, was, _))) => was && c == *literal,
                    (Part::One, Some((c, was, _))) => was && c != '/',
                    (Part::Within, Some((c, _, is))) => is && c != '/',
                    (Part::Across, Some((_, _, is))) => is,
                    (Part::Directories, Some((c, ..))) => open && c == '/',
                };
                open |= reached[at];
            }
            std::mem::swap(&mut reached, &mut next);
        }
        reached[path.len()]
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A DNS name in lower case, or `*.` and a name, which stands for every name below it. With a port it covers
/// what ADD fetches from that port; an address needs one, because steps reach names only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    name: String,
    below: bool,
    port: Option<u16>,
}

impl HostPattern {
    /// Reads a host name or `*.` and a host name, perhaps with a port, without scheme or path.
    ///
    /// # Errors
    /// When it is no DNS name (RFC 1123, section 2.1): also for addresses without a port, which have no
    /// name that a step could ask for.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        let fault = |reason| GlobError { text: text.chars().take(100).collect(), reason };
        let lower = text.to_ascii_lowercase();
        let port = lower.rsplit_once(':').and_then(|(name, port)| {
            let digits = port.bytes().all(|b| b.is_ascii_digit());
            let port = port.parse::<u16>().ok().filter(|port| digits && *port > 0)?;
            Some((name, port))
        });
        let (host, port) = match port {
            Some((host, port)) => (host, Some(port)),
            None => (lower.as_str(), None),
        };
        let (name, below) = match host.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (host, false),
        };
        if name.contains('*') {
            return Err(fault("a wildcard stands only in front, as in *.example.org"));
        }
        if name.contains(['/', ':', '[']) {
            return Err(fault("write the host name alone, without scheme or path"));
        }
        if name.parse::<std::net::Ipv4Addr>().is_ok() && (below || port.is_none()) {
            return Err(fault(
                "an address has no name; write the name that steps ask for, or address:port for ADD",
            ));
        }
        if !is_dns_name(name) {
            return Err(fault("it is not a host name"));
        }
        Ok(Self { name: name.into(), below, port })
    }

    /// Does the pattern cover `host`? Case does not count.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        if self.below {
            host.strip_suffix(&self.name)
                .is_some_and(|label| label.len() > 1 && label.ends_with('.'))
        } else {
            host == self.name
        }
    }

    /// Does the pattern cover `host` at `port`? Without a port of its own it covers the `usual` one.
    #[must_use]
    pub fn covers(&self, host: &str, port: u16, usual: u16) -> bool {
        self.matches(host) && port == self.port.unwrap_or(usual)
    }

    /// The port that it has.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Is it an address, rather than a name?
    #[must_use]
    pub fn is_address(&self) -> bool {
        self.name.parse::<std::net::Ipv4Addr>().is_ok()
    }

    /// The name that it is, or that all its names are below.
    #[must_use]
    pub fn suffix(&self) -> &str {
        &self.name
    }

    /// The one name it stands for, none for a wildcard.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        (!self.below).then_some(&self.name)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Labels of letters, digits, `-` and `_`, at most 63 bytes each and 253 in all.
#[must_use]
pub fn is_dns_name(name: &str) -> bool {
    let byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(byte);
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::new(pattern).unwrap().matches(path)
    }

    #[test]
    fn one_star_stays_within_a_component_and_two_cross() {
        assert!(matches("/debian/**", "/debian/dists/x/InRelease"));
        assert!(matches("/debian/**", "/debian"));
        assert!(!matches("/debian/**", "/debian-security/x"));
        assert!(matches("/usr/bin/nc*", "/usr/bin/ncat"));
        assert!(!matches("/usr/bin/nc*", "/usr/bin/nc.d/x"));
        assert!(matches("/**/*.whl", "/packages/ab/x.whl"));
        assert!(!matches("/*.whl", "/packages/x.whl"));
        assert!(matches("/**/sh", "/usr/bin/sh") && matches("/**/sh", "/sh"));
        assert!(!matches("/**/sh", "/usr/bin/bash") && !matches("/**/sh", "/bash"));
        assert!(matches("/opt/**/x?", "/opt/a/b/x1") && matches("/opt/**/x?", "/opt/x1"));
        assert!(matches("/a**/b", "/ax/y/b") && !matches("/a**/b", "/b"));
        assert!(matches("/a*b*c", "/aXbYbc") && !matches("/**/a/**/b", "/x/ab"));
        assert!(matches("/a?c", "/abc") && !matches("/a?c", "/a/c"));
        assert!(
            matches("/**", "/") && matches("/exact", "/exact") && !matches("/exact", "/exactly")
        );
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = format!("/{}b", "*a".repeat(200));
        assert!(!matches(&pattern, &format!("/{}", "a".repeat(2000))));
    }

    #[test]
    fn the_fixed_part_ends_before_the_first_wildcard() {
        let fixed = |text: &str| Glob::new(text).unwrap().fixed().to_owned();
        assert_eq!(fixed("/debian/**"), "/debian");
        assert_eq!(fixed("/a/b/c*"), "/a/b");
        assert_eq!(fixed("/**"), "");
        assert_eq!(fixed("/a/b"), "/a");
    }

    #[test]
    fn features_that_are_not_there_are_refused() {
        for text in ["", "debian/**", "/a[bc]", "/{a,b}", "/a\\*", "/***"] {
            assert!(Glob::new(text).is_err(), "{text}");
        }
        for text in [
            "",
            "a..b",
            "http://a",
            "a:0",
            "a:x",
            "a:70000",
            "192.0.2.1",
            "*",
            "a.*.b",
            "a b",
            "*.",
        ] {
            assert!(HostPattern::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_wildcard_covers_names_below_only() {
        let pattern = HostPattern::new("*.Example.org").unwrap();
        assert!(pattern.matches("a.example.org") && pattern.matches("A.B.example.ORG"));
        assert!(!pattern.matches("example.org") && !pattern.matches("aexample.org"));
        assert!(!pattern.matches(".example.org"));
    }

    #[test]
    fn a_port_covers_that_port_alone() {
        let pattern = HostPattern::new("192.0.2.1:8080").unwrap();
        assert!(pattern.covers("192.0.2.1", 8080, 80) && !pattern.covers("192.0.2.1", 80, 80));
        assert_eq!((pattern.to_string().as_str(), pattern.is_address()), ("192.0.2.1:8080", true));
        let usual = HostPattern::new("a.example").unwrap();
        assert!(usual.covers("a.example", 443, 443) && !usual.covers("a.example", 8080, 80));
    }
}
