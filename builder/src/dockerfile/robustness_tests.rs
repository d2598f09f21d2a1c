//! No bytes make the parser panic or hang: mutations of the golden files, by a fixed generator, so that
//! a failure can be repeated.

use std::{fs, path::Path, time::Instant};

use super::Dockerfile;

/// The sources of all golden cases under `room`.
pub(crate) fn corpus(room: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room).join("golden");
    let mut cases: Vec<_> = fs::read_dir(root).unwrap().map(|case| case.unwrap().path()).collect();
    cases.sort();
    cases.iter().map(|case| fs::read_to_string(case.join("Dockerfile")).unwrap()).collect()
}

/// Xorshift (Marsaglia 2003).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }
}

const PIECES: &[&str] = &[
    "\n",
    "\\\n",
    "\\",
    "`",
    "\r\n",
    "\t",
    " ",
    "#",
    "# escape=`\n",
    "\u{feff}",
    "\0",
    "é",
    "\u{2028}",
    "$",
    "${",
    "}",
    "${a:-",
    "${a//",
    "${a%",
    "${a:?",
    "/",
    ":",
    "\"",
    "'",
    "[",
    "]",
    "[\"a\"]",
    "{",
    ",",
    "<<",
    "<<-",
    "<<EOF",
    "\nEOF\n",
    "--",
    "--from=",
    "--mount=type=cache,target=",
    "--chmod=",
    "=",
    "*",
    "FROM ",
    "AS ",
    "RUN ",
    "COPY ",
    "ONBUILD ",
    "ARG ",
    "ENV ",
    "HEALTHCHECK ",
    "CMD ",
    "EXPOSE ",
    "0-",
    "99999999999999999999",
    "%",
    "?",
    "[[",
    "scratch",
    "-",
    ".",
    "..",
    "/./",
    "~",
    "|",
    "&&",
];

/// One to six random changes of a text.
pub(crate) fn mutate(text: &str, others: &[String], random: &mut Random) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(6) {
        let at = random.below(letters.len() + 1);
        let end = (at + random.below(12)).min(letters.len());
        match random.below(5) {
            0 => drop(letters.drain(at..end)),
            1 => {
                let copy = letters[at..end].to_vec();
                let to = random.below(letters.len() + 1);
                letters.splice(to..to, copy);
            }
            2 => letters.truncate(at),
            3 => {
                let other = &others[random.below(others.len())];
                let line = random.below(other.lines().count());
                letters.splice(at..at, other.lines().nth(line).unwrap_or("").chars());
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len())];
                letters.splice(at..end, piece.chars());
            }
        }
    }
    letters.into_iter().collect()
}

#[test]
fn mutations_do_not_panic() {
    let corpus = corpus("dockerfile");
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for round in 0..20_000 {
        let source = mutate(&corpus[round % corpus.len()], &corpus, &mut random);
        if let Err(faults) = Dockerfile::parse(&source) {
            assert!(!faults.is_empty());
            for fault in faults {
                let _ = super::excerpt("Dockerfile", &source, &fault);
            }
        }
    }
}

#[test]
fn long_inputs_take_linear_time() {
    let deep = |before: &str, piece: &str, after: &str, times| {
        format!("FROM a\n{before}{}{after}\n", piece.repeat(times))
    };
    let sources = [
        deep("RUN x", " \\\n y", "", 100_000),
        deep("", "RUN echo hello\n", "", 100_000),
        deep("", "FOO bar\n", "", 100_000),
        deep("ENV ", "a=${b:-c} \\\n", "d=e", 50_000),
        deep("COPY ", "--exclude=a \\\n", "a b", 50_000),
        deep("RUN ", "--mount=target=/a \\\n", "a b", 50_000),
        deep("RUN <<E cat ", "é ", "\nE", 30_000),
        deep("RUN <<E cat \\\n", "é \\\n", "\nE", 30_000),
        deep("RUN <<E \\\n", "${a:-\\\n", "\nE", 30_000),
        deep("COPY ", "<<E \\\n", "x\nE", 2_000),
        deep("RUN \\\n", "\n", "", 100_000),
        deep("CMD ", "[", "", 60_000),
        deep("ONBUILD ", "ONBUILD ", "", 8_000),
        deep("", "RUN <<E\nx\nE\n", "", 10_000),
        deep("", "COPY << E <<F /x/\nE\nF\n", "", 10_000),
        deep("", "FROM a AS b\n", "", 10_000),
        deep("ENV A=", &format!("{}\\\n", "x".repeat(60_000)), "", 17),
        deep("LABEL A=\"", "${a:-\\\n", "\"", 50_000),
    ];
    for source in sources {
        let start = Instant::now();
        let _ = Dockerfile::parse(&source);
        let took = start.elapsed();
        assert!(took.as_secs() < 10, "{:?}… took {took:?}", &source[..40]);
    }
}
