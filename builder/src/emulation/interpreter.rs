//! What could run programs of another processor: the host's handlers, and emulators that are installed.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use super::machine::Machine;

/// Where Debian's package keeps its emulators under names that say how they take their arguments.
const QEMU_BINFMT: &str = "/usr/libexec/qemu-binfmt";

/// The largest list entry that is read, in bytes.
const MAX_ENTRY: u64 = 16 * 1024;

/// Places to look in.
#[derive(Debug)]
pub(super) struct Search {
    /// The directory of the host's binfmt_misc.
    pub(super) host: PathBuf,
    /// Directories of programs.
    pub(super) programs: Vec<PathBuf>,
}

/// A handler of binfmt_misc, as the kernel lists it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Handler {
    enabled: bool,
    interpreter: PathBuf,
    flags: String,
    offset: usize,
    magic: Vec<u8>,
    mask: Vec<u8>,
}

impl Search {
    /// Has the host an enabled handler for the machine that works in every root directory (flag F)?
    pub(super) fn handles(&self, machine: &Machine) -> bool {
        self.handlers(machine).any(|handler| handler.flags.contains('F'))
    }

    /// An emulator for the machine. It runs in every root directory, so it must need no other file.
    pub(super) fn emulator(&self, machine: &Machine) -> Option<PathBuf> {
        let registered = self.handlers(machine).map(|handler| handler.interpreter);
        let named = [format!("qemu-{}-static", machine.qemu), format!("qemu-{}", machine.qemu)];
        let installed = named
            .iter()
            .flat_map(|name| self.programs.iter().map(move |directory| directory.join(name)));
        let debian = Path::new(QEMU_BINFMT).join(format!("{}-binfmt-P", machine.qemu));
        registered.chain(installed).chain([debian]).find(|path| is_static(path).unwrap_or(false))
    }

    fn handlers(&self, machine: &Machine) -> impl Iterator<Item = Handler> {
        let (magic, mask) = machine.magic();
        let entries = fs::read_dir(&self.host).into_iter().flatten().flatten();
        let handlers = entries.filter_map(|entry| {
            let mut text = String::new();
            File::open(entry.path()).ok()?.take(MAX_ENTRY).read_to_string(&mut text).ok()?;
            Handler::parse(&text)
        });
        handlers.filter(move |handler| handler.enabled && handler.takes(&magic, &mask))
    }
}

impl Handler {
    /// Reads what the kernel lists; `None` for the `status` and `register` files and for handlers by
    /// file name.
    fn parse(text: &str) -> Option<Self> {
        let mut handler = Self::default();
        for line in text.lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            match key {
                "enabled" => handler.enabled = true,
                "interpreter" => handler.interpreter = value.into(),
                "flags:" => handler.flags = value.trim().to_owned(),
                "offset" => handler.offset = value.parse().ok()?,
                "magic" => handler.magic = hex::decode(value).ok()?,
                "mask" => handler.mask = hex::decode(value).ok()?,
                _ => {}
            }
        }
        (!handler.magic.is_empty()).then_some(handler)
    }

    /// Is a program with this head one of the handler's?
    fn takes(&self, head: &[u8], counts: &[u8]) -> bool {
        let magic = self.magic.iter().zip(self.mask.iter().copied().chain(std::iter::repeat(0xff)));
        let mut magic = magic.zip(head.iter().zip(counts).skip(self.offset));
        // A handler for everything (of no byte that counts) would be none for a machine.
        let says = self.magic.len() + self.offset >= head.len().min(19);
        says && magic.all(|((own, mask), (head, counts))| (own ^ head) & mask & counts == 0)
    }
}

/// Is it an ELF program without an interpreter of its own (`PT_INTERP`)?
fn is_static(path: &Path) -> Option<bool> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(64 * 1024).read_to_end(&mut head).ok()?;
    let number = |at: usize, bytes: usize| -> Option<usize> {
        let own = head.get(at..at.checked_add(bytes)?)?;
        let fold = |sum: usize, byte: &u8| (sum << 8) | usize::from(*byte);
        Some(match head.get(5)? {
            2 => own.iter().fold(0, fold),
            _ => own.iter().rev().fold(0, fold),
        })
    };
    if !head.starts_with(b"\x7fELF") {
        return Some(false);
    }
    let (table, size, count) = match head.get(4)? {
        2 => (number(32, 8)?, number(54, 2)?, number(56, 2)?),
        _ => (number(28, 4)?, number(42, 2)?, number(44, 2)?),
    };
    for entry in 0..count {
        const PT_INTERP: usize = 3;
        if number(table.checked_add(entry.checked_mul(size)?)?, 4)? == PT_INTERP {
            return Some(false);
        }
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POF\noffset 0\n\
        magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";

    fn search(entries: &[(&str, &str)]) -> (tempfile::TempDir, Search) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in entries {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let search = Search { host: dir.path().into(), programs: vec![dir.path().into()] };
        (dir, search)
    }

    #[test]
    fn a_handler_of_the_host_is_for_its_machine_only() {
        let (_dir, search) = search(&[("status", "enabled\n"), ("qemu-aarch64", DEBIAN)]);
        assert!(search.handles(Machine::of("arm64").unwrap()));
        assert!(!search.handles(Machine::of("arm").unwrap()));
        assert!(!search.handles(Machine::of("riscv64").unwrap()));
    }

    #[test]
    fn one_that_is_off_or_needs_a_file_of_the_image_does_not_count() {
        let off = DEBIAN.replace("enabled", "disabled");
        let inside = DEBIAN.replace("flags: POF", "flags: ");
        let by_name = "enabled\ninterpreter /x\nflags: F\nextension .exe\n";
        let (_dir, search) = search(&[("a", &off), ("b", &inside), ("c", by_name), ("d", "")]);
        assert!(!search.handles(Machine::of("arm64").unwrap()));
    }

    #[test]
    fn an_emulator_needs_no_other_file() {
        let (dir, search) = search(&[]);
        let arm64 = Machine::of("arm64").unwrap();
        let path = dir.path().join("qemu-aarch64");
        for useless in [&b"#!/bin/sh\n"[..], b"\x7fELF", b""] {
            fs::write(&path, useless).unwrap();
            assert_ne!(search.emulator(arm64), Some(path.clone()));
        }
        fs::copy("/bin/sh", &path).unwrap();
        assert_ne!(search.emulator(arm64), Some(path.clone()), "it is linked with libraries");
        fs::write(&path, arm64.program()).unwrap();
        assert_eq!(search.emulator(arm64), Some(path.clone()));
        let first = dir.path().join("qemu-aarch64-static");
        fs::write(&first, arm64.program()).unwrap();
        assert_eq!(search.emulator(arm64), Some(first));
    }
}
