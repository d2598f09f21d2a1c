//! What `COPY --from` and `RUN --mount from` name: a stage, a named context or an image.

use super::{Base, Plan, named_sources};
use crate::{
    dockerfile::{Diagnostic, Kind, Span, suggest},
    graph::options::{NamedContext, tagged},
    oci::reference::Reference,
};

/// What a name stands for.
#[derive(Debug, Clone)]
pub(in crate::graph) enum Source {
    /// A stage, by index.
    Stage(usize),
    /// An image, with tag or digest.
    Image(Reference),
    /// The empty file system.
    Scratch,
    /// The files of a named context.
    Named(String),
}

/// With more stages than this a misspelt name is not looked for.
const MAX_STAGES: usize = 200;

/// Short names that are images even where a stage's name is similar.
const COMMON_IMAGES: [&str; 22] = [
    "alpine",
    "amazonlinux",
    "busybox",
    "caddy",
    "centos",
    "composer",
    "debian",
    "fedora",
    "golang",
    "gradle",
    "httpd",
    "maven",
    "nginx",
    "node",
    "perl",
    "php",
    "postgres",
    "python",
    "redis",
    "ruby",
    "rust",
    "ubuntu",
];

impl Plan<'_> {
    /// What `name` stands for: a stage by name or index, `scratch`, a named context, else an image.
    pub(in crate::graph) fn source(&self, name: &str, span: Span) -> Result<Source, Diagnostic> {
        if let Some(index) = self.stage_named(name) {
            return Ok(Source::Stage(index));
        }
        if let Ok(index) = name.parse::<i64>() {
            let last = self.stages.len() - 1;
            return Err(Diagnostic::new(span, format!("there is no stage {index}"))
                .help(format!("the stages are counted from 0 to {last}")));
        }
        if name == "scratch" {
            return Ok(Source::Scratch);
        }
        if let Some(context) = self.options.named_context(name) {
            return Ok(match context {
                (name, NamedContext::Files) => Source::Named(name.clone()),
                (_, NamedContext::Image(reference)) => Source::Image(reference.clone()),
                (_, NamedContext::Scratch) => Source::Scratch,
            });
        }
        if let Some(fault) = self.misspelt_stage(name, span) {
            return Err(fault);
        }
        match name.parse::<Reference>() {
            Ok(reference) => Ok(Source::Image(tagged(reference))),
            Err(error) => {
                Err(Diagnostic::new(span, format!("there is no stage '{name}', and {error}"))
                    .help("name a stage with FROM … AS, or an image such as debian:bookworm")
                    .suggest(name, self.names.keys().copied()))
            }
        }
    }

    /// The stage of this index or name.
    fn stage_named(&self, name: &str) -> Option<usize> {
        match name.parse::<usize>() {
            Ok(index) => Some(index).filter(|index| *index < self.stages.len()),
            Err(_) => self.names.get(name.to_lowercase().as_str()).copied(),
        }
    }

    /// A bare name that is almost a stage's is taken for a mistake, because the image of that name would
    /// come from a public registry, out of anyone's hands. Names that the file or the world uses for
    /// images are left alone.
    fn misspelt_stage(&self, name: &str, span: Span) -> Option<Diagnostic> {
        let known = COMMON_IMAGES.contains(&name)
            || self.stages.iter().any(|stage| match &stage.base {
                Base::Image(reference) => {
                    name.parse().is_ok_and(|other: Reference| other.name() == reference.name())
                }
                _ => false,
            });
        // With very many stages the search would take too long.
        if known || name.contains(['/', ':', '@', '.']) || self.stages.len() > MAX_STAGES {
            return None;
        }
        let near = suggest::nearest(name, self.names.keys().copied())?;
        let stage = &self.file.stages[*self.names.get(near)?];
        let place = stage.written_name.as_ref().map_or(stage.span, |name| name.span);
        Some(
            Diagnostic::new(span, format!("there is no stage '{name}'"))
                .help(format!(
                    "did you mean {near}? if the image is meant, write docker.io/library/{}",
                    name.to_lowercase()
                ))
                .related(place, format!("the stage '{near}' is defined here")),
        )
    }

    /// The faults in the sources of all needed instructions: unknown stages, and stages that are defined
    /// only later.
    pub(super) fn source_faults(&self) -> Vec<Diagnostic> {
        let mut faults = Vec::new();
        for index in self.needed() {
            for (name, span) in
                self.stages[index].instructions.iter().flat_map(|step| named_sources(step))
            {
                match self.source_of(name, span, index) {
                    Ok(_) => {}
                    Err(fault) => faults.push(fault),
                }
            }
        }
        faults
    }

    /// The same as [`Self::source`], for an instruction of this stage.
    fn source_of(&self, name: &str, span: Span, stage: usize) -> Result<Source, Diagnostic> {
        let source = self.source(name, span)?;
        if let Source::Stage(later) = &source
            && *later >= stage
        {
            let (own, other) = (&self.file.stages[stage], &self.file.stages[*later]);
            let (own_name, name) = (own.label(stage), other.label(*later));
            return Err(Diagnostic::new(
                span,
                format!("the stage '{name}' is defined only after the stage '{own_name}'"),
            )
            .help(format!("move it before the stage '{own_name}'"))
            .related(other.span, format!("the stage '{name}' is defined here")));
        }
        Ok(source)
    }

    /// The stages that a stage needs directly, with the place where it says so.
    pub(super) fn dependencies(&self, index: usize) -> Vec<(usize, Span)> {
        let stage = &self.stages[index];
        let mut found = Vec::new();
        if let Base::Stage(base) = &stage.base {
            found.push((*base, self.file.stages[index].base.span));
        }
        for step in &stage.instructions {
            if !matches!(step.kind, Kind::Copy(_) | Kind::Add(_) | Kind::Run(_)) {
                continue;
            }
            for (name, span) in named_sources(step) {
                found.extend(self.stage_named(name).map(|other| (other, span)));
            }
        }
        found
    }
}
