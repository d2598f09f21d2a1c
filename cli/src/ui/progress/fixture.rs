//! A small build for the tests of the displays.

use touchmark_builder::{
    dockerfile::Span,
    egress::{Refusal, RefusalKind, StepOrigin},
    graph::Origin,
    oci::{descriptor::Descriptor, digest::Digest, reference::Reference},
    solver::{
        event::Event,
        reason::{Change, Input, Reason},
        transfer::{Direction, Motion, Transfer},
    },
};

use super::{
    finished::DockerfileText,
    summary::{BuiltImage, Hardening},
};

/// A step.
pub(super) fn origin(stage: &str, step: usize, line: usize, text: &str) -> Origin {
    let span = Span { first_line: line, last_line: line, first_column: 1, end_column: 4 };
    Origin { span, stage: stage.into(), step, steps: 4, text: text.into() }
}

pub(super) fn dockerfile() -> DockerfileText {
    DockerfileText { name: "Dockerfile".into(), source: "FROM debian\nRUN make\n".into() }
}

pub(super) fn image() -> Reference {
    "registry.example/team/app:1".parse().unwrap()
}

pub(super) fn blob(size: u64) -> Descriptor {
    Descriptor::new("layer", Digest::of(b"layer"), size)
}

pub(super) fn transfer<'a>(
    direction: Direction,
    image: &'a Reference,
    blob: &'a Descriptor,
    motion: Motion,
) -> Event<'a> {
    Event::Transfer(Transfer { direction, image, blob, motion })
}

pub(super) fn refusal() -> Refusal {
    Refusal {
        origin: StepOrigin { line: 2, text: "RUN make".into(), stage: "build".into() },
        host: "not-allowed.example".into(),
        port: 53,
        kind: RefusalKind::UnknownName,
        remedy: "allow it in touchmark.toml".into(),
    }
}

pub(super) fn change() -> Reason {
    let value = |text: &str| Some(text.to_owned());
    let (input, name) = (Input::Argument, "VERSION".to_owned());
    Reason::Changed(Change { input, name, from: value("1.2"), to: value("1.3") })
}

pub(super) fn built() -> BuiltImage {
    BuiltImage {
        digest: Some(Digest::of(b"manifest").to_string()),
        config: Some(Digest::of(b"config").to_string()),
        size: 48_500_000,
        layers: 5,
        names: vec![image().to_string()],
        pushed: true,
        files: vec!["image.tar".into()],
        statements: 3,
        hardening: Hardening { removed: 12, cleared: 3, packages: 1, kept: 0 },
    }
}
