//! What a file is when it is started: an ELF file with its loader and libraries, or a script with its
//! interpreter. Learnt from the stream while a layer is indexed, in bounded memory: the first bytes of
//! a file and its dynamic section.

use std::io::{self, Read};

use object::{
    Endianness,
    elf::{
        DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRTAB, DynamicTag, FileHeader32, FileHeader64,
        PT_DYNAMIC, PT_INTERP, PT_LOAD, ProgramType,
    },
    read::elf::{Dyn, FileHeader, ProgramHeader},
};

use super::rules::{SIGNATURES, Signature};

/// What the start of a file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Program {
    /// An ELF file.
    Elf(Elf),
    /// `#!interpreter arguments`.
    Script {
        /// The words after `#!`.
        words: Vec<String>,
    },
}

/// What the dynamic loader looks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Elf {
    /// The loader (PT_INTERP).
    pub(super) interpreter: Option<String>,
    /// Libraries (DT_NEEDED).
    pub(super) needed: Vec<String>,
    /// Search path (DT_RUNPATH, else DT_RPATH).
    pub(super) run_path: Option<String>,
    /// The shell that its content shows it to be.
    pub(super) signature: Option<&'static str>,
}

/// Bytes kept of a file's start: dynamic string tables lie there, and the signatures of shells.
const PREFIX: u64 = 8 * 1024 * 1024;
/// The kernel reads 256 bytes of a script's first line (binfmt_script).
const SCRIPT_LINE: usize = 256;
/// The most that is read of one dynamic section.
const MAX_DYNAMIC: u64 = 1024 * 1024;

/// The most libraries that are noted of one file. A name takes 16 bytes of the file to repeat, and up to
/// 4096 here; real programs name some hundred at most.
const MAX_NEEDED: usize = 512;

/// Reads as much of a file as is needed to know what it is. Files that are neither, or damaged, give
/// `None`: they cannot be started.
pub(super) fn probe(content: &mut dyn Read) -> io::Result<Option<Program>> {
    let mut start = Vec::new();
    (&mut *content).take(4).read_to_end(&mut start)?;
    if start.starts_with(b"#!") {
        (&mut *content).take(SCRIPT_LINE as u64 - 4).read_to_end(&mut start)?;
        return Ok(script(&start));
    }
    if start != b"\x7fELF" {
        return Ok(None);
    }
    (&mut *content).take(PREFIX - 4).read_to_end(&mut start)?;
    let mut elf = match start.get(4) {
        Some(1) => elf::<FileHeader32<Endianness>>(&start, content)?,
        Some(2) => elf::<FileHeader64<Endianness>>(&start, content)?,
        _ => None,
    };
    if let Some(elf) = &mut elf {
        elf.signature = signature(&start);
    }
    Ok(elf.map(Program::Elf))
}

fn script(start: &[u8]) -> Option<Program> {
    let line = start.split(|byte| *byte == b'\n').next()?;
    let text = String::from_utf8_lossy(&line[2..]);
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() { None } else { Some(Program::Script { words }) }
}

/// The shell that these bytes are. A program that has the marks of most shells is none: it looks for
/// shells, as this one does.
fn signature(bytes: &[u8]) -> Option<&'static str> {
    let fits = |known: &&Signature| known.marks.iter().all(|mark| holds(bytes, mark));
    let found: Vec<_> = SIGNATURES.iter().filter(fits).collect();
    found.first().filter(|_| found.len() <= SIGNATURES.len() / 2).map(|known| known.program)
}

fn holds(mut bytes: &[u8], mark: &[u8]) -> bool {
    while let Some(at) = bytes.iter().position(|byte| *byte == mark[0]) {
        bytes = &bytes[at..];
        if bytes.starts_with(mark) {
            return true;
        }
        bytes = &bytes[1..];
    }
    false
}

/// Reads the headers from `start`, and the dynamic section from there or from the rest of the stream.
fn elf<H: FileHeader<Endian = Endianness>>(
    start: &[u8],
    rest: &mut dyn Read,
) -> io::Result<Option<Elf>> {
    let parsed = H::parse(start).and_then(|header| {
        let endian = header.endian()?;
        Ok((endian, header.program_headers(endian, start)?))
    });
    let Ok((endian, segments)) = parsed else { return Ok(None) };
    let find = |kind: ProgramType| segments.iter().find(|segment| segment.p_type(endian) == kind);
    let range = |segment: &H::ProgramHeader| {
        let (offset, size) = segment.file_range(endian);
        (offset, size.min(MAX_DYNAMIC))
    };
    let mut elf = Elf::default();
    if let Some((offset, size)) = find(PT_INTERP).map(range) {
        elf.interpreter = slice(start, offset, size).map(until_nul);
    }
    let Some((offset, size)) = find(PT_DYNAMIC).map(range) else { return Ok(Some(elf)) };
    let later;
    let dynamic = match slice(start, offset, size) {
        Some(dynamic) => dynamic,
        None if offset >= start.len() as u64 => {
            let gap = offset - start.len() as u64;
            io::copy(&mut (&mut *rest).take(gap), &mut io::sink())?;
            let mut bytes = Vec::new();
            (&mut *rest).take(size).read_to_end(&mut bytes)?;
            later = bytes;
            &later
        }
        None => return Ok(Some(elf)),
    };
    let count = dynamic.len() / size_of::<H::Dyn>();
    let Ok((entries, _)) = object::pod::slice_from_bytes::<H::Dyn>(dynamic, count) else {
        return Ok(Some(elf));
    };
    let value = |tag: DynamicTag| {
        entries.iter().find(|entry| entry.tag(endian) == tag).map(|e| e.d_val(endian).into())
    };
    let Some(table) = value(DT_STRTAB).and_then(|address: u64| {
        let holds = |segment: &&H::ProgramHeader| {
            let (from, size) = (segment.p_vaddr(endian).into(), segment.p_filesz(endian).into());
            segment.p_type(endian) == PT_LOAD && address >= from && address - from < size
        };
        let segment = segments.iter().find(holds)?;
        let offset: u64 = segment.p_offset(endian).into();
        Some(offset.wrapping_add(address - segment.p_vaddr(endian).into()))
    }) else {
        return Ok(Some(elf));
    };
    let text = |at: u64| {
        let from = usize::try_from(table.checked_add(at)?).ok()?;
        Some(until_nul(start.get(from..)?)).filter(|text| !text.is_empty())
    };
    let needed = entries.iter().filter(|entry| entry.tag(endian) == DT_NEEDED).take(MAX_NEEDED);
    elf.needed = needed.filter_map(|entry| text(entry.d_val(endian).into())).collect();
    elf.run_path = value(DT_RUNPATH).or_else(|| value(DT_RPATH)).and_then(text);
    Ok(Some(elf))
}

fn slice(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let from = usize::try_from(offset).ok()?;
    bytes.get(from..from.checked_add(usize::try_from(size).ok()?)?)
}

fn until_nul(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(4096)];
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Option<Program> {
        probe(&mut &bytes[..]).unwrap()
    }

    #[test]
    fn scripts() {
        let words = |text: &[u8]| match of(text) {
            Some(Program::Script { words }) => words.join("|"),
            other => format!("{other:?}"),
        };
        assert_eq!(words(b"#! /usr/bin/env  python3 -u\nrest"), "/usr/bin/env|python3|-u");
        assert_eq!(words(b"#!\n"), "None");
        assert_eq!(words(b"#"), "None");
    }

    #[test]
    fn the_running_program_is_an_elf_with_libraries() {
        let bytes = std::fs::read("/proc/self/exe").unwrap();
        let Some(Program::Elf(elf)) = of(&bytes) else { panic!("no ELF") };
        assert!(elf.interpreter.unwrap().contains("ld"), "the loader");
        assert!(elf.needed.iter().any(|name| name.starts_with("libc.")), "{:?}", elf.needed);
    }

    #[test]
    fn damaged_files_are_no_programs_and_never_panic() {
        let bytes = std::fs::read("/proc/self/exe").unwrap();
        for end in (0..4096).step_by(7) {
            let _ = of(&bytes[..end]);
        }
        for at in 0..512 {
            let mut other = bytes[..8192].to_vec();
            other[at] ^= 0xff;
            let _ = of(&other);
        }
    }

    #[test]
    fn every_signature_is_found_by_all_of_its_marks() {
        for known in SIGNATURES {
            let whole = known.marks.join(&b"\0 \0"[..]);
            assert_eq!(signature(&whole), Some(known.program));
            assert_eq!(signature(&whole[..whole.len() - 1]), None, "{}", known.program);
        }
        let scanner: Vec<u8> = SIGNATURES.iter().flat_map(|known| known.marks.concat()).collect();
        assert_eq!(signature(&scanner), None);
    }
}
