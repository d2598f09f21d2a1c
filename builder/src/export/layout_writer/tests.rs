use super::*;
use crate::{
    export::layout_address::ImageSelector,
    oci::{manifest::Manifest, media_type},
};

/// A store, and an image with a referrer in it; another seed, another image.
pub(in crate::export) struct Sample {
    _home: tempfile::TempDir,
    pub(in crate::export) store: ContentStore,
    pub(in crate::export) layer: Descriptor,
    pub(in crate::export) image: Descriptor,
    pub(in crate::export) referrer: Descriptor,
}

impl Sample {
    pub(in crate::export) fn new(seed: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = ContentStore::open(home.path().into()).unwrap();
        let put = |media_type: &str, bytes: &[u8]| {
            store.put(bytes).unwrap();
            Descriptor::of(media_type, bytes)
        };
        let document =
            |manifest: &Manifest| put(media_type::MANIFEST, &serde_json::to_vec(manifest).unwrap());
        let layer = put(media_type::LAYER_TAR, format!("layer {seed}").as_bytes());
        let config = put(media_type::CONFIG, format!(r#"{{"seed":"{seed}"}}"#).as_bytes());
        let image = document(&Manifest::image(config, vec![layer.clone()]));
        let bundle = put("text/bundle", format!("bundle {seed}").as_bytes());
        let mut artifact = Manifest::image(put(media_type::EMPTY, b"{}"), vec![bundle]);
        artifact.artifact_type = Some("text/bundle".into());
        artifact.subject = Some(image.clone());
        artifact.annotations.insert("predicate".into(), seed.into());
        let referrer = document(&artifact);
        Self { _home: home, store, layer, image, referrer }
    }

    pub(in crate::export) fn write(&self, name: &str, dest: &Path) -> Result<(), LayoutError> {
        let names: Vec<Reference> = name.split(' ').map(|name| name.parse().unwrap()).collect();
        let referrers = [self.referrer.clone()];
        let image = LayoutImage { image: &self.image, names: &names, referrers: &referrers };
        match dest.extension() {
            Some(_) => write_archive_file(&self.store, image, dest),
            None => write_directory(&self.store, image, dest),
        }
    }
}

pub(in crate::export) fn open(dest: &Path) -> OciLayout {
    let scheme = if dest.extension().is_some() { "oci-archive" } else { "oci" };
    let address = LayoutAddress::parse(&format!("{scheme}:{}", dest.display())).unwrap();
    OciLayout::open(&address).unwrap()
}

fn names(dest: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dest)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_directory_holds_the_image_its_names_and_its_referrers() {
    let (home, sample) = (tempfile::tempdir().unwrap(), Sample::new("a"));
    let dest = home.path().join("new/layout");
    sample.write("registry.example/team/app:1.0 app", &dest).unwrap();
    assert_eq!(names(&dest), ["blobs", "index.json", "oci-layout"]);
    assert_eq!(names(dest.parent().unwrap()), ["layout"], "nothing temporary is left");
    assert_eq!(fs::metadata(&dest).unwrap().permissions().mode() & 0o777, 0o755);
    let digest = |blob: &Descriptor| blob.digest.to_string();
    assert_eq!(
        fs::read_to_string(dest.join("index.json")).unwrap(),
        format!(
            concat!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":["#,
                r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{image}","size":{size},"#,
                r#""annotations":{{"io.containerd.image.name":"registry.example/team/app:1.0","org.opencontainers.image.ref.name":"1.0"}}}},"#,
                r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{image}","size":{size},"#,
                r#""annotations":{{"io.containerd.image.name":"docker.io/library/app:latest","org.opencontainers.image.ref.name":"latest"}}}},"#,
                r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{referrer}","size":{other},"artifactType":"text/bundle"}}]}}"#
            ),
            image = digest(&sample.image),
            size = sample.image.size,
            referrer = digest(&sample.referrer),
            other = sample.referrer.size,
        )
    );
    let layout = open(&dest);
    assert_eq!(layout.resolve(None).unwrap().descriptor.digest, sample.image.digest);
    assert_eq!(layout.read(&sample.layer, 100).unwrap(), b"layer a");
    let referrers = layout.referrers(sample.image.digest).unwrap();
    assert_eq!(referrers.len(), 1);
    assert_eq!(referrers[0].artifact_type.as_deref(), Some("text/bundle"));
    assert_eq!(referrers[0].annotations["predicate"], "a");
    assert_eq!(layout.referrers(Digest::of(b"else")).unwrap(), []);
}

#[test]
fn an_archive_holds_the_same_and_is_the_same_each_time() {
    let (home, sample) = (tempfile::tempdir().unwrap(), Sample::new("a"));
    let (one, other) = (home.path().join("one.tar"), home.path().join("other.tar"));
    sample.write("app:1", &one).unwrap();
    Sample::new("a").write("app:1", &other).unwrap();
    assert_eq!(fs::read(&one).unwrap(), fs::read(&other).unwrap());
    let layout = open(&one);
    assert_eq!(layout.resolve(None).unwrap().descriptor.digest, sample.image.digest);
    assert_eq!(layout.referrers(sample.image.digest).unwrap().len(), 1);
    let (_there, elsewhere) = {
        let there = tempfile::tempdir().unwrap();
        let store = ContentStore::open(there.path().into()).unwrap();
        (there, store)
    };
    layout.copy_to(&elsewhere, &sample.layer).unwrap();
    assert_eq!(elsewhere.read(&sample.layer.digest, 100).unwrap(), b"layer a");
    let mut archive = tar::Archive::new(fs::File::open(&one).unwrap());
    let paths = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned());
    assert_eq!(paths.take(2).collect::<Vec<_>>(), ["oci-layout", "index.json"].map(PathBuf::from));
}

#[test]
fn an_image_of_another_name_stays_and_one_of_the_same_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    let dest = home.path().join("layout");
    let [first, second, third] = ["a", "b", "c"].map(Sample::new);
    first.write("app:1", &dest).unwrap();
    second.write("app:2", &dest).unwrap();
    third.write("app:1", &dest).unwrap();
    let layout = open(&dest);
    let found = |tag: &str| {
        let image = layout.resolve(Some(&ImageSelector::Name(tag.into()))).unwrap();
        image.descriptor.digest
    };
    assert_eq!((found("1"), found("2")), (third.image.digest, second.image.digest));
    assert_eq!(found("docker.io/library/app:2"), second.image.digest);
    assert_eq!(layout.entries().len(), 4);
    assert_eq!(layout.referrers(second.image.digest).unwrap().len(), 1);
    assert_eq!(layout.referrers(first.image.digest).unwrap(), []);
    // Manifest, configuration, layer, artifact and bundle of two images, and the shared `{}`.
    assert_eq!(names(&dest.join("blobs/sha256")).len(), 11);
    assert_eq!(names(home.path()), ["layout"]);
}

#[test]
fn something_else_at_the_destination_stays() {
    let (home, sample) = (tempfile::tempdir().unwrap(), Sample::new("a"));
    let dest = home.path().join("photos");
    fs::create_dir(&dest).unwrap();
    sample.write("app:1", &dest).unwrap();
    fs::remove_dir_all(&dest).unwrap();
    fs::create_dir(&dest).unwrap();
    fs::write(dest.join("cat.jpg"), "").unwrap();
    assert_eq!(
        sample.write("app:1", &dest).unwrap_err().to_string(),
        format!(
            "{} is neither empty nor an OCI layout, so nothing was written there\n\
             help: choose another dest=, or remove it first",
            dest.display()
        )
    );
    assert_eq!(names(&dest), ["cat.jpg"]);
    assert_eq!(names(home.path()), ["photos"]);
}

#[test]
fn a_missing_or_damaged_blob_leaves_nothing_behind() {
    for remove in [true, false] {
        let (home, sample) = (tempfile::tempdir().unwrap(), Sample::new("a"));
        let digest = sample.layer.digest;
        if remove {
            sample.store.remove(&digest).unwrap();
        } else {
            fs::write(sample.store.path(&digest), "lAyer a").unwrap();
        }
        let reason = if remove { "is not in the content store" } else { "is damaged" };
        let error = sample.write("app:1", &home.path().join("layout")).unwrap_err().to_string();
        assert!(error.contains(&format!("{digest} {reason}")), "{error}");
        let error = sample.write("app:1", &home.path().join("layout.tar")).unwrap_err().to_string();
        assert!(error.contains(&digest.to_string()), "{error}");
        assert!(names(home.path()).is_empty());
    }
}
