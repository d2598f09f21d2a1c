//! What a build may take from elsewhere: `--locked` and `--offline`, and what is said when that does not hold.

use std::{collections::BTreeSet, fmt, sync::Arc};

use super::lock::Lock;
use crate::oci::digest::Digest;

/// The terms of a build. The default has none.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Nothing is asked of anybody: what is not in the store is missing.
    pub offline: bool,
    /// Everything has to be as it is pinned here.
    pub lock: Option<Arc<Lock>>,
}

/// Something that breaks the terms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breach {
    /// The lock file says another digest, commit or status.
    Drift {
        /// The address or the image's name.
        what: String,
        /// As pinned; several where it was fetched more than once.
        locked: String,
        /// As found.
        found: String,
        /// The lock file.
        file: String,
    },
    /// The lock file does not have it.
    Unlocked {
        /// The address or the image's name.
        what: String,
        /// Why it cannot have it, or nothing.
        reason: String,
        /// The lock file.
        file: String,
    },
    /// The store does not have it.
    Missing {
        /// The address or the image's name.
        what: String,
    },
    /// The store has it, but not with the bytes that it had.
    Damaged {
        /// The address or the image's name.
        what: String,
        /// The digest that it was stored with.
        digest: Digest,
    },
}

/// Everything that breaks the terms, in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaches(pub Vec<Breach>);

impl Terms {
    /// Are there any?
    #[must_use]
    pub fn bind(&self) -> bool {
        self.offline || self.lock.is_some()
    }

    /// Does `url` lead to what is pinned? `status` is the answer's.
    ///
    /// # Errors
    /// [`Breach`].
    pub fn check_file(&self, url: &str, status: u16, digest: Digest) -> Result<(), Breach> {
        let Some(lock) = &self.lock else { return Ok(()) };
        // What leads elsewhere is judged by where it leads, and what failed brought nothing.
        if !matches!(status, 200 | 404 | 410) {
            return Ok(());
        }
        let known = lock.files.get(url);
        let all = known.into_iter().flatten();
        let told: Vec<(Option<Digest>, Option<u16>)> =
            all.map(|file| (file.digest, file.status)).collect();
        let pinned = (status == 200).then_some(digest);
        let missing = (status != 200).then_some(status);
        if told.contains(&(pinned, missing)) {
            return Ok(());
        }
        let file = lock.file.clone();
        // An address at which there was nothing when the lock was written may be left out of it by hand.
        if told.is_empty() {
            let (what, reason) = (url.to_owned(), String::new());
            return Err(Breach::Unlocked { what, reason, file });
        }
        let said = |(digest, status): &(Option<Digest>, Option<u16>)| match (digest, status) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(status)) => format!("status {status}"),
            (None, None) => "a commit".into(),
        };
        let locked = told.iter().map(said).collect::<Vec<_>>().join(" or ");
        Err(Breach::Drift { what: url.into(), locked, found: said(&(pinned, missing)), file })
    }

    /// Is each of `commits`, which spaces part, pinned for the repository `url`?
    ///
    /// # Errors
    /// [`Breach`].
    pub fn check_commit(&self, url: &str, commits: &str) -> Result<(), Breach> {
        let Some(lock) = &self.lock else { return Ok(()) };
        let known = lock.files.get(url).into_iter().flatten();
        let told = known.filter_map(|file| file.commit.as_deref());
        let told: BTreeSet<&str> = told.flat_map(str::split_whitespace).collect();
        let asked: BTreeSet<&str> = commits.split_whitespace().collect();
        let (what, file) = (url.to_owned(), lock.file.clone());
        if asked.is_subset(&told) {
            return Ok(());
        }
        if told.is_empty() {
            return Err(Breach::Unlocked { what, reason: String::new(), file });
        }
        // Of many branches, those that moved.
        let gone: Vec<&str> = told.difference(&asked).copied().collect();
        let gone = if gone.is_empty() { told.iter().copied().collect() } else { gone };
        let new: Vec<&str> = asked.difference(&told).copied().collect();
        Err(Breach::Drift { what, locked: gone.join(" or "), found: new.join(" and "), file })
    }

    /// Does the image's name lead to what is pinned?
    ///
    /// # Errors
    /// [`Breach`].
    pub fn check_image(&self, name: &str, digest: Digest) -> Result<(), Breach> {
        let Some(lock) = &self.lock else { return Ok(()) };
        let (what, file) = (name.to_owned(), lock.file.clone());
        match lock.images.get(name) {
            Some(locked) if *locked == digest => Ok(()),
            Some(locked) => {
                let (locked, found) = (locked.to_string(), digest.to_string());
                Err(Breach::Drift { what, locked, found, file })
            }
            None => Err(Breach::Unlocked { what, reason: String::new(), file }),
        }
    }

    /// What nobody can pin, under a lock.
    ///
    /// # Errors
    /// [`Breach`].
    pub fn check_incomplete(&self, what: &str, reason: &str) -> Result<(), Breach> {
        let Some(lock) = &self.lock else { return Ok(()) };
        Err(Breach::Unlocked { what: what.into(), reason: reason.into(), file: lock.file.clone() })
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drift { what, locked, found, file } => {
                write!(f, "{what} is not what it was\n  {file}: {locked}\n  found: {found}")
            }
            Self::Unlocked { what, reason, file } if reason.is_empty() => {
                write!(f, "{what} is not in {file}")
            }
            Self::Unlocked { what, reason, .. } => write!(f, "{what} cannot be locked: {reason}"),
            Self::Missing { what } => write!(f, "{what} is not in the store"),
            Self::Damaged { what, digest } => {
                write!(f, "{what} is damaged in the store: its bytes no longer are {digest}")
            }
        }
    }
}

impl Breach {
    fn help(&self) -> &'static str {
        match self {
            Self::Drift { .. } => {
                "if the new bytes are meant, write the lock file anew: touchmark build --lock"
            }
            Self::Unlocked { reason, .. } if reason.is_empty() => {
                "if it is meant, write the lock file anew: touchmark build --lock"
            }
            Self::Unlocked { .. } => "build without --locked, or do without it",
            Self::Missing { .. } | Self::Damaged { .. } => {
                "build once without --offline, which brings what is missing"
            }
        }
    }
}

impl fmt::Display for Breaches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&told.join("\n"))?;
        let mut helps: Vec<&str> = self.0.iter().map(Breach::help).collect();
        helps.dedup();
        helps.iter().try_for_each(|help| write!(f, "\nhelp: {help}"))
    }
}

impl std::error::Error for Breaches {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downloads::lock::LockedFile;

    fn terms() -> Terms {
        let text = format!(
            "version = 1\n[[image]]\nname = \"r.example/a:1\"\ndigest = \"{old}\"\n\
             [[file]]\nurl = \"http://p.example/x\"\ndigest = \"{old}\"\n\
             [[file]]\nurl = \"http://p.example/none\"\nstatus = 404\n\
             [[file]]\nurl = \"git+http://p.example/r\"\ncommit = \"c0ffee\"\n",
            old = Digest::of(b"old")
        );
        let lock = Lock::parse("touchmark.lock", &text).unwrap();
        assert_eq!(lock.files["http://p.example/none"].first().unwrap().status, Some(404));
        let _: &LockedFile = lock.files["http://p.example/x"].first().unwrap();
        Terms { offline: false, lock: Some(Arc::new(lock)) }
    }

    #[test]
    fn what_is_pinned_passes_and_what_is_not_shows_old_and_new() {
        let (terms, old, new) = (terms(), Digest::of(b"old"), Digest::of(b"new"));
        let url = "http://p.example/x";
        assert_eq!(terms.check_file(url, 200, old), Ok(()));
        assert_eq!(terms.check_file("http://p.example/none", 404, new), Ok(()));
        assert_eq!(terms.check_file("http://p.example/moved", 302, new), Ok(()));
        assert_eq!(terms.check_image("r.example/a:1", old), Ok(()));
        assert_eq!(terms.check_commit("git+http://p.example/r", "c0ffee"), Ok(()));
        let told = |breach: Result<(), Breach>| Breaches(vec![breach.unwrap_err()]).to_string();
        let again = "if the new bytes are meant, write the lock file anew: touchmark build --lock";
        assert_eq!(
            told(terms.check_file(url, 200, new)),
            format!(
                "{url} is not what it was\n  touchmark.lock: {old}\n  found: {new}\nhelp: {again}"
            )
        );
        assert_eq!(
            told(terms.check_file(url, 404, new)),
            format!(
                "{url} is not what it was\n  touchmark.lock: {old}\n  found: status 404\nhelp: {again}"
            )
        );
        assert_eq!(
            told(terms.check_image("r.example/a:1", new)),
            format!(
                "r.example/a:1 is not what it was\n  touchmark.lock: {old}\n  found: {new}\nhelp: {again}"
            )
        );
        assert_eq!(
            told(terms.check_commit("git+http://p.example/r", "decaf")),
            format!(
                "git+http://p.example/r is not what it was\n  touchmark.lock: c0ffee\n  found: decaf\nhelp: {again}"
            )
        );
        // A clone that wants a moved branch, a new one and one that stayed.
        assert_eq!(
            told(terms.check_commit("git+http://p.example/r", "c0ffee decaf facade")),
            format!(
                "git+http://p.example/r is not what it was\n  touchmark.lock: c0ffee\n  found: decaf and facade\nhelp: {again}"
            )
        );
        assert_eq!(
            told(terms.check_image("r.example/b:1", new)),
            "r.example/b:1 is not in touchmark.lock\n\
             help: if it is meant, write the lock file anew: touchmark build --lock"
        );
        assert_eq!(
            told(terms.check_incomplete("http://p.example/post", "the method is POST")),
            "http://p.example/post cannot be locked: the method is POST\n\
             help: build without --locked, or do without it"
        );
    }

    #[test]
    fn everything_that_is_missing_stands_in_one_message() {
        let missing = |what: &str| Breach::Missing { what: what.into() };
        let all = Breaches(vec![missing("r.example/a:1"), missing("http://p.example/x")]);
        assert_eq!(
            all.to_string(),
            "r.example/a:1 is not in the store\nhttp://p.example/x is not in the store\n\
             help: build once without --offline, which brings what is missing"
        );
        let damaged =
            Breach::Damaged { what: "http://p.example/x".into(), digest: Digest::of(b"") };
        assert_eq!(
            Breaches(vec![damaged]).to_string(),
            format!(
                "http://p.example/x is damaged in the store: its bytes no longer are {}\n\
                 help: build once without --offline, which brings what is missing",
                Digest::of(b"")
            )
        );
    }
}
