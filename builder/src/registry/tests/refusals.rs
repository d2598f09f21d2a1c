//! Whole messages for everything a registry can do wrong while a reference is resolved.

use std::{io::Write, net::TcpListener, sync::Arc, time::Duration};

use super::{
    real_registry::{RealRegistry, tls_file},
    rogue::{Rogue, answer, serve_manifest},
    *,
};

async fn message(host: &str) -> String {
    client().resolve(&image(host, "team/app:1")).await.unwrap_err().to_string()
}

#[tokio::test]
async fn registry_down() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = free.local_addr().unwrap().to_string();
    drop(free);
    let error = client().resolve(&image(&host, "team/app:1")).await.unwrap_err();
    assert!(error.is_environment());
    assert_eq!(
        error.to_string(),
        format!(
            "cannot reach the registry {host} for {host}/team/app:1: connection refused\n\
             help: check the name, that the registry runs, and that no firewall or proxy is in between"
        )
    );
}

#[tokio::test]
async fn name_that_does_not_resolve() {
    let host = "no-such-registry.example";
    assert_eq!(
        message(host).await,
        format!(
            "cannot reach the registry {host} for {host}/team/app:1: its name does not resolve\n\
             help: check the name, that the registry runs, and that no firewall or proxy is in between"
        )
    );
}

#[tokio::test]
async fn unknown_image() {
    let registry = RealRegistry::start();
    let host = &registry.host;
    assert_eq!(
        message(host).await,
        format!(
            "{host}/team/app:1 does not exist: {host} knows no such manifest \
             (404 Not Found: MANIFEST_UNKNOWN, manifest unknown)\n\
             help: check the name and the tag"
        )
    );
    assert_eq!(client().exists(&image(host, "team/app:1")).await.unwrap(), None);
}

#[tokio::test]
async fn manifest_of_100_mb_is_left_after_4_mib() {
    // With an announced length, and without one.
    let sized = Rogue::start(|_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n").unwrap();
    });
    let endless = Rogue::start(|_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").unwrap();
        let mut sent = 0;
        while sent < 100 << 20 && stream.write_all(&[b' '; 65536]).is_ok() {
            sent += 65536;
        }
        assert!(sent < 16 << 20, "the client read {sent} bytes");
    });
    for host in [&sized.host, &endless.host] {
        assert_eq!(
            message(host).await,
            format!(
                "the manifest of {host}/team/app:1 is larger than 4194304 bytes; {host} was not read further\n\
                 help: no honest image needs one so large: check the reference and the registry"
            )
        );
    }
}

#[tokio::test]
async fn too_many_requests_forever() {
    let rogue = Rogue::start(|_, stream| {
        let body = br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
        answer(stream, "429 Too Many Requests", "Retry-After: 1\r\n", body);
    });
    let host = &rogue.host;
    assert_eq!(
        message(host).await,
        format!(
            "{host} still refuses {host}/team/app:1 for too many requests after 3 attempts \
             (429 Too Many Requests: TOOMANYREQUESTS, You have reached your pull rate limit.)\n\
             help: wait some minutes; after 'docker login {host}' most registries allow more"
        )
    );
    assert_eq!(rogue.seen().len(), 3);
}

#[tokio::test]
async fn server_errors_are_retried_and_then_told() {
    let rogue = Rogue::start(|_, stream| answer(stream, "503 Service Unavailable", "", b"<html>"));
    let host = &rogue.host;
    assert_eq!(
        message(host).await,
        format!(
            "{host} failed for {host}/team/app:1 in 3 attempts, at last with 503 Service Unavailable\n\
             help: the registry is in trouble; try again later"
        )
    );
    let count = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let bytes = manifest("", &[]);
    let digest = digest_of(&bytes);
    let recovers = Rogue::start(move |_, stream| {
        match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => answer(stream, "503 Service Unavailable", "", b""),
            // A connection that just closes.
            1 => {}
            _ => serve_manifest(stream, &bytes),
        }
    });
    let resolved = client().resolve(&image(&recovers.host, "app")).await.unwrap();
    assert_eq!(resolved.descriptor.digest, digest);
    assert_eq!(recovers.seen().len(), 3);
}

#[tokio::test]
async fn other_refusals_are_not_retried() {
    let rogue = Rogue::start(|_, stream| answer(stream, "418 I'm a teapot", "", b"\x1b[1mshort\n"));
    let host = &rogue.host;
    assert_eq!(
        message(host).await,
        format!(
            "{host} refuses the manifest of {host}/team/app:1 (418 I'm a teapot: [1mshort)\n\
             help: check the name, and that this is a registry"
        )
    );
    assert_eq!(rogue.seen().len(), 1);
}

#[tokio::test]
async fn silence() {
    let rogue = Rogue::start(|_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{{").unwrap();
        std::thread::sleep(Duration::from_secs(3));
    });
    let mut options = options();
    options.limits.silence = Duration::from_millis(200);
    let client = RegistryClient::new(Arc::new(plain), Arc::default(), options);
    let host = &rogue.host;
    let error = client.resolve(&image(host, "team/app:1")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{host} was silent for 0.2 s in 3 attempts, with {host}/team/app:1 on its way\n\
             help: check the network between here and the registry, then try again"
        )
    );
}

#[tokio::test]
async fn wrong_media_type() {
    let rogue = Rogue::start(|_, stream| {
        answer(stream, "200 OK", "Content-Type: text/html\r\n", b"<html>please log in</html>");
    });
    let host = &rogue.host;
    assert_eq!(
        message(host).await,
        format!(
            "what {host} serves as {host}/team/app:1 is no image: \
             its media type 'text/html' is neither that of a manifest nor of an index\n\
             help: the address may lead to a web page, or to a proxy's login page, instead of a registry"
        )
    );
}

#[tokio::test]
async fn manifest_with_another_digest_than_asked_for() {
    let wanted = digest_of(b"another manifest");
    let bytes = manifest("", &[]);
    let found = digest_of(&bytes);
    let rogue = Rogue::start(move |_, stream| serve_manifest(stream, &bytes));
    let host = &rogue.host;
    let error = client().resolve(&image(host, &format!("app@{wanted}"))).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the manifest of {host}/app@{wanted} should have the digest {wanted}, \
             but what {host} sent has {found}; it was thrown away\n\
             help: the registry, or something between it and here, serves damaged or forged content: \
             do not use it before that is explained"
        )
    );
}

#[tokio::test]
async fn no_manifest_for_the_platform() {
    let index = r#"{"schemaVersion":2,"manifests":[
        {"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"platform":{"os":"linux","architecture":"amd64"},
         "digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"platform":{"os":"linux","architecture":"arm64"},
         "digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b856"}]}"#;
    let kind = "Content-Type: application/vnd.oci.image.index.v1+json\r\n";
    let rogue = Rogue::start(move |_, stream| answer(stream, "200 OK", kind, index.as_bytes()));
    let host = &rogue.host;
    let platform = "linux/riscv64".parse().unwrap();
    let error = client().resolve_platform(&image(host, "app:1"), &platform).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{host}/app:1 has no manifest for linux/riscv64, only for linux/amd64, linux/arm64\n\
             help: choose one of these with --platform, or another image"
        )
    );
}

fn over_tls(ca: Option<&str>) -> RegistryClient {
    let ca = ca.map(tls_file);
    let routes = move |reference: &Reference, _: Access| {
        Ok(Route { reference: reference.clone(), plain_http: false, ca: ca.clone(), idle: None })
    };
    RegistryClient::new(Arc::new(routes), Arc::default(), options())
}

#[tokio::test]
async fn https_to_a_plain_http_registry() {
    let registry = RealRegistry::start();
    let host = &registry.host;
    let error = over_tls(None).resolve(&image(host, "team/app:1")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{host} answered in plain HTTP where HTTPS was expected, so {host}/team/app:1 was not asked for\n\
             help: if you trust the network to it, add to touchmark.toml:\n  \
             [registries]\n  \"{host}\" = {{ plain-http = true }}"
        )
    );
}

#[tokio::test]
async fn tls_with_a_private_authority() {
    let registry = RealRegistry::with_tls();
    let host = &registry.host;
    let reference = image(host, "team/app:1");
    let error = over_tls(None).resolve(&reference).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "no TLS connection with {host} for {host}/team/app:1: \
             its certificate is from an authority that this system does not trust\n\
             help: if {host} uses a private certificate authority, \
             install it on this system or name it in the policy"
        )
    );
    assert_eq!(over_tls(Some("authority.pem")).exists(&reference).await.unwrap(), None);
    let error = over_tls(Some("missing.pem")).exists(&reference).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot use the certificate authorities in {}: No such file or directory (os error 2)\n\
             help: the policy names this file for {host}; it must hold certificates in PEM form",
            tls_file("missing.pem").display()
        )
    );
    assert_eq!(
        message(host).await,
        format!(
            "{host} wants HTTPS, but {host}/team/app:1 was asked for over plain HTTP\n\
             help: remove plain-http from its entry under [registries] in touchmark.toml"
        )
    );
}

#[tokio::test]
async fn the_policy_has_the_last_word() {
    let routes = |_: &Reference, _: Access| {
        Err(RouteDenied { message: "registry.example is not allowed\nhelp: add it".into() })
    };
    let client = RegistryClient::new(Arc::new(routes), Arc::default(), options());
    let error = client.resolve(&image("registry.example", "app")).await.unwrap_err();
    assert_eq!(error.to_string(), "registry.example is not allowed\nhelp: add it");
}
