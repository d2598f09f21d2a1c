//! `touchmark.lock`: what a build took from elsewhere, pinned. One table for each thing, in a fixed order, so that a
//! change shows as the lines that it concerns.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde::{Deserialize, Serialize};

use crate::oci::digest::Digest;

/// The form of the file that is read and written here.
const VERSION: u64 = 1;

/// The first lines of the file.
const HEAD: &str = "# What this build takes from elsewhere, by digest. Written by: touchmark build --lock\n\
                    # Held to by: touchmark build --locked\nversion = 1\n";

/// A larger file is none, in bytes.
pub const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Everything that is pinned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// The file's name, for messages.
    pub file: String,
    /// What each base image's name leads to: the index where there is one.
    pub images: BTreeMap<String, Digest>,
    /// What each address leads to: one file, or one of several where it was fetched more than once.
    pub files: BTreeMap<String, BTreeSet<LockedFile>>,
}

/// What an address leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// Digest of the bytes as transferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The commit of a repository, or those that a clone wants, with spaces between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The status, where nothing is there. Such a page's bytes are not pinned: servers write the time into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Package URL, for the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
}

/// Why a text is no lock file.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Not TOML, or with other keys.
    #[error(
        "{file}: it cannot be read as a lock file: {reason}\nhelp: write it anew: touchmark build --lock"
    )]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong, in one line.
        reason: String,
    },
    /// Of another form.
    #[error(
        "{file}: it has version {found}, this program reads version 1\nhelp: write it anew: touchmark build --lock"
    )]
    Version {
        /// The file.
        file: String,
        /// What it says.
        found: u64,
    },
}

/// The file as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u64,
    #[serde(default)]
    image: Vec<ImageTable>,
    #[serde(default)]
    file: Vec<FileTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageTable {
    name: String,
    digest: Digest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    url: String,
    digest: Option<Digest>,
    size: Option<u64>,
    commit: Option<String>,
    status: Option<u16>,
    purl: Option<String>,
}

impl Lock {
    /// Reads the text of a lock file called `file`.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn parse(file: &str, text: &str) -> Result<Self, LockError> {
        let document: Document = toml::from_str(text).map_err(|error| LockError::Malformed {
            file: file.into(),
            reason: error.message().split_whitespace().collect::<Vec<_>>().join(" "),
        })?;
        if document.version != VERSION {
            return Err(LockError::Version { file: file.into(), found: document.version });
        }
        let mut lock = Self { file: file.into(), ..Self::default() };
        lock.images.extend(document.image.into_iter().map(|image| (image.name, image.digest)));
        for FileTable { url, digest, size, commit, status, purl } in document.file {
            lock.add(url, LockedFile { digest, size, commit, status, purl });
        }
        Ok(lock)
    }

    /// Pins one more.
    pub fn add(&mut self, url: String, file: LockedFile) {
        self.files.entry(url).or_default().insert(file);
    }

    /// The text of the file: sorted by name and address, the same for the same contents.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        let quoted = |value: &str| toml::Value::from(value).to_string();
        for (name, digest) in &self.images {
            let _ = write!(text, "\n[[image]]\nname = {}\ndigest = \"{digest}\"\n", quoted(name));
        }
        for (url, files) in &self.files {
            for file in files {
                let _ = write!(text, "\n[[file]]\nurl = {}\n", quoted(url));
                if let Some(digest) = &file.digest {
                    let _ = writeln!(text, "digest = \"{digest}\"");
                }
                if let Some(size) = &file.size {
                    let _ = writeln!(text, "size = {size}");
                }
                if let Some(commit) = &file.commit {
                    let _ = writeln!(text, "commit = {}", quoted(commit));
                }
                if let Some(status) = &file.status {
                    let _ = writeln!(text, "status = {status}");
                }
                if let Some(purl) = &file.purl {
                    let _ = writeln!(text, "purl = {}", quoted(purl));
                }
            }
        }
        text
    }

    /// The digests that an address may have.
    pub fn digests(&self, url: &str) -> impl Iterator<Item = Digest> {
        self.files.get(url).into_iter().flatten().filter_map(|file| file.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let mut lock = Lock { file: "touchmark.lock".into(), ..Lock::default() };
        lock.images.insert("registry.example/b:1".into(), Digest::of(b"b"));
        lock.images.insert("registry.example/a:1".into(), Digest::of(b"a"));
        let whole = |bytes: &[u8]| LockedFile {
            digest: Some(Digest::of(bytes)),
            size: Some(bytes.len() as u64),
            commit: None,
            status: None,
            purl: None,
        };
        let purl = Some("pkg:deb/debian/x@1?arch=amd64".to_owned());
        lock.add("http://p.example/x_1_amd64.deb".into(), LockedFile { purl, ..whole(b"x") });
        let nothing = LockedFile { digest: None, size: None, status: Some(404), ..whole(b"") };
        lock.add("http://p.example/none\"\\".into(), nothing.clone());
        let commit = Some("0".repeat(40));
        lock.add(
            "git+http://p.example/r.git".into(),
            LockedFile { commit, status: None, ..nothing },
        );
        lock
    }

    #[test]
    fn the_text_is_sorted_and_reads_back() {
        let text = lock().text();
        assert_eq!(Lock::parse("touchmark.lock", &text).unwrap(), lock());
        let expected = format!(
            "{HEAD}\n[[image]]\nname = \"registry.example/a:1\"\ndigest = \"{}\"\n\
             \n[[image]]\nname = \"registry.example/b:1\"\ndigest = \"{}\"\n\
             \n[[file]]\nurl = \"git+http://p.example/r.git\"\ncommit = \"{}\"\n\
             \n[[file]]\nurl = 'http://p.example/none\"\\'\nstatus = 404\n\
             \n[[file]]\nurl = \"http://p.example/x_1_amd64.deb\"\ndigest = \"{}\"\nsize = 1\n\
             purl = \"pkg:deb/debian/x@1?arch=amd64\"\n",
            Digest::of(b"a"),
            Digest::of(b"b"),
            "0".repeat(40),
            Digest::of(b"x"),
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_no_lock_file_says_why() {
        let fault = |text: &str| Lock::parse("touchmark.lock", text).unwrap_err().to_string();
        assert_eq!(
            fault("version = 2\n"),
            "touchmark.lock: it has version 2, this program reads version 1\n\
             help: write it anew: touchmark build --lock"
        );
        assert_eq!(
            fault("version = 1\ncolour = 1\n"),
            "touchmark.lock: it cannot be read as a lock file: unknown field `colour`, expected one of `version`, \
             `image`, `file`\nhelp: write it anew: touchmark build --lock"
        );
        assert!(
            fault("version = 1\n[[image]]\nname = \"a\"\ndigest = \"md5:1\"\n").contains("digest")
        );
    }
}
