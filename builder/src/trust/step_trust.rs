//! The trust of one step, from before it runs until its layer is clean.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    TrustError, java_store,
    lower::{Lower, set_time},
    needle::Needle,
    pem,
    places::{ANCHOR, ANCHORS, BUNDLES, DIRECTORY, resolve},
    scrub::Scrub,
    variables::{self, APT, AUTHORITY, BUNDLE, JAVA_STORE, MORE, WGET, WHOLE},
};

/// No bundle is larger.
const LARGEST: u64 = 16 << 20;

/// What a step is given to trust, and what has to be taken from its layer.
#[derive(Debug)]
pub struct StepTrust {
    certificate: Vec<u8>,
    name: String,
    needle: Needle,
    /// The image's bundles, as they are without ours.
    bundles: Vec<Bundle>,
    anchors: Vec<PathBuf>,
    /// Where `/run/touchmark` really is.
    directory: PathBuf,
    files: Vec<(&'static str, Vec<u8>)>,
}

#[derive(Debug)]
struct Bundle {
    path: PathBuf,
    content: Vec<u8>,
    /// None where the image has only the directory for it.
    facts: Option<Metadata>,
}

impl StepTrust {
    /// Makes a step on the file system at `image`, which has the variables `env`, trust `certificate` (DER) of the
    /// authority `name`: fills the empty directory `lower`, to be put right under what the step writes. To be called
    /// with the right to give files to the ids of steps.
    ///
    /// # Errors
    /// When the image cannot be read, or the directory not be written.
    pub fn prepare(
        (certificate, name): (Vec<u8>, &str),
        image: &Path,
        env: &[(String, String)],
        lower: &Path,
    ) -> Result<Self, TrustError> {
        let ours = pem::encode(&certificate);
        let bundles = bundles(image)?;
        let anchors = anchors(image);
        let named = named(image, env, &WHOLE)?;
        let more = joined(self::named(image, env, &MORE)?.iter());
        let roots = bundles.iter().map(|bundle| &bundle.content).chain(named.iter());
        let roots = joined(roots.filter(|content| !content.is_empty()));
        let whole = [roots.as_slice(), ours.as_bytes()].concat();
        let certificates = pem::certificates(&whole);
        let list: Vec<&[u8]> = certificates.iter().map(|(_, one)| one.as_slice()).collect();
        let files = vec![
            (AUTHORITY, [more.as_slice(), ours.as_bytes()].concat()),
            (JAVA_STORE, java_store::write(&list)),
            (APT, variables::apt().into_bytes()),
            (WGET, variables::wget().into_bytes()),
            (BUNDLE, whole),
        ];
        let directory = resolve(image, DIRECTORY).map_err(TrustError::file(image))?;
        let mut filled = Lower::new(image, lower);
        for bundle in &bundles {
            let content = joined([&bundle.content].into_iter());
            filled.file(&bundle.path, &[content.as_slice(), ours.as_bytes()].concat())?;
        }
        for anchor in &anchors {
            filled.file(anchor, ours.as_bytes())?;
        }
        for (file, content) in &files {
            filled.file(&directory.join(file), content)?;
        }
        filled.finish()?;
        let needle = Needle::new(&certificate);
        let name = name.to_owned();
        Ok(Self { certificate, name, needle, bundles, anchors, directory, files })
    }

    /// Adds the variables that lead clients to it, for the step alone.
    pub fn add_variables(&self, env: &mut Vec<(String, String)>) {
        variables::add(env, self.bundles.iter().all(|bundle| bundle.facts.is_none()));
    }

    /// The files that the variables name, by their paths in the step: for where something else is mounted over them.
    pub fn files(&self) -> impl Iterator<Item = (PathBuf, &[u8])> {
        let path = |file: &str| Path::new("/").join(DIRECTORY).join(file);
        self.files.iter().map(move |(file, content)| (path(file), content.as_slice()))
    }

    /// Takes all of it out of what the step wrote, `upper`.
    ///
    /// # Errors
    /// When the certificate is in a file that it cannot be taken out of.
    pub fn scrub(&self, upper: &Path) -> Result<(), TrustError> {
        let gone = |path: &Path| remove(upper, path).map_err(TrustError::file(&upper.join(path)));
        gone(&self.directory)?;
        self.anchors.iter().try_for_each(|anchor| gone(anchor))?;
        let scrub =
            Scrub { certificate: &self.certificate, name: &self.name, needle: &self.needle };
        for path in scrub.clean(upper)? {
            let bundle = self.bundles.iter().find(|bundle| bundle.path == path);
            if let Some(Bundle { content, facts: Some(facts), .. }) = bundle {
                let own = upper.join(&path);
                settle(&own, content, facts).map_err(TrustError::file(&own))?;
            }
        }
        Ok(())
    }
}

/// A bundle that is the image's own again gets its time too: then it is no part of the layer.
fn settle(own: &Path, content: &[u8], facts: &Metadata) -> io::Result<()> {
    let Ok(now) = fs::symlink_metadata(own) else { return Ok(()) };
    let looks = |facts: &Metadata| (facts.mode(), facts.uid(), facts.gid(), facts.size());
    if looks(&now) == looks(facts) && fs::read(own)? == content {
        set_time(own, facts)?;
    }
    Ok(())
}

/// Removes whatever a step made of a path that was only ours, and a directory above it that was so too.
fn remove(upper: &Path, path: &Path) -> io::Result<()> {
    let own = upper.join(path);
    // A link on the way is the step's; nothing of ours is behind it.
    let mut above = PathBuf::new();
    for part in path.parent().into_iter().flat_map(Path::components) {
        above.push(part);
        match fs::symlink_metadata(upper.join(&above)) {
            Ok(found) if found.is_dir() => {}
            _ => return Ok(()),
        }
    }
    match fs::symlink_metadata(&own) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&own),
        Ok(_) => fs::remove_file(&own),
        Err(_) => Ok(()),
    }
}

/// The image's bundles. An image without any gets one of its own where it has the directory for it: a directory that
/// only we bring would be missing from the layer of a step that makes it.
fn bundles(image: &Path) -> Result<Vec<Bundle>, TrustError> {
    let mut found: Vec<Bundle> = Vec::new();
    for place in BUNDLES {
        let Ok(path) = resolve(image, place) else { continue };
        let Ok(facts) = fs::symlink_metadata(image.join(&path)) else { continue };
        if facts.is_file() && !found.iter().any(|bundle| bundle.path == path) {
            let content = read(&image.join(&path))?;
            found.push(Bundle { path, content, facts: Some(facts) });
        }
    }
    if found.is_empty()
        && let Ok(path) = resolve(image, BUNDLES[0])
        && fs::symlink_metadata(image.join(&path)).is_err()
        && path.parent().is_some_and(|parent| image.join(parent).is_dir())
    {
        found.push(Bundle { path, content: Vec::new(), facts: None });
    }
    Ok(found)
}

fn anchors(image: &Path) -> Vec<PathBuf> {
    let real = ANCHORS.iter().filter_map(|place| resolve(image, place).ok());
    let mut there: Vec<PathBuf> = real.filter(|path| image.join(path).is_dir()).collect();
    there.dedup();
    there.into_iter().map(|path| path.join(ANCHOR).with_extension("crt")).collect()
}

/// The texts of the files that these variables name, each once.
fn named(
    image: &Path,
    env: &[(String, String)],
    variables: &[&str],
) -> Result<Vec<Vec<u8>>, TrustError> {
    let values = env.iter().filter(|(name, _)| variables.contains(&name.as_str()));
    let mut texts = Vec::new();
    for (_, value) in values {
        let Ok(path) = resolve(image, value) else { continue };
        if image.join(&path).is_file() {
            let text = read(&image.join(path))?;
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
    }
    Ok(texts)
}

/// The texts one after the other, each with a line's end.
fn joined<'a>(texts: impl Iterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut all = Vec::new();
    for text in texts {
        all.extend_from_slice(text);
        if !text.is_empty() && !text.ends_with(b"\n") {
            all.push(b'\n');
        }
    }
    all
}

fn read(path: &Path) -> Result<Vec<u8>, TrustError> {
    let read = || {
        let mut content = Vec::new();
        File::open(path)?.take(LARGEST).read_to_end(&mut content)?;
        Ok(content)
    };
    read().map_err(TrustError::file(path))
}

#[cfg(test)]
mod tests;
