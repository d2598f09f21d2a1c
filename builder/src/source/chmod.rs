//! `--chmod`: octal, or symbolic as in chmod(1).

use std::str::FromStr;

use super::error::SourceError;

/// A change of a file's mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chmod(Change);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// All twelve bits.
    Octal(u32),
    /// Clauses, applied in order.
    Symbolic(Vec<Clause>),
}

/// `go-w`: whose bits, the operator, and which permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    who: String,
    operator: char,
    permissions: String,
}

impl Chmod {
    /// The mode of a directory that has to be made for the destination: of octal modes the permission
    /// bits under BuildKit's umask, as mkdir(2) takes them; symbolic ones do not concern it.
    #[must_use]
    pub fn of_parents(&self) -> u32 {
        match &self.0 {
            Change::Octal(octal) => octal & 0o777 & !0o022,
            Change::Symbolic(_) => 0o755,
        }
    }

    /// The mode of a file or directory after the change.
    #[must_use]
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        match &self.0 {
            Change::Octal(octal) => *octal,
            Change::Symbolic(clauses) => {
                clauses.iter().fold(mode, |mode, clause| clause.apply(mode, is_dir))
            }
        }
    }
}

impl Clause {
    /// `shift` 6, 3, 0 for user, group, others; without letters for all, as with an empty umask.
    fn shifts(&self) -> impl Iterator<Item = (char, u32)> + '_ {
        let all = self.who.is_empty() || self.who.contains('a');
        [('u', 6), ('g', 3), ('o', 0)]
            .into_iter()
            .filter(move |(who, _)| all || self.who.contains(*who))
    }

    fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let mut bits = 0;
        let mut field = 0;
        // `=t` sets the sticky bit and leaves the permissions alone.
        let only_sticky =
            !self.permissions.is_empty() && self.permissions.trim_matches('t').is_empty();
        for (who, shift) in self.shifts() {
            field |= 0o7 << shift;
            for letter in self.permissions.chars() {
                bits |= match letter {
                    'r' => 0o4 << shift,
                    'w' => 0o2 << shift,
                    'x' => 0o1 << shift,
                    'X' if is_dir || mode & 0o111 != 0 => 0o1 << shift,
                    's' if who == 'u' => 0o4000,
                    's' if who == 'g' => 0o2000,
                    't' if who != 'o' => 0o1000,
                    'u' => (mode >> 6 & 0o7) << shift,
                    'g' => (mode >> 3 & 0o7) << shift,
                    'o' => (mode & 0o7) << shift,
                    _ => 0,
                };
            }
            // `=` also clears the special bit of whom it sets; a directory keeps its own.
            field |= match who {
                'u' if !is_dir => 0o4000,
                'g' if !is_dir => 0o2000,
                _ => 0,
            };
        }
        match self.operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            _ if only_sticky => mode | bits,
            _ => mode & !field | bits,
        }
    }
}

impl FromStr for Chmod {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let bad = || SourceError::BadMode { text: text.into() };
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let octal = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
            return octal.map(|mode| Self(Change::Octal(mode))).ok_or_else(bad);
        }
        if text.is_empty() {
            return Ok(Self(Change::Symbolic(Vec::new())));
        }
        let clauses = text.split(',').map(clauses_of).collect::<Option<Vec<_>>>();
        clauses.map(|lists| Self(Change::Symbolic(lists.concat()))).ok_or_else(bad)
    }
}

/// `u=rw+x` is two clauses for the same user.
fn clauses_of(text: &str) -> Option<Vec<Clause>> {
    let start = text.find(['+', '-', '='])?;
    let (who, mut rest) = text.split_at(start);
    if !who.chars().all(|c| "ugoa".contains(c)) {
        return None;
    }
    let mut clauses = Vec::new();
    while let Some(operator) = rest.chars().next() {
        let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |end| end + 1);
        let permissions = &rest[1..end];
        let copies = permissions.len() == 1 && permissions.contains(['u', 'g', 'o']);
        if !copies && !permissions.chars().all(|c| "rwxXst".contains(c)) {
            return None;
        }
        clauses.push(Clause { who: who.into(), operator, permissions: permissions.into() });
        rest = &rest[end..];
    }
    Some(clauses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_chmod_does() {
        for (text, mode, is_dir, expected) in [
            ("755", 0o644, false, 0o755),
            ("04755", 0o644, false, 0o4755),
            ("0", 0o644, false, 0),
            ("+x", 0o644, false, 0o755),
            ("a-w", 0o666, false, 0o444),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("u=rwX,go=rX", 0o711, false, 0o755),
            ("go=u", 0o740, false, 0o777),
            ("u+s,g+s,+t", 0o755, false, 0o7755),
            ("o+t", 0o755, false, 0o755),
            ("=t", 0o644, true, 0o1644),
            ("a=rx", 0o7755, false, 0o1555),
            ("u-s", 0o4755, false, 0o755),
            ("u=rw+x", 0o000, false, 0o700),
            ("g=", 0o2775, false, 0o705),
        ] {
            let chmod: Chmod = text.parse().unwrap();
            assert_eq!(chmod.apply(mode, is_dir), expected, "{text} {mode:o}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["8", "0o755", "77777", "10000", "u", "u+q", "x+u", "u=rw,", "rwxr-xr-x"] {
            let error = text.parse::<Chmod>().unwrap_err().to_string();
            assert_eq!(error, format!("'{text}' is not a file mode"));
        }
    }
}
