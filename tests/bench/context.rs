//! The contexts that are built: the same files for every builder and in every run.

use std::{fs, io::Write as _, path::Path};

use touchmark_tests::repository;

/// Numbers that look random and are the same every time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// The base image with a package manager, of about 180 MB.
pub(crate) fn debian(registry: &str) -> String {
    format!("{registry}/library/debian:bookworm")
}

/// The tiny base image.
pub(crate) fn busybox(registry: &str) -> String {
    format!("{registry}/library/busybox:latest")
}

/// Writes the Dockerfile of `dir`.
pub(crate) fn dockerfile(dir: &Path, text: &str) {
    fs::create_dir_all(dir).expect("own directory");
    fs::write(dir.join("Dockerfile"), text).expect("own directory");
}

/// The C program in two stages that the manual begins with. The base image is a build argument.
pub(crate) fn hello(dir: &Path) {
    fs::create_dir_all(dir).expect("own directory");
    for name in ["Dockerfile", "hello.c"] {
        let from = repository().join("examples/hello").join(name);
        fs::copy(from, dir.join(name)).expect("the example");
    }
}

/// Changes one line of [`hello`]'s program; another one for each `round`.
pub(crate) fn change_hello(dir: &Path, round: usize) {
    let path = dir.join("hello.c");
    let text = fs::read_to_string(&path).expect("the example");
    let (first, rest) = match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("/* round") => (first, rest),
        _ => ("", text.as_str()),
    };
    assert_ne!(first, format!("/* round {round} */"), "nothing would change");
    fs::write(&path, format!("/* round {round} */\n{rest}")).expect("own directory");
}

/// `count` small files in `dir/files`, a hundred in a folder, of 100 to 1,123 bytes of text each.
pub(crate) fn small_files(dir: &Path, count: usize) {
    let mut noise = Noise(42);
    for number in 0..count {
        let folder = dir.join(format!("files/{:04}", number / 100));
        if number % 100 == 0 {
            fs::create_dir_all(&folder).expect("own directory");
        }
        let length = 100 + (noise.next() % 1024) as usize;
        let mut text = String::with_capacity(length + 24);
        while text.len() < length {
            text.push_str(&format!("{:x} = {number}\n", noise.next()));
        }
        text.truncate(length);
        fs::write(folder.join(format!("{number}.txt")), text).expect("own directory");
    }
}

/// A file of so many bytes, of which gzip saves about half: what programs and their data are like.
pub(crate) fn large_file(path: &Path, bytes: u64) {
    let mut noise = Noise(7);
    let file = fs::File::create(path).expect("own directory");
    let mut file = std::io::BufWriter::with_capacity(1 << 20, file);
    let mut left = bytes;
    while left > 0 {
        let mut block = [0_u8; 4096];
        for eight in block[..2048].chunks_mut(8) {
            eight.copy_from_slice(&noise.next().to_le_bytes());
        }
        let some = left.min(4096);
        file.write_all(&block[..some as usize]).expect("room on the disk");
        left -= some;
    }
    file.flush().expect("room on the disk");
}

/// `count` steps that each write a small file.
pub(crate) fn runs(base: &str, count: usize) -> String {
    let steps = (1..=count).map(|step| format!("RUN echo step {step} > /step-{step}\n"));
    format!("FROM {base}\n{}", steps.collect::<String>())
}

/// `count` instructions that run nothing, and one file.
pub(crate) fn settings(base: &str, count: usize) -> String {
    let lines = (1..=count).map(|line| match line % 2 {
        0 => format!("LABEL example.line-{line}=\"{line}\"\n"),
        _ => format!("ENV LINE_{line}={line}\n"),
    });
    format!("FROM {base}\n{}COPY Dockerfile /\n", lines.collect::<String>())
}

/// `count` stages that each make so many random bytes, and one that gathers them.
pub(crate) fn stages(base: &str, count: usize, bytes: u64) -> String {
    let made = (1..=count).map(|stage| {
        format!("FROM {base} AS s{stage}\nRUN head -c {bytes} /dev/urandom > /made-{stage}\n")
    });
    let gathered = (1..=count).map(|stage| format!("COPY --from=s{stage} /made-{stage} /\n"));
    format!("{}FROM {base}\n{}", made.collect::<String>(), gathered.collect::<String>())
}
