//! TLS of steps is opened with the build's own authority: real clients trust it, what they fetch is recorded, and
//! nothing of it is in what the build leaves.

use std::{fs, path::Path};

use touchmark_tests::{
    base, blobs, digest, home::Home, referrers, registry::Registry, tls_origin::TlsOrigin,
};

use crate::scene::Scene;

/// GnuTLS by apt and OpenSSL, told by variables and with nothing but the system's own files, before and after the
/// bundle is made anew; and a Host header that is not the connection's.
const DOCKERFILE: &str = r#"FROM debian:bookworm
RUN cat /run/touchmark/authority.crt
RUN /usr/lib/apt/apt-helper download-file https://packages.example.org/file /told
RUN env -i PATH=$PATH /usr/lib/apt/apt-helper download-file https://packages.example.org/file /system
RUN update-ca-certificates --fresh && openssl rehash /etc/ssl/certs && test -L /etc/ssl/certs/touchmark-build-authority.pem \
    && cp /etc/ssl/certs/ca-certificates.crt /copy.pem \
    && env -i PATH=$PATH /usr/lib/apt/apt-helper download-file https://packages.example.org/file /anew
RUN printf 'GET /file HTTP/1.1\r\nHost: other.example.org\r\n\r\n' | env -i PATH=$PATH openssl s_client -quiet -verify_return_error \
    -verify_hostname packages.example.org -servername packages.example.org -connect packages.example.org:443 2>&1 | grep '^HTTP/1.1 421'
"#;

fn scene() -> (Scene, Vec<u8>) {
    let body = b"precious bytes\n".to_vec();
    let origin = TlsOrigin::start("/file", body.clone());
    let scene = Scene { home: Home::new(), registry: base::registry() };
    scene.home.write("private-ca.pem", origin.authority());
    let policy = format!(
        "[network]\nallow = []\nca = \"private-ca.pem\"\n[[network.mirror]]\nhost = \"packages.example.org\"\n\
         upstream = \"https://{}\"\n",
        origin.host()
    );
    scene.home.policy(&scene.registry, &policy);
    scene.home.make_keys();
    scene.dockerfile(DOCKERFILE);
    (scene, body)
}

/// The long line of a certificate in a log that holds its serial number.
fn serial_line(log: &str) -> String {
    let mut lines = log.lines().skip_while(|line| !line.contains("BEGIN CERTIFICATE"));
    let line = lines.nth(1).expect("the step shows the certificate");
    line.rsplit(' ').next().expect("text")[16..48].to_owned()
}

fn layers(registry: &Registry) -> serde_json::Value {
    registry.manifest("app", "1").expect("pushed").1["layers"].clone()
}

#[test]
fn what_clients_fetch_over_tls_is_known_and_the_authority_leaves_no_trace() {
    let (scene, body) = scene();
    let first = scene.push_signed(&["--harden", "off"]).succeeded();
    let image = scene.registry.tag("app", "1").expect("pushed");
    let provenance = referrers::predicate(&scene.registry, "app", &image, referrers::PROVENANCE);
    let text = provenance.to_string();
    assert!(text.contains("\"hermetic\":true"), "{provenance:#}");
    let definition = &provenance["buildDefinition"];
    let dependencies = definition["resolvedDependencies"].as_array().expect("a list");
    let hex = &digest(&body)[7..];
    let known = dependencies.iter().filter(|one| one["digest"]["sha256"] == hex);
    assert!(known.clone().count() > 0, "{dependencies:#?}");
    assert!(known.clone().all(|one| one.to_string().contains("https://packages.example.org/file")));
    assert!(!text.contains("run/touchmark"), "{provenance:#}");

    let before = layers(&scene.registry);
    let second = scene.push_signed(&["--harden", "off", "--no-cache"]).succeeded();
    assert_eq!(layers(&scene.registry), before, "another authority, the same layers");

    let needles =
        [&first, &second].map(|output| serial_line(&format!("{}{}", output.stdout, output.stderr)));
    assert_ne!(needles[0], needles[1], "each build has its own authority");
    let holds = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        needles.iter().any(|needle| text.contains(needle.as_str()))
    };
    for layer in before.as_array().expect("layers") {
        let digest = layer["digest"].as_str().expect("a digest");
        let tar = blobs::decompressed(&scene.registry.blob("app", digest));
        assert!(!holds(&tar), "the layer {digest} has the certificate in it");
        let names = String::from_utf8_lossy(&tar);
        assert!(!names.contains("touchmark-build-authority"), "the layer {digest} names it");
    }
    // Configuration, statements, the cache and its index: all that the home keeps.
    scene.home.stop_worker();
    each_file(scene.home.dir(), &mut |path, bytes| {
        assert!(!holds(bytes), "{} has the certificate in it", path.display());
    });
}

fn each_file(directory: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => each_file(&path, look),
            Ok(kind) if kind.is_file() => look(&path, &fs::read(&path).unwrap_or_default()),
            _ => {}
        }
    }
}
