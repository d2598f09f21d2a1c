use std::path::Path;

use super::*;
use crate::{
    egress::StepOrigin,
    integrity::{Seen, same},
};

const GOLDEN: &str = "src/integrity/openpgp/golden";
const SUITE: &str = "http://packages.example/debian/dists/example";
const DEB: &str = "http://packages.example/debian/pool/main/l/left/left_1.0_all.deb";

/// A store, and what was fetched into it.
struct Step {
    _dir: tempfile::TempDir,
    content: ContentStore,
    keyrings: Keyrings,
    below: Vec<Seen>,
    requests: Vec<RequestRecord>,
}

impl Step {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let content = ContentStore::open(dir.path().join("content")).unwrap();
        let (keyrings, below, requests) = (Keyrings::default(), Vec::new(), Vec::new());
        Self { _dir: dir, content, keyrings, below, requests }
    }

    fn fetched(mut self, url: &str, bytes: &[u8]) -> Self {
        let digest = self.content.put(bytes).unwrap();
        self.requests.push(RequestRecord {
            line: StepOrigin { line: 1, text: String::new(), stage: String::new() },
            method: "GET".into(),
            url: url.into(),
            fetched_url: url.into(),
            rule: "policy".into(),
            status: Some(200),
            size: bytes.len() as u64,
            sent: 0,
            sha256: Some(digest),
            commit: None,
            complete: true,
            incomplete_reason: None,
            purl: crate::purl::of_download(url),
            verified_by: None,
            started: 0,
            duration: 0,
            query: None,
        });
        self
    }

    /// Debian's indexes as they were signed.
    fn archive(self) -> Self {
        self.fetched(&format!("{SUITE}/InRelease"), &golden("InRelease"))
            .fetched(&format!("{SUITE}/main/binary-all/Packages"), &golden("Packages"))
    }

    fn with_keys(mut self) -> Self {
        let file = "/usr/share/keyrings/archive.gpg".to_owned();
        self.keyrings = Keyrings::of(vec![(file, golden("archive.gpg"))]);
        self
    }

    /// What was fetched so far was fetched by the step below.
    fn next(mut self) -> Self {
        self.below.extend(self.requests.drain(..).filter_map(|request| Seen::of(&request)));
        self
    }

    fn examine(&mut self) -> Result<(), IntegrityError> {
        let read = ReadIndexes::default();
        let (content, keyrings, below) = (&self.content, &self.keyrings, &self.below[..]);
        Examined { content, keyrings, below, read: &read }.examine(&mut self.requests)
    }

    /// What vouches for each request.
    fn verified(mut self) -> Vec<String> {
        self.examine().unwrap();
        self.requests.into_iter().map(|one| one.verified_by.unwrap_or_default()).collect()
    }

    fn refused(mut self) -> String {
        self.examine().unwrap_err().to_string()
    }
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN).join(name)).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Digest::of(bytes).hex()
}

#[test]
fn a_package_is_vouched_for_by_a_key_of_the_image() {
    let release = Digest::of(&golden("InRelease"));
    let key = "0616BC65A873F5FAABECB82B48CCF5BBE5F35BB4 in /usr/share/keyrings/archive.gpg";
    assert_eq!(
        Step::new().with_keys().archive().fetched(DEB, b"the deb\n").verified(),
        [
            format!("signature of {key}"),
            format!("Release {release}, signed by {key}"),
            format!("Packages of Release {release}, signed by {key}"),
        ]
    );
}

#[test]
fn without_a_key_nothing_is_said_of_signatures() {
    let release = Digest::of(&golden("InRelease"));
    assert_eq!(
        Step::new().archive().next().fetched(DEB, b"the deb\n").verified(),
        [format!("Packages of Release {release}, signature not checked")]
    );
    let packages = Digest::of(&golden("Packages"));
    let url = format!("{SUITE}/main/binary-all/by-hash/SHA256/{}", packages.hex());
    assert_eq!(
        Step::new().fetched(&url, &golden("Packages")).fetched(DEB, b"the deb\n").verified(),
        [String::new(), format!("Packages {packages}, in no Release")]
    );
}

#[test]
fn a_signature_beside_the_list_counts_too() {
    let mut step = Step::new()
        .fetched(&format!("{SUITE}/Release"), &golden("Release"))
        .fetched(&format!("{SUITE}/Release.gpg"), &golden("Release.gpg"));
    let file = "/etc/apt/trusted.gpg.d/release.asc".to_owned();
    step.keyrings = Keyrings::of(vec![(file, golden("release.asc"))]);
    let key = "7B64EF3A9FADBED8BD223F0831092281664FAF18 in /etc/apt/trusted.gpg.d/release.asc";
    assert_eq!(step.verified(), [format!("signature of {key}"), String::new()]);
}

#[test]
fn an_altered_package_is_refused_whatever_its_client_did() {
    let url = format!("{SUITE}/main/binary-all/Packages");
    assert_eq!(
        Step::new().archive().next().fetched(DEB, b"altered\n").refused(),
        format!(
            "{DEB} is not the file that its index names\n  {url}: sha256:{}\n  fetched: sha256:{}\n\
             help: a client that checks what it fetches refuses this file; find out who altered it on its way, or why the \
             mirror's index does not fit its files",
            sha256(b"the deb\n"),
            sha256(b"altered\n")
        )
    );
    let elsewhere = "http://packages.example/other/left_1.0_all.deb";
    assert_eq!(Step::new().archive().next().fetched(elsewhere, b"altered\n").verified(), [""]);
}

#[test]
fn hashes_of_other_indexes_are_found_and_held_to() {
    let page =
        format!("<a href=\"/packages/x-1-py3-none-any.whl#sha256={}\">x</a>", sha256(b"wheel"));
    let (page_url, wheel) =
        ("http://py.example/simple/x/", "http://py.example/packages/x-1-py3-none-any.whl");
    let python = || Step::new().fetched(page_url, page.as_bytes());
    assert_eq!(python().fetched(wheel, b"wheel").verified()[1], format!("sha256 in {page_url}"));
    assert!(python().fetched(wheel, b"other").refused().starts_with(&format!(
        "{wheel} is not the file that its index names\n  {page_url}: sha256:{}\n",
        sha256(b"wheel")
    )));
    let integrity = ring::digest::digest(&ring::digest::SHA512, b"package");
    let integrity = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, integrity);
    let tarball = "http://n.example/left/-/left-1.0.0.tgz";
    let packument = format!(
        r#"{{"versions":{{"1.0.0":{{"dist":{{"tarball":"{tarball}","integrity":"sha512-{integrity}"}}}}}}}}"#
    );
    let node = || Step::new().fetched("http://n.example/left", packument.as_bytes());
    assert_eq!(
        node().fetched(tarball, b"package").verified()[1],
        "sha512 in http://n.example/left"
    );
    assert!(node().fetched(tarball, b"other").refused().contains("sha512:"));
    let line =
        format!("{{\"name\":\"left\",\"vers\":\"1.0.0\",\"cksum\":\"{}\"}}\n", sha256(b"crate"));
    let rust = Step::new().fetched("http://c.example/le/ft/left", line.as_bytes()).next();
    let rust = rust.fetched("http://s.example/crates/left/1.0.0/download", b"crate");
    assert_eq!(rust.verified(), ["sha256 in http://c.example/le/ft/left"]);
}

#[test]
fn a_content_coding_is_no_contradiction() {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(b"wheel").unwrap();
    let packed = packer.finish().unwrap();
    let url = "http://py.example/packages/x-1-py3-none-any.whl";
    let page = format!("<a href=\"{url}#sha256={}\">x</a>", sha256(b"wheel"));
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(page.as_bytes()).unwrap();
    let page = packer.finish().unwrap();
    let step = Step::new().fetched("http://py.example/simple/x/", &page).fetched(url, &packed);
    let both = step.fetched(url, b"wheel");
    same(both.requests.iter(), &both.content).unwrap();
    let by = "sha256 in http://py.example/simple/x/";
    assert_eq!(both.verified(), ["", by, by]);
}

#[test]
fn one_address_for_ever_brings_one_file() {
    let step = Step::new().fetched(DEB, b"one").fetched(DEB, b"one").fetched(DEB, b"two");
    assert_eq!(
        same(step.requests.iter(), &step.content).unwrap_err().to_string(),
        format!(
            "{DEB} was fetched twice and was not the same\n  first: {}\n  then: {}\n\
             help: an address like this names one file for ever; if the mirror replaced it on purpose, build with \
             --no-cache, which fetches it once for all steps",
            Digest::of(b"one"),
            Digest::of(b"two")
        )
    );
    let index = "http://packages.example/debian/dists/example/InRelease";
    let step = Step::new().fetched(index, b"one").fetched(index, b"two");
    same(step.requests.iter(), &step.content).unwrap();
}
