//! The keys that a file system trusts for packages.

use std::{
    fs::File,
    io::Read,
    path::Path,
    sync::{Arc, OnceLock},
};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

use super::openpgp::{PublicKey, Signature, public_keys};

/// Where apt's keys are.
const PLACES: [&str; 4] =
    ["etc/apt/trusted.gpg.d", "etc/apt/keyrings", "usr/share/keyrings", "usr/lib/apt/keyrings"];
/// Files that are read of each, and bytes of one.
const FILES: usize = 64;
const BYTES: u64 = 1 << 20;

/// The key files of a file system, as they were before a step ran in it. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Keyrings {
    files: Arc<Vec<(String, Vec<u8>)>>,
    keys: Arc<OnceLock<Vec<(PublicKey, usize)>>>,
}

/// Who signed a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signer {
    /// The key's fingerprint.
    pub(super) key: String,
    /// The file that it is in, as a path of the file system.
    pub(super) file: String,
}

impl Keyrings {
    /// Reads the key files below `root`, where they are small enough. Links lead nowhere else than inside it.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(root) = openat(CWD, root, flags, Mode::empty()) else { return Self::default() };
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let mut files = Vec::new();
        for place in PLACES {
            let Ok(folder) = openat2(&root, place, flags, Mode::empty(), inside) else { continue };
            let Ok(listed) = Dir::read_from(&folder) else { continue };
            let names = listed.take(4 * FILES).filter_map(Result::ok);
            let names =
                names.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
            // Debian ships the keys that it withdrew beside the others.
            let trusted = |name: &String| is_key_file(name) && !name.contains("removed");
            let mut names: Vec<String> = names.filter(trusted).collect();
            names.sort();
            for name in names.into_iter().take(FILES) {
                let path = format!("{place}/{name}");
                let plain = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let Ok(file) = openat2(&root, &path, plain, Mode::empty(), inside) else {
                    continue;
                };
                let regular = |mode| FileType::from_raw_mode(mode) == FileType::RegularFile;
                if !fstat(&file).is_ok_and(|stat| regular(stat.st_mode)) {
                    continue;
                }
                let mut bytes = Vec::new();
                let read = File::from(file).take(BYTES + 1).read_to_end(&mut bytes);
                if read.is_ok_and(|read| read as u64 <= BYTES) {
                    files.push((format!("/{path}"), bytes));
                }
            }
        }
        Self::of(files)
    }

    /// These files, by path.
    #[must_use]
    pub fn of(files: Vec<(String, Vec<u8>)>) -> Self {
        Self { files: Arc::new(files), keys: Arc::default() }
    }

    /// The first key that made one of the signatures over `text`.
    pub(super) fn signer(&self, text: &[u8], signatures: &[Signature]) -> Option<Signer> {
        let keys = self.keys.get_or_init(|| {
            let files = self.files.iter().enumerate();
            let keys = |(at, (_, bytes)): (usize, &(String, Vec<u8>))| {
                public_keys(bytes).into_iter().map(move |key| (key, at))
            };
            files.flat_map(keys).collect()
        });
        let made = signatures
            .iter()
            .find_map(|signature| keys.iter().find(|(key, _)| key.made(signature, text)));
        let (key, at) = made?;
        Some(Signer { key: key.fingerprint(), file: self.files.get(*at)?.0.clone() })
    }
}

fn is_key_file(name: &str) -> bool {
    [".gpg", ".asc", ".pgp"].iter().any(|ending| name.ends_with(ending))
}
