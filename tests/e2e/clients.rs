//! Clients of package registries through inspection, as users run them: each in a stage of its own, all of them after
//! the system's bundle was made anew, and with an empty environment. docs/mirrors.md has the outcome as a table.

mod client;
mod languages;
pub(crate) mod tools;

use std::{collections::BTreeSet, fs, process::Command};

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use serde_json::Value;
use touchmark_tests::{blobs, home::Home, referrers, repository, smart_git::SmartGit};

use crate::scene::Scene;
use client::{CLIENTS, Client};
use languages::{HOSTS, LANGUAGES};

const FILES: [&str; 5] = ["curl", "wget", "requests", "node", "urllib"];

/// What of it is vouched for by an index.
const INDEXED: [&str; 4] = ["pkg:deb/", "pkg:pypi/", "pkg:npm/", "pkg:cargo/"];

/// In one step: the bundle is made anew in each way that images do it, then every client once more.
const AFTER: &str = "RUN apt-get update && apt-get install -y --reinstall ca-certificates \
    && update-ca-certificates --fresh && openssl rehash /etc/ssl/certs \
    && for client in /clients/*/*; do cd $(mktemp -d) && echo \"== $client\" && sh -e $client || exit 1; done";

/// The same clients where nothing tells them of anything but the system's own files.
const BARE: &str = "RUN env -i PATH=$PATH HOME=/root npm_config_fetch_retries=0 sh -c '\
    for client in /clients/works/*; do cd $(mktemp -d) && echo \"== $client\" && sh -e $client || exit 1; done; \
    for client in /clients/fails/*; do cd $(mktemp -d); if timeout 20 sh -e $client; then echo \"$client works\"; exit 1; fi; done'";

fn dockerfile(base: &str, clients: &[Client]) -> String {
    let mut text = String::new();
    for Client { name, run, .. } in clients {
        text.push_str(&format!("FROM {base} AS {name}\nWORKDIR /app\nRUN {run}\n"));
    }
    text.push_str(&format!("FROM {base} AS after\nCOPY clients /clients\n{AFTER}\n"));
    text.push_str(&format!("FROM {base} AS bare\nCOPY clients /clients\n{BARE}\n"));
    text.push_str("FROM after\n");
    let stages = clients.iter().map(|client| client.name).chain(["bare"]);
    for stage in stages {
        text.push_str(&format!("COPY --from={stage} /etc/ssl /made/{stage}\n"));
    }
    text
}

/// A scene with the clients' Dockerfile on the image `base`, and `mirrors` beside the usual registries.
fn scene(base: &str, clients: &[Client], mirrors: &str) -> Scene {
    let scene = Scene { home: Home::new(), registry: tools::registry() };
    scene.home.policy(&scene.registry, &format!("[network]\n{mirrors}"));
    scene.home.make_keys();
    for Client { name, run, bare, .. } in clients {
        let folder = if bare.is_empty() { "works" } else { "fails" };
        scene.home.write(&format!("ctx/clients/{folder}/{name}"), format!("{run}\n"));
    }
    scene.dockerfile(&dockerfile(base, clients));
    scene
}

fn mirror(host: &str, upstream: &str) -> String {
    format!("[[network.mirror]]\nhost = \"{host}\"\nupstream = \"http://{upstream}\"\n")
}

fn dependencies(scene: &Scene) -> Vec<Value> {
    let image = scene.registry.tag("app", "1").unwrap();
    let provenance = referrers::predicate(&scene.registry, "app", &image, referrers::PROVENANCE);
    let definition = &provenance["buildDefinition"];
    let list = definition["resolvedDependencies"].as_array().unwrap().clone();
    let open: Vec<&Value> = list.iter().filter(|one| one["digest"].is_null()).collect();
    assert!(open.is_empty(), "not known whole: {open:#?}");
    assert_eq!(definition["internalParameters"]["hermetic"], true);
    list
}

/// Each client's package is known by digest and package URL.
fn check(dependencies: &[Value], clients: &[Client]) {
    for Client { name, fetches, .. } in clients {
        let known = dependencies.iter().filter(|one| {
            let purl = one["annotations"]["purl"].as_str().unwrap_or_default();
            let uri = one["uri"].as_str().unwrap_or_default();
            (purl.starts_with(fetches) || uri == *fetches)
                && one["digest"]["sha256"].as_str().is_some_and(|hex| hex.len() == 64)
                && (*name != "apt-https" || uri.starts_with("https://"))
        });
        let known: Vec<&Value> = known.collect();
        assert!(!known.is_empty(), "{name}: {fetches} is unknown\n{dependencies:#?}");
        // Their mirrors have indexes, by which each of these clients finds its package.
        let has_index = INDEXED.iter().any(|kind| fetches.starts_with(kind));
        let vouched = known.iter().any(|one| one["annotations"]["verified-by"].is_string());
        assert!(vouched || !has_index, "{name}: {known:#?}");
    }
}

/// Builds, looks for each client's package and for traces, and builds again out of the cache. Gives what is known.
fn tried(scene: &Scene, clients: &[Client]) -> Vec<Value> {
    let _ = scene.push_signed(&["--harden", "off"]).succeeded();
    let first = dependencies(scene);
    check(&first, clients);
    // Nothing runs any more, and nothing of what was fetched is forgotten.
    let again = scene.push_signed(&["--harden", "off", "--label", "again=yes"]).succeeded();
    assert!(!again.mentions("fetched by steps"), "{again:?}");
    let uris = |list: &[Value]| -> BTreeSet<String> {
        list.iter().map(|one| format!("{} {}", one["uri"], one["digest"])).collect()
    };
    assert_eq!(uris(&dependencies(scene)), uris(&first));
    no_trace(scene);
    document();
    first
}

#[test]
fn clients_fetch_through_inspection_as_users_run_them_and_all_of_it_is_known() {
    let files = FILES.map(|name| (format!("/{name}"), name.as_bytes().to_vec()));
    let origin = SmartGit::start(&[("file", "text\n")], files.into());
    let mirrors = mirror("files.example", &origin.host()) + &mirror("git.example", &origin.host());
    let mirrors = mirrors + "methods = [\"GET\", \"HEAD\", \"POST\"]\n";
    let known = tried(&scene("web", &CLIENTS, &mirrors), &CLIENTS);
    assert!(known.iter().any(|one| one["digest"]["gitCommit"] == origin.commit()), "{known:#?}");
    for file in FILES {
        let hex = &touchmark_tests::digest(file.as_bytes())[7..];
        assert!(known.iter().any(|one| one["digest"]["sha256"] == hex), "{file}");
    }
}

/// Java's hook makes its list of certificates anew, too.
#[test]
fn clients_of_other_languages_fetch_from_stand_ins_that_serve_real_files() {
    let mut files = tools::served();
    files.extend(languages::beside(&files));
    let origin = SmartGit::start(&[("file", "text\n")], files);
    let mirrors = HOSTS.map(|host| mirror(host, &format!("{}/{host}", origin.host())));
    tried(&scene("languages", &LANGUAGES, &mirrors.concat()), &LANGUAGES);
}

/// The authority's name stands in each of its certificates; it is in no layer and nowhere in the home.
fn no_trace(scene: &Scene) {
    let (_, manifest) = scene.registry.manifest("app", "1").unwrap();
    for (number, layer) in manifest["layers"].as_array().unwrap().iter().enumerate() {
        let blob = scene.registry.blob("app", layer["digest"].as_str().unwrap());
        scene.home.write(&format!("layers/{number}.tar"), blobs::decompressed(&blob));
    }
    let mut grep = Command::new("grep");
    grep.args(["--recursive", "--binary", "--files-with-matches", "--fixed-strings"]);
    for needle in needles() {
        grep.args(["-e", &needle]);
    }
    let found = grep.arg(scene.home.dir()).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert!(found.is_empty(), "there is a trace of the authority in\n{found}");
    fs::remove_dir_all(scene.home.path("layers")).unwrap();
}

/// The name as it is, what links are called, and the name in the text of a certificate: it can begin at each of three
/// places of a group, and a line can end in it.
fn needles() -> Vec<String> {
    const NAME: &str = "Touchmark Build Authority";
    let mut needles = vec![NAME.to_owned(), "touchmark-build-authority".to_owned()];
    for shift in 0..3 {
        let text = BASE64_STANDARD_NO_PAD.encode(format!("{}{NAME}", " ".repeat(shift)));
        // The first group is another's too, the last may be.
        let inner = &text[if shift == 0 { 0 } else { 4 }..text.len() - 2];
        needles.push(inner[..inner.len() / 2].to_owned());
        needles.push(inner[inner.len() / 2..].to_owned());
    }
    needles
}

/// docs/mirrors.md has the table between two marks.
fn document() {
    const BEGIN: &str = "<!-- clients: made by a test -->\n";
    const END: &str = "<!-- /clients -->\n";
    let mut table = String::from(
        "| client | as it is | after `update-ca-certificates` | with an empty environment |\n|---|---|---|---|\n",
    );
    for Client { title, bare, .. } in CLIENTS.iter().chain(&LANGUAGES) {
        let outcome = if bare.is_empty() { "works".into() } else { format!("fails: {bare}") };
        table.push_str(&format!("| {title} | works | works | {outcome} |\n"));
    }
    let path = repository().join("docs/mirrors.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let written = format!("{before}{BEGIN}{table}{END}{after}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, written).unwrap();
    } else {
        assert!(written == text, "docs/mirrors.md is old: run this test with UPDATE_GOLDEN=1");
    }
}

/// The search for traces would find one.
#[test]
fn a_certificate_of_the_authority_is_found_in_both_forms() {
    for padding in 0..70 {
        let mut params = rcgen::CertificateParams::default();
        let organization = "x".repeat(padding);
        params.distinguished_name.push(rcgen::DnType::OrganizationName, organization);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Touchmark Build Authority");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let found = |text: &str| needles().iter().any(|needle| text.contains(needle));
        assert!(found(&String::from_utf8_lossy(certificate.der())));
        assert!(found(&certificate.pem()), "{}", certificate.pem());
    }
}
