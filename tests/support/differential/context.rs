//! A build context in a few lines, because git keeps neither modes nor times nor what is no file:
//!
//! ```text
//! # one entry a line; words in double quotes know \n \t \r \0 \" \\ and \xNN
//! dir  PATH            [mode=0755] [mtime=SECONDS] [xattr:user.name=VALUE]
//! file PATH ["TEXT"]   the text is the path and a newline when none is given; size=N: that many zero bytes
//! base64 PATH DATA     a file of any bytes
//! link PATH TARGET
//! hard PATH FIRST
//! fifo PATH
//! tar  PATH            a tar of the indented lines that follow, also .tar.gz and .tgz; there also uid= gid=
//!   file PATH …        and `char PATH MAJOR MINOR`, `block PATH MAJOR MINOR`
//! [name]               what follows belongs to another context, see [`folder`]
//! ```
//!
//! Folders above an entry are made with mode 0755. Every time is 2020-01-02T03:04:05Z unless given.

use std::{
    ffi::OsStr,
    fs::{self, File, FileTimes, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::tarball;

/// The time of every entry that says no other.
pub const MTIME: u64 = 1_577_934_245;

/// One line of a description.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    pub(super) kind: String,
    /// The path.
    pub(super) path: Vec<u8>,
    /// Words without `=` after the path: a text, a target, numbers.
    pub(super) rest: Vec<Vec<u8>>,
    /// `key=value` words.
    pub(super) keys: Vec<(String, Vec<u8>)>,
}

impl Line {
    /// A number of a key; modes are octal.
    pub(super) fn number(&self, key: &str, default: u64) -> u64 {
        let Some((_, value)) = self.keys.iter().find(|(name, _)| name == key) else {
            return default;
        };
        let radix = if key == "mode" { 8 } else { 10 };
        u64::from_str_radix(&String::from_utf8_lossy(value), radix).expect("a number")
    }

    /// A file's bytes.
    pub(super) fn contents(&self) -> Vec<u8> {
        if self.kind == "base64" {
            return STANDARD.decode(self.rest.concat()).expect("base64");
        }
        if self.keys.iter().any(|(key, _)| key == "size") {
            return vec![0; usize::try_from(self.number("size", 0)).expect("a size")];
        }
        self.rest.first().cloned().unwrap_or_else(|| [&self.path[..], b"\n"].concat())
    }

    pub(super) fn xattrs(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.keys.iter().filter_map(|(key, value)| Some((key.strip_prefix("xattr:")?, &value[..])))
    }

    fn target(&self) -> &OsStr {
        OsStr::from_bytes(self.rest.first().expect("a target"))
    }
}

/// Where the context `name` is below `work`; the main one has no name. The folder's name is `work`'s: BuildKit takes
/// contexts of one name for versions of one context, and what it then keeps of the older one shows in folders' times.
#[must_use]
pub fn folder(work: &Path, name: &str) -> PathBuf {
    let own = work.file_name().expect("a folder").to_string_lossy();
    work.join(format!("{own}-{name}"))
}

/// Writes the contexts that `text` describes below `work`, and the Dockerfile into the main one.
///
/// # Errors
/// A line that is not understood.
pub fn write(work: &Path, dockerfile: &[u8], text: &str) -> Result<(), String> {
    let mut root = folder(work, "");
    fs::create_dir_all(&root).expect("own directory");
    let mut written: Vec<(PathBuf, Line)> = vec![(root.clone(), Line::default())];
    fs::write(root.join("Dockerfile"), dockerfile).expect("own directory");
    written.push((root.join("Dockerfile"), Line::default()));
    let mut lines = text.lines().peekable();
    while let Some(text) = lines.next() {
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        if let Some(name) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            root = folder(work, name);
            fs::create_dir_all(&root).expect("own directory");
            written.push((root.clone(), Line::default()));
            continue;
        }
        let line = parse(text).ok_or_else(|| format!("'{text}' is not understood"))?;
        let path = root.join(OsStr::from_bytes(&line.path));
        make_folders(&root, &path, &mut written);
        let mut members = Vec::new();
        while let Some(member) = lines.next_if(|line| line.starts_with("  ")) {
            members.push(parse(member.trim()).ok_or_else(|| format!("'{member}'?"))?);
        }
        make(&root, &path, &line, &members)?;
        written.push((path, line));
    }
    for (path, line) in written.iter().rev() {
        finish(path, line);
    }
    Ok(())
}

fn make_folders(root: &Path, path: &Path, written: &mut Vec<(PathBuf, Line)>) {
    let folders: Vec<&Path> =
        path.ancestors().skip(1).take_while(|folder| *folder != root).collect();
    for folder in folders.into_iter().rev().filter(|folder| !folder.exists()) {
        fs::create_dir(folder).expect("own directory");
        written.push((folder.to_owned(), Line { kind: "dir".into(), ..Line::default() }));
    }
}

fn make(root: &Path, path: &Path, line: &Line, members: &[Line]) -> Result<(), String> {
    match line.kind.as_str() {
        "dir" => fs::create_dir_all(path),
        "file" | "base64" => fs::write(path, line.contents()),
        "link" => symlink(line.target(), path),
        "hard" => fs::hard_link(root.join(line.target()), path),
        "tar" => fs::write(path, tarball::of(path, members)),
        "fifo" => nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).map_err(Into::into),
        kind => return Err(format!("what is '{kind}'?")),
    }
    .map_err(|error| format!("{}: {error}", path.display()))
}

/// Owner, attributes, mode and time; in reverse order of making, so that a folder is finished after what is in it.
fn finish(path: &Path, line: &Line) {
    let kind = line.kind.as_str();
    let is_dir = path.is_dir() && !path.is_symlink();
    for (name, value) in line.xattrs() {
        let set = std::process::Command::new("setfattr")
            .args(["-n", name, "-v", &String::from_utf8_lossy(value)])
            .arg(path)
            .status();
        assert!(set.is_ok_and(|status| status.success()), "setfattr (package attr)");
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(line.number("mtime", MTIME));
    if kind == "link" || kind == "fifo" {
        let stamp = format!("@{}", line.number("mtime", MTIME));
        let touched =
            std::process::Command::new("touch").args(["-h", "-d", &stamp]).arg(path).status();
        assert!(touched.is_ok_and(|status| status.success()), "touch -h");
    } else if kind != "hard" {
        let file = File::open(path).expect("own file");
        file.set_times(FileTimes::new().set_modified(time)).expect("own file");
    }
    if kind != "link" && kind != "hard" {
        let mode = line.number("mode", if is_dir { 0o755 } else { 0o644 });
        let mode = u32::try_from(mode).expect("a mode");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("own file");
    }
}

fn parse(text: &str) -> Option<Line> {
    let mut words = words(text)?.into_iter();
    let kind = String::from_utf8(words.next()?.1).ok()?;
    let mut line = Line { kind, path: words.next()?.1, ..Line::default() };
    for (quoted, word) in words {
        let key = word.iter().position(|byte| *byte == b'=').filter(|_| !quoted);
        match key {
            Some(at) if line.kind != "base64" => {
                let name = String::from_utf8(word[..at].to_vec()).ok()?;
                line.keys.push((name, word[at + 1..].to_vec()));
            }
            _ => line.rest.push(word),
        }
    }
    Some(line)
}

/// The words of a line, and whether each began with a quote.
fn words(text: &str) -> Option<Vec<(bool, Vec<u8>)>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start().as_bytes();
    while let Some(first) = rest.first() {
        let quoted = *first == b'"';
        let mut word = Vec::new();
        let mut inside = false;
        while let Some(byte) = rest.first().copied() {
            rest = &rest[1..];
            match byte {
                b'"' => inside = !inside,
                b'\\' if inside => {
                    let (bytes, length) = escape(rest)?;
                    word.push(bytes);
                    rest = &rest[length..];
                }
                b' ' if !inside => break,
                byte => word.push(byte),
            }
        }
        if inside {
            return None;
        }
        words.push((quoted, word));
        while rest.first() == Some(&b' ') {
            rest = &rest[1..];
        }
    }
    Some(words)
}

fn escape(rest: &[u8]) -> Option<(u8, usize)> {
    Some(match rest.first()? {
        b'n' => (b'\n', 1),
        b't' => (b'\t', 1),
        b'r' => (b'\r', 1),
        b'0' => (0, 1),
        b'x' => {
            let digits = std::str::from_utf8(rest.get(1..3)?).ok()?;
            (u8::from_str_radix(digits, 16).ok()?, 3)
        }
        other => (*other, 1),
    })
}
