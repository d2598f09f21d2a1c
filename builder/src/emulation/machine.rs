//! What tells programs of one processor from those of another: the head of an ELF file (System V ABI,
//! chapter 4), and a program of a few bytes.

/// A processor's ELF programs.
#[derive(Debug)]
pub(super) struct Machine {
    /// Its name in the OCI image-spec.
    architecture: &'static str,
    /// Its name in the file names of QEMU's user mode emulators.
    pub(super) qemu: &'static str,
    wide: bool,
    little: bool,
    /// `e_machine`.
    number: u16,
    /// `e_flags` of its usual ABI.
    flags: u32,
    /// Machine code that ends the process with exit code 0.
    code: &'static [u8],
}

const MACHINES: &[Machine] = &[
    // mov $60, %eax; xor %edi, %edi; syscall
    little("amd64", "x86_64", true, 62, 0, &[0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]),
    // mov $1, %eax; xor %ebx, %ebx; int $0x80
    little("386", "i386", false, 3, 0, &[0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80]),
    // mov x8, #93; mov x0, #0; svc #0
    little("arm64", "aarch64", true, 183, 0, b"\xa8\x0b\x80\xd2\x00\x00\x80\xd2\x01\x00\x00\xd4"),
    // mov r7, #1; mov r0, #0; svc #0
    little(
        "arm",
        "arm",
        false,
        40,
        0x0500_0000,
        b"\x01\x70\xa0\xe3\x00\x00\xa0\xe3\x00\x00\x00\xef",
    ),
    // li a7, 93; li a0, 0; ecall
    little("riscv64", "riscv64", true, 243, 0, b"\x93\x08\xd0\x05\x13\x05\x00\x00\x73\x00\x00\x00"),
    // li r0, 1; li r3, 0; sc
    little("ppc64le", "ppc64le", true, 21, 2, b"\x01\x00\x00\x38\x00\x00\x60\x38\x02\x00\x00\x44"),
    // lghi %r2, 0; svc 1
    Machine { little: false, ..little("s390x", "s390x", true, 22, 0, b"\xa7\x29\x00\x00\x0a\x01") },
    // li $v0, 5058; li $a0, 0; syscall
    little(
        "mips64le",
        "mips64el",
        true,
        8,
        0x8000_0000,
        b"\xc2\x13\x02\x34\x00\x00\x04\x34\x0c\x00\x00\x00",
    ),
    // li.w $a7, 93; li.w $a0, 0; syscall 0
    little(
        "loong64",
        "loongarch64",
        true,
        258,
        0x43,
        b"\x0b\x74\x81\x02\x04\x00\x80\x02\x00\x00\x2b\x00",
    ),
];

const fn little(
    architecture: &'static str,
    qemu: &'static str,
    wide: bool,
    number: u16,
    flags: u32,
    code: &'static [u8],
) -> Machine {
    Machine { architecture, qemu, wide, little: true, number, flags, code }
}

/// Where the program is loaded: a multiple of the largest page, above what the kernel keeps free.
const BASE: u64 = 0x40_0000;

/// Length of the part of an ELF head that names the processor.
pub(super) const HEAD: usize = 20;

impl Machine {
    /// The machine of an architecture in the words of the OCI image-spec.
    pub(super) fn of(architecture: &str) -> Option<&'static Self> {
        MACHINES.iter().find(|machine| machine.architecture == architecture)
    }

    /// The first bytes of its programs, and which bits of them count: the operating system's mark does
    /// not, and fixed and movable programs are both meant.
    pub(super) fn magic(&self) -> ([u8; HEAD], [u8; HEAD]) {
        let mut magic = [0; HEAD];
        magic.copy_from_slice(&self.program()[..HEAD]);
        let mut mask = [0xff; HEAD];
        mask[7] = 0;
        mask[if self.little { 16 } else { 17 }] = 0xfe;
        (magic, mask)
    }

    /// The smallest program: it ends with exit code 0.
    pub(super) fn program(&self) -> Vec<u8> {
        let (head, segment) = if self.wide { (64_u64, 56_u64) } else { (52, 32) };
        let start = BASE + head + segment;
        let size = head + segment + self.code.len() as u64;
        let (class, order) = (if self.wide { 2 } else { 1 }, if self.little { 1 } else { 2 });
        let mut out = b"\x7fELF".to_vec();
        out.extend([class, order, 1]);
        out.extend([0; 9]);
        // e_type (executable), e_machine; e_version
        self.put(&mut out, 2, &[2, u64::from(self.number)]);
        self.put(&mut out, 4, &[1]);
        // e_entry, e_phoff, e_shoff
        self.word(&mut out, &[start, head, 0]);
        self.put(&mut out, 4, &[u64::from(self.flags)]);
        // e_ehsize, e_phentsize, e_phnum, then no sections
        self.put(&mut out, 2, &[head, segment, 1, 0, 0, 0]);
        // One segment (PT_LOAD, readable and executable): the whole file.
        self.put(&mut out, 4, &[1]);
        if self.wide {
            self.put(&mut out, 4, &[5]);
        }
        self.word(&mut out, &[0, BASE, BASE, size, size]);
        if !self.wide {
            self.put(&mut out, 4, &[5]);
        }
        self.word(&mut out, &[0x1_0000]);
        out.extend(self.code);
        out
    }

    /// Numbers of a pointer's size.
    fn word(&self, out: &mut Vec<u8>, numbers: &[u64]) {
        self.put(out, if self.wide { 8 } else { 4 }, numbers);
    }

    /// Numbers of so many bytes in the machine's order.
    fn put(&self, out: &mut Vec<u8>, bytes: usize, numbers: &[u64]) {
        for number in numbers {
            match self.little {
                true => out.extend(&number.to_le_bytes()[..bytes]),
                false => out.extend(&number.to_be_bytes()[8 - bytes..]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use object::{Object, ObjectSegment};

    use super::*;

    #[test]
    fn programs_are_whole_elf_files_of_their_machine() {
        for machine in MACHINES {
            let program = machine.program();
            let file = object::File::parse(&*program).unwrap();
            assert_eq!(file.is_little_endian(), machine.little, "{}", machine.architecture);
            assert_eq!(file.is_64(), machine.wide);
            let segment = file.segments().next().unwrap();
            let code = usize::try_from(file.entry() - segment.address()).unwrap();
            assert_eq!(&segment.data().unwrap()[code..], machine.code);
        }
    }

    #[test]
    fn a_movable_program_is_recognised_and_another_machine_is_not() {
        let arm64 = Machine::of("arm64").unwrap();
        let (magic, mask) = arm64.magic();
        let fits = |head: &[u8]| {
            head.iter().zip(magic).zip(mask).all(|((own, magic), mask)| own & mask == magic & mask)
        };
        let mut movable = arm64.program();
        movable[16] = 3;
        movable[7] = 3;
        assert!(fits(&movable[..HEAD]));
        assert!(!fits(&Machine::of("riscv64").unwrap().program()[..HEAD]));
        assert!(!fits(&Machine::of("arm").unwrap().program()[..HEAD]));
        assert!(Machine::of("toaster").is_none());
    }
}
