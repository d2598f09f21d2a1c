//! Which distribution a tree is: os-release(5).

/// The fields of `os-release` that name a distribution.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OsRelease {
    /// `ID`: lower case, no spaces, such as `debian`; `linux` when it is not there.
    pub id: String,
    /// `VERSION_ID`, such as `12`.
    pub version_id: Option<String>,
    /// `NAME`.
    pub name: String,
    /// `PRETTY_NAME`.
    pub pretty_name: Option<String>,
    /// `VERSION_CODENAME`.
    pub codename: Option<String>,
    /// `HOME_URL`.
    pub home_url: Option<String>,
}

impl OsRelease {
    /// Reads the text of the file; what cannot be read is left out.
    #[must_use]
    pub fn parse(contents: &[u8]) -> Self {
        let text = String::from_utf8_lossy(contents);
        let field = |key: &str| {
            let lines = text.lines().rev().filter_map(|line| line.trim().split_once('='));
            let mut values = lines.filter(|(name, _)| *name == key);
            values.next().map(|(_, value)| unquote(value)).filter(|value| !value.is_empty())
        };
        Self {
            id: field("ID").map_or_else(|| "linux".into(), |id| id.to_lowercase()),
            version_id: field("VERSION_ID"),
            name: field("NAME").unwrap_or_else(|| "Linux".into()),
            pretty_name: field("PRETTY_NAME"),
            codename: field("VERSION_CODENAME"),
            home_url: field("HOME_URL").filter(|url| url.starts_with("http")),
        }
    }

    /// `debian-12`: the `distro` qualifier of package URLs. Without a version id the code name, as
    /// in Debian's testing.
    #[must_use]
    pub fn distro(&self) -> String {
        match self.version_id.as_ref().or(self.codename.as_ref()) {
            Some(version) => format!("{}-{version}", self.id),
            None => self.id.clone(),
        }
    }
}

/// Shell quoting as os-release allows it.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_missing_fields() {
        let text = b"# x\nID=debian\nVERSION_ID=\"12\"\nNAME='Debian GNU/Linux'\nPRETTY_NAME=\"A \\\"b\\\"\"\n";
        let os = OsRelease::parse(text);
        assert_eq!((os.distro().as_str(), os.name.as_str()), ("debian-12", "Debian GNU/Linux"));
        assert_eq!(os.pretty_name.as_deref(), Some("A \"b\""));
        let os = OsRelease::parse(b"ID=debian\nVERSION_CODENAME=trixie\n");
        assert_eq!(os.distro(), "debian-trixie");
        assert_eq!(OsRelease::parse(b"\xff").distro(), "linux");
    }
}
