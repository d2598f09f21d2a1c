//! The rows: what is built, from which state, and how far ahead touchmark is to be.

use std::path::Path;

use crate::{context, subject::End};

/// What there is before a run.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// A running daemon with nothing in it, and a page cache with nothing in it.
    Cold,
    /// The same was built before.
    Warm,
    /// The same was built before, and then this was done to the context.
    Changed(fn(&Path, usize)),
    /// As `Cold`, but the same was built before, and what its steps fetched is kept where a builder keeps that.
    Downloaded,
    /// As `Cold`, but the registry has a cache that was exported from another machine.
    SharedCache,
}

/// Something to build.
pub(crate) struct Row {
    /// How it is called on the command line.
    pub(crate) key: &'static str,
    /// What it is.
    pub(crate) title: &'static str,
    /// Writes the context; gets the registry's `host:port`.
    pub(crate) write: fn(&Path, &str),
    pub(crate) start: Start,
    pub(crate) end: End,
    /// The ratio touchmark/BuildKit to reach.
    pub(crate) bound: Option<f64>,
    /// Why buildah does not take part.
    pub(crate) without_buildah: Option<&'static str>,
    /// Why it cannot be measured yet.
    pub(crate) pending: Option<&'static str>,
}

impl Row {
    const fn new(key: &'static str, title: &'static str, write: fn(&Path, &str)) -> Self {
        Self {
            key,
            title,
            write,
            start: Start::Cold,
            end: End::Pushed,
            bound: None,
            without_buildah: None,
            pending: None,
        }
    }

    const fn at_most(self, bound: f64) -> Self {
        Self { bound: Some(bound), ..self }
    }

    const fn from(self, start: Start) -> Self {
        Self { start, ..self }
    }

    const fn to(self, end: End) -> Self {
        Self { end, ..self }
    }

    const fn without_buildah(self, reason: &'static str) -> Self {
        Self { without_buildah: Some(reason), ..self }
    }
}

const NO_ATTESTATIONS: &str = "it makes no attestations";

/// All rows, in the order of the report.
pub(crate) fn all() -> Vec<Row> {
    vec![
        Row::new("unchanged", "nothing changed: the C example, attestations present", hello)
            .from(Start::Warm)
            .at_most(0.5)
            .without_buildah(NO_ATTESTATIONS),
        Row::new("unchanged-files", "nothing changed: a context of 20,000 files", files)
            .from(Start::Warm)
            .at_most(0.3),
        Row::new("changed", "one source line changed in the C example", hello)
            .from(Start::Changed(context::change_hello))
            .at_most(0.7),
        Row::new("run-50", "50 RUN steps that each write a small file", runs).at_most(0.6),
        Row::new("stages-16", "16 parallel stages of 10 MB random each, gathered", stages)
            .at_most(0.5),
        Row::new("copy", "COPY of 20,000 small files and one of 224 MB on a base of 180 MB", copy)
            .at_most(0.3),
        Row::new("pull", "a base of 180 MB pulled and unpacked, one trivial RUN, no output", pull)
            .to(End::Kept)
            .at_most(0.5),
        Row::new(
            "pull-push",
            "a base of 180 MB pulled and unpacked, one trivial RUN, pushed",
            pull,
        ),
        Row::new("gcc", "apt-get install gcc, compile, COPY --from; download store empty", hello)
            .at_most(0.9),
        Row::new(
            "gcc-filled",
            "apt-get install gcc, compile, COPY --from; download store filled",
            hello,
        )
        .from(Start::Downloaded)
        .at_most(0.5),
        Row::new(
            "marked",
            "the same with SBOM, provenance, signature; BuildKit + syft + cosign",
            hello,
        )
        .to(End::Marked)
        .at_most(0.3)
        .without_buildah(NO_ATTESTATIONS),
        Row::new(
            "shared-cache",
            "the C example on an empty machine, with --cache-from a registry",
            hello,
        )
        .from(Start::SharedCache)
        .at_most(0.6)
        .without_buildah("its cache in a registry holds no parallel to mode=max"),
    ]
}

fn hello(dir: &Path, _: &str) {
    context::hello(dir);
}

fn files(dir: &Path, registry: &str) {
    let base = context::debian(registry);
    context::dockerfile(dir, &format!("FROM {base}\nCOPY files /srv/files\n"));
    context::small_files(dir, 20_000);
}

fn runs(dir: &Path, registry: &str) {
    context::dockerfile(dir, &context::runs(&context::busybox(registry), 50));
}

fn stages(dir: &Path, registry: &str) {
    context::dockerfile(dir, &context::stages(&context::busybox(registry), 16, 10 << 20));
}

fn copy(dir: &Path, registry: &str) {
    let base = context::debian(registry);
    context::dockerfile(dir, &format!("FROM {base}\nCOPY files /srv/files\nCOPY large /srv/\n"));
    context::small_files(dir, 20_000);
    context::large_file(&dir.join("large"), 224_000_000);
}

fn pull(dir: &Path, registry: &str) {
    context::dockerfile(dir, &format!("FROM {}\nRUN true\n", context::debian(registry)));
}
