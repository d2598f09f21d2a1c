//! What `--output`, `--push`, `--load`, `--tag` and `--annotation` ask for. `spec` splits a text into
//! fields, `keys` knows which type has which, `annotation` reads those, `endpoint` finds a Docker.

mod annotation;
mod endpoint;
mod keys;
pub(super) mod spec;

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use touchmark_builder::{
    dockerfile::suggest::nearest,
    export::outputs::{FilesOutput, FilesTarget, ImageOutput, ImageTarget, Outputs, Sink},
    image::{
        annotations::{Annotation, Annotations},
        form::Form,
    },
    layer::Compression,
    oci::{platform::Platform, reference::Reference},
};

use self::keys::Kind;
use super::arguments::result::ResultArgs;
use crate::{config::Config, error::CliError};

/// Reads the flags together. `platforms` are those of the build.
pub(super) fn parse(
    args: &ResultArgs,
    platforms: &[Platform],
    config: &Config,
) -> Result<Outputs, CliError> {
    let mut entries =
        args.output.iter().map(|text| Entry::parse(text)).collect::<Result<Vec<_>, _>>()?;
    // As docker does it: --push makes every image output push, and is one where there is none.
    if args.push {
        let is_image = |entry: &&mut Entry| matches!(entry.kind, Kind::Image | Kind::Registry);
        let images = entries.iter_mut().filter(is_image);
        if images.map(|entry| entry.set("push", "true")).count() == 0 {
            entries.push(Entry::new(Kind::Registry));
        }
    }
    let loads = |entry: &Entry| {
        entry.kind == Kind::Containerd
            || (entry.kind == Kind::Docker && entry.get("dest").is_none())
    };
    if args.load && !entries.iter().any(loads) {
        entries.push(Entry::new(Kind::Docker));
    }
    let annotations = args.annotation.iter().map(|text| annotation::flag(text));
    let annotations: Vec<Annotation> =
        annotations.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let mut outputs = Outputs { names: names(&args.tag)?, ..Outputs::default() };
    for entry in &entries {
        entry.add_to(&mut outputs, &annotations, config)?;
    }
    check(&outputs)?;
    check_platforms(&outputs, platforms)?;
    if outputs.uses_stdout() {
        let own = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3);
        let own = own.map_err(|error| {
            CliError::environment(format!("standard output cannot be written: {error}"))
        })?;
        outputs.stdout = Some(std::sync::Arc::new(own.into()));
    }
    Ok(outputs)
}

/// What only shows when all of them are seen together.
fn check(outputs: &Outputs) -> Result<(), CliError> {
    let pushes = |output: &&ImageOutput| matches!(output.target, ImageTarget::Registry { .. });
    if outputs.images.iter().filter(pushes).any(|output| outputs.names_of(output).is_empty()) {
        return Err(CliError::usage("there is no name to push the image under")
            .hint("give it one: --tag registry.example/team/app:1.0"));
    }
    let by_digest =
        |output: &&ImageOutput| output.target == (ImageTarget::Registry { by_digest: true });
    let mut pinned = outputs.images.iter().filter(by_digest);
    let tagged = |name: &&Reference| name.tag().is_some();
    if let Some(name) = pinned.find_map(|output| outputs.names_of(output).iter().find(tagged)) {
        return Err(CliError::usage(format!("'{name}' has a tag, and push-by-digest moves none"))
            .hint("name the repository alone, or leave push-by-digest out"));
    }
    match outputs.stdout_count() {
        0 => {}
        1 if io::stdout().is_terminal() => {
            return Err(CliError::usage("an archive is not written to a terminal")
                .hint("redirect standard output, or name a file with dest=FILE"));
        }
        1 => {}
        count => {
            return Err(CliError::usage(format!(
                "{count} outputs want standard output, which can take one"
            ))
            .hint("give the others a dest=FILE"));
        }
    }
    let mut places: Vec<&PathBuf> = Vec::new();
    for place in places_of(outputs) {
        if places.contains(&place) {
            let place = place.display();
            return Err(CliError::usage(format!("two outputs go to the same place, {place}"))
                .hint("give each of them a dest of its own"));
        }
        places.push(place);
    }
    Ok(())
}

/// What fits one platform alone, or several.
fn check_platforms(outputs: &Outputs, platforms: &[Platform]) -> Result<(), CliError> {
    for output in &outputs.images {
        let annotations = &output.form.annotations;
        let for_index = annotations.first_of_index().filter(|_| platforms.len() == 1);
        if let Some(Annotation { level, key, .. }) = for_index {
            return Err(CliError::usage(format!(
                "the annotation '{key}' is for the {}, but one platform makes no index",
                level.name()
            ))
            .hint("annotate the manifest, or build for several platforms with --platform"));
        }
        let stray = annotations.0.iter().find_map(|one| {
            let platform = one.platform.as_ref()?;
            let built = platforms.iter().any(|built| platform.accepts(built));
            (!built).then_some((&one.key, platform))
        });
        if let Some((key, platform)) = stray {
            let built: Vec<String> = platforms.iter().map(ToString::to_string).collect();
            return Err(CliError::usage(format!(
                "the annotation '{key}' is for {platform}, which is not built"
            ))
            .hint(format!("this build is for {}", built.join(", "))));
        }
        let docker =
            matches!(output.target, ImageTarget::DockerArchive(_) | ImageTarget::Docker(_));
        if docker && platforms.len() > 1 {
            return Err(CliError::usage(
                "Docker's archive holds one platform, and this build is for several",
            )
            .hint("build for one, or use --output type=oci or --push for all of them"));
        }
    }
    Ok(())
}

/// Every file and directory that is written.
fn places_of(outputs: &Outputs) -> impl Iterator<Item = &PathBuf> {
    let images = outputs.images.iter().filter_map(|output| match &output.target {
        ImageTarget::Layout(path)
        | ImageTarget::Archive(Sink::File(path))
        | ImageTarget::DockerArchive(Sink::File(path)) => Some(path),
        _ => None,
    });
    images.chain(outputs.files.iter().filter_map(|output| match &output.target {
        FilesTarget::Directory(path) | FilesTarget::Tar(Sink::File(path)) => Some(path),
        FilesTarget::Tar(Sink::Stdout) => None,
    }))
}

fn names<S: AsRef<str>>(texts: &[S]) -> Result<Vec<Reference>, CliError> {
    let names = texts.iter().map(|text| {
        let name: Reference =
            text.as_ref().parse().map_err(|error| CliError::usage(format!("{error}")))?;
        if name.digest().is_some() {
            return Err(CliError::usage(format!("the tag '{name}' has a digest"))
                .hint("a digest is what a build finds out; name the image without it"));
        }
        Ok(name)
    });
    names.collect()
}

/// One `--output`.
#[derive(Debug)]
struct Entry {
    kind: Kind,
    fields: Vec<(String, String)>,
}

impl Entry {
    fn new(kind: Kind) -> Self {
        Self { kind, fields: Vec::new() }
    }

    fn parse(text: &str) -> Result<Self, CliError> {
        let fields = spec::fields(text)?;
        if let [only] = &fields[..]
            && !only.starts_with("type=")
        {
            return Self::short(only);
        }
        let mut kind = None;
        let mut pairs = Vec::new();
        for field in &fields {
            let (key, value) = field.split_once('=').ok_or_else(|| {
                CliError::usage(format!("--output: '{field}' is not KEY=VALUE"))
                    .hint("write for example --output type=oci,dest=image.tar")
            })?;
            // What follows the first dot is an annotation's name, in which capitals count.
            let key = match key.split_once('.') {
                Some((start, rest)) => format!("{}.{rest}", start.trim().to_lowercase()),
                None => key.trim().to_lowercase(),
            };
            match key.as_str() {
                "type" => kind = Some(Kind::of(value)?),
                _ => pairs.push((key, value.to_owned())),
            }
        }
        let kind = kind.ok_or_else(|| {
            CliError::usage(format!("--output '{text}' has no type="))
                .hint("write for example --output type=oci,dest=image.tar")
        })?;
        for (key, value) in &pairs {
            kind.check(key, value)?;
        }
        Ok(Self { kind, fields: pairs })
    }

    /// `-o DIR` and `-o -`.
    fn short(text: &str) -> Result<Self, CliError> {
        if let Some((key, _)) = text.split_once('=')
            && (["dest", "push", "name", "tar"].contains(&key) || nearest(key, ["type"]).is_some())
        {
            return Err(CliError::usage(format!("--output '{text}' has no type="))
                .hint("write for example --output type=oci,dest=image.tar"));
        }
        let kind = if text == "-" { Kind::Tar } else { Kind::Local };
        Ok(Self { kind, fields: vec![("dest".into(), text.into())] })
    }

    fn set(&mut self, key: &str, value: &str) {
        self.fields.push((key.into(), value.into()));
    }

    /// The last value of a key.
    fn get(&self, key: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// A yes or no, as Go reads it.
    fn flag(&self, key: &str) -> Result<Option<bool>, CliError> {
        match self.get(key) {
            None => Ok(None),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Some(true)),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Some(false)),
            Some(other) => {
                Err(CliError::usage(format!("--output: {key} is '{other}', not true or false")))
            }
        }
    }

    fn add_to(
        &self,
        outputs: &mut Outputs,
        annotations: &[Annotation],
        config: &Config,
    ) -> Result<(), CliError> {
        let target = match self.kind {
            Kind::CacheOnly => {
                outputs.cache_only = true;
                return Ok(());
            }
            Kind::Local | Kind::Tar => {
                let split = self.flag("platform-split")?;
                outputs.files.push(FilesOutput { target: self.files()?, split });
                return Ok(());
            }
            Kind::Image | Kind::Registry => self.registry()?,
            Kind::Oci => self.layout()?,
            Kind::Docker => match self.get("dest") {
                Some(dest) => ImageTarget::DockerArchive(sink(dest)),
                None => ImageTarget::Docker(endpoint::docker(self.get("context"), config)?),
            },
            Kind::Containerd => endpoint::containerd(self.get("address"), self.get("namespace"))?,
        };
        let names = self.get("name").map(|list| list.split(',').collect::<Vec<_>>());
        let names = self::names(&names.unwrap_or_default())?;
        // Both count, where docker forgets name= as soon as there is a --tag.
        let names = match names.is_empty() {
            true => names,
            false => [&outputs.names[..], &names].concat(),
        };
        let form = self.form(annotations)?;
        outputs.images.push(ImageOutput { names, form, target });
        Ok(())
    }

    fn registry(&self) -> Result<ImageTarget, CliError> {
        let by_digest = self.flag("push-by-digest")?.unwrap_or(false);
        let push = self.flag("push")?.unwrap_or(self.kind == Kind::Registry);
        Ok(if push { ImageTarget::Registry { by_digest } } else { ImageTarget::Kept })
    }

    fn layout(&self) -> Result<ImageTarget, CliError> {
        let archive = self.flag("tar")?.unwrap_or(true);
        match (self.get("dest"), archive) {
            (dest, true) => Ok(ImageTarget::Archive(sink(dest.unwrap_or("-")))),
            (Some(dest), false) if dest != "-" => Ok(ImageTarget::Layout(dest.into())),
            (_, false) => Err(CliError::usage("--output type=oci,tar=false needs dest=DIRECTORY")
                .hint("a layout that is no archive is a directory, so it needs a name")),
        }
    }

    fn files(&self) -> Result<FilesTarget, CliError> {
        match (self.kind, self.get("dest")) {
            (Kind::Local, None | Some("" | "-")) => {
                Err(CliError::usage("--output type=local needs dest=DIRECTORY")
                    .hint("files on standard output are what type=tar,dest=- writes"))
            }
            (Kind::Local, Some(dest)) => Ok(FilesTarget::Directory(dest.into())),
            (_, dest) => Ok(FilesTarget::Tar(sink(dest.unwrap_or("-")))),
        }
    }

    fn form(&self, annotations: &[Annotation]) -> Result<Form, CliError> {
        let mut all = annotations.to_vec();
        for (key, value) in self.fields.iter().filter(|(key, _)| key.starts_with("annotation")) {
            all.push(annotation::key(key, value)?);
        }
        if self.flag("rewrite-timestamp")? == Some(false) {
            return Err(CliError::usage(
                "--output: rewrite-timestamp=false is not possible: \
                                        no time stamp in an image is later than SOURCE_DATE_EPOCH",
            )
            .hint("set SOURCE_DATE_EPOCH to the time that files may have at most"));
        }
        let form = Form {
            compression: self.compression()?,
            force: self.flag("force-compression")?.unwrap_or(false),
            docker_types: self.flag("oci-mediatypes")? == Some(false),
            annotations: Annotations(all),
        };
        if form.docker_types && matches!(form.compression, Compression::Zstd { .. }) {
            return Err(CliError::usage("Docker's media types have none for zstd layers")
                .hint("leave oci-mediatypes=false out, or use compression=gzip"));
        }
        Ok(form)
    }

    fn compression(&self) -> Result<Compression, CliError> {
        let level = self.get("compression-level").filter(|level| *level != "-1");
        let bounded = |least: i32, most: i32, usual: i32| match level {
            None => Ok(usual),
            Some(text) => match text.parse() {
                Ok(level) if (least..=most).contains(&level) => Ok(level),
                _ => Err(CliError::usage(format!(
                    "--output: there is no compression-level '{text}'"
                ))
                .hint(format!("it is a number from {least} to {most}"))),
            },
        };
        match self.get("compression") {
            None | Some("gzip") => {
                let level = bounded(0, 9, Compression::GZIP_LEVEL.cast_signed())?;
                Ok(Compression::Gzip { level: level.unsigned_abs() })
            }
            Some("zstd") => Ok(Compression::Zstd { level: bounded(1, 22, 3)? }),
            Some("uncompressed") if level.is_some() => {
                Err(CliError::usage("--output: compression=uncompressed has no compression-level")
                    .hint("leave one of the two out"))
            }
            Some("uncompressed") => Ok(Compression::None),
            Some("estargz") => Err(CliError::usage(
                "--output: compression=estargz is not possible: its table of \
                                     contents stands in the layer, which then has other digests",
            )
            .hint("use gzip, zstd or uncompressed")),
            Some(other) => {
                let fault = CliError::usage(format!("--output does not know compression={other}"));
                Err(match nearest(other, ["gzip", "zstd", "uncompressed"]) {
                    Some(near) => fault.hint(format!("did you mean {near}?")),
                    None => fault.hint("use gzip, zstd or uncompressed"),
                })
            }
        }
    }
}

fn sink(dest: &str) -> Sink {
    match dest {
        "" | "-" => Sink::Stdout,
        path => Sink::File(path.into()),
    }
}

#[cfg(test)]
mod tests;
