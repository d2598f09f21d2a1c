//! Lists of referrers: the API, the fallback tag, and many who write it at once.

use std::collections::BTreeSet;

use super::{
    real_registry::RealRegistry,
    rogue::{Rogue, answer},
    *,
};
use crate::registry::{
    progress::Unwatched,
    push::BlobSource,
    referrers::{Listing, fallback_tag},
};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Pushes an artifact that refers to `subject`, and returns the entry for the list.
async fn artifact(
    client: &RegistryClient,
    repository: &Reference,
    subject: Digest,
    n: usize,
) -> Descriptor {
    let empty = Descriptor::of(media_type::EMPTY, b"{}");
    let source = BlobSource::Bytes(b"{}");
    client.push_blob(repository, &empty, source, None, &Unwatched).await.unwrap();
    let subject = Descriptor::new(media_type::MANIFEST, subject, 1);
    let subject = serde_json::to_string(&subject).unwrap();
    let extra =
        format!(r#""artifactType":"{BUNDLE}","subject":{subject},"annotations":{{"n":"{n}"}},"#);
    let bytes = manifest(&extra, &[empty]);
    let target = repository.at(digest_of(&bytes));
    let pushed = client.push_manifest(&target, media_type::MANIFEST, &bytes).await.unwrap();
    let mut entry = pushed.descriptor;
    entry.artifact_type = Some(BUNDLE.into());
    entry.annotations.insert("n".into(), n.to_string());
    entry
}

#[tokio::test]
async fn the_fallback_tag_keeps_types_and_annotations() {
    let registry = RealRegistry::start();
    let (client, repository) = (client(), image(&registry.host, "team/app"));
    let subject = digest_of(b"the image");
    assert_eq!(client.referrers(&repository, subject).await.unwrap(), []);
    let first = artifact(&client, &repository, subject, 1).await;
    let second = artifact(&client, &repository, subject, 2).await;
    let third = artifact(&client, &repository, subject, 3).await;
    let how = client.add_referrer(&repository, subject, first.clone()).await.unwrap();
    assert_eq!(how, Listing::InTag);
    let more = [second.clone(), third.clone()];
    client.add_referrers(&repository, subject, &more).await.unwrap();
    client.add_referrer(&repository, subject, first.clone()).await.unwrap();
    assert_eq!(client.referrers(&repository, subject).await.unwrap(), [first, second, third]);
    let tag = repository.tagged(&fallback_tag(subject));
    let index = client.resolve(&tag).await.unwrap();
    assert_eq!(index.descriptor.media_type, media_type::INDEX);
    assert_eq!(index.index().unwrap().manifests.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_adders_at_once_lose_nothing() {
    let registry = RealRegistry::start();
    let repository = image(&registry.host, "team/app");
    let subject = digest_of(b"the image");
    let mut adders = tokio::task::JoinSet::new();
    for n in 0..8 {
        let repository = repository.clone();
        adders.spawn(async move {
            // A client each, as separate processes would have. docker-registry answers 500 while it
            // replaces a tag, so the waits between attempts are not the shortest.
            let mut options = options();
            (options.retry.attempts, options.settle) = (6, Duration::from_millis(100));
            options.retry.longest_wait = Duration::from_millis(200);
            options.retry.first_wait = Duration::from_millis(20);
            let client = RegistryClient::new(Arc::new(plain), Arc::default(), options);
            let entry = artifact(&client, &repository, subject, n).await;
            client.add_referrer(&repository, subject, entry.clone()).await.unwrap();
            entry.digest
        });
    }
    let added: BTreeSet<Digest> = adders.join_all().await.into_iter().collect();
    let listed = client().referrers(&repository, subject).await.unwrap();
    assert_eq!(listed.iter().map(|entry| entry.digest).collect::<BTreeSet<_>>(), added);
    assert_eq!(added.len(), 8);
    let complete = |entry: &Descriptor| {
        entry.artifact_type.as_deref() == Some(BUNDLE) && entry.annotations.contains_key("n")
    };
    assert!(listed.iter().all(complete));
}

#[tokio::test]
async fn fields_that_others_wrote_survive() {
    let registry = RealRegistry::start();
    let (client, repository) = (client(), image(&registry.host, "team/app"));
    let subject = digest_of(b"the image");
    let theirs = artifact(&client, &repository, subject, 1).await;
    let ours = artifact(&client, &repository, subject, 2).await;
    let list = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{{"mediaType":"{}","digest":"{}","size":{},"data":"e30=","x-new":[1,2]}}],"annotations":{{"k":"v"}}}}"#,
        media_type::INDEX,
        media_type::MANIFEST,
        theirs.digest,
        theirs.size
    );
    let tag = repository.tagged(&fallback_tag(subject));
    client.push_manifest(&tag, media_type::INDEX, list.as_bytes()).await.unwrap();
    client.add_referrer(&repository, subject, ours.clone()).await.unwrap();
    let text = String::from_utf8(client.resolve(&tag).await.unwrap().bytes).unwrap();
    let entry = serde_json::to_string(&ours).unwrap();
    assert_eq!(text, list.replace("}],\"ann", &format!("}},{entry}],\"ann")));
}

fn entry(n: u8, digest: &str) -> String {
    let digest = if digest.is_empty() { digest_of(&[n]).to_string() } else { digest.into() };
    format!(
        r#"{{"mediaType":"{}","digest":"{digest}","size":1,"artifactType":"a/{n}","annotations":{{"n":"{n}"}}}}"#,
        media_type::MANIFEST
    )
}

fn page(entries: &[String]) -> String {
    let kind = media_type::INDEX;
    format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":[{}]}}"#, entries.join(","))
}

#[tokio::test]
async fn the_api_is_asked_first_page_by_page() {
    let kind = format!("Content-Type: {}\r\n", media_type::INDEX);
    let rogue = Rogue::start(move |request, stream| {
        if request.is("GET /v2/app/referrers/") && request.line.ends_with("?page=2") {
            // An entry twice, and one with an algorithm of the future.
            let page = page(&[entry(1, ""), entry(3, "sha999:00"), entry(2, "")]);
            return answer(stream, "200 OK", &kind, page.as_bytes());
        }
        let path = request.line.trim_start_matches("GET ");
        let link = format!("Link: <{path}?page=2>; rel=\"next\"\r\n");
        let page = page(&[entry(1, "")]);
        answer(stream, "200 OK", &format!("{kind}{link}"), page.as_bytes());
    });
    let (client, repository) = (client(), image(&rogue.host, "app"));
    let subject = digest_of(b"x");
    let found = client.referrers(&repository, subject).await.unwrap();
    let types: Vec<_> = found.iter().filter_map(|one| one.artifact_type.as_deref()).collect();
    assert_eq!(types, ["a/1", "a/2"]);
    let how = client.add_referrer(&repository, subject, found[0].clone()).await.unwrap();
    assert_eq!(how, Listing::ByRegistry);
}

#[tokio::test]
async fn endless_pages_and_pages_elsewhere_are_not_followed() {
    let kind = format!("Content-Type: {}\r\n", media_type::INDEX);
    let head = kind.clone();
    let endless = Rogue::start(move |request, stream| {
        let path = request.line.trim_start_matches("GET ");
        let link = format!("{head}Link: <{path}x>; rel=next\r\n");
        answer(stream, "200 OK", &link, page(&[]).as_bytes());
    });
    let error = client().referrers(&image(&endless.host, "app"), digest_of(b"x")).await;
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("the list of referrers of"), "{error}");
    assert_eq!(endless.seen().len(), 16);
    let away = Rogue::start(move |_, stream| {
        let link = format!("{kind}Link: <http://192.0.2.1/more>; rel=\"next\"\r\n");
        answer(stream, "200 OK", &link, page(&[entry(1, "")]).as_bytes());
    });
    let found = client().referrers(&image(&away.host, "app"), digest_of(b"x")).await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_registry_that_serves_a_web_page_for_the_api_has_none() {
    let rogue = Rogue::start(|request, stream| {
        if request.line.contains("/referrers/") {
            return answer(stream, "200 OK", "Content-Type: text/html\r\n", b"<html>");
        }
        assert!(request.is("GET /v2/app/manifests/sha256-"));
        answer(stream, "200 OK", "", b"[1]");
    });
    let host = &rogue.host;
    let subject = digest_of(b"x");
    let error = client().referrers(&image(host, "app"), subject).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "what {host} serves as {host}/app:sha256-{} is no image: \
             it should be a list of referrers, but has no 'manifests'\n\
             help: something else was pushed to this tag; remove the tag and sign again",
            subject.hex()
        )
    );
}

#[tokio::test]
async fn a_damaged_list_is_not_written_back() {
    let promised = digest_of(b"the list as it was stored");
    let rogue = Rogue::start(move |request, stream| {
        if request.is("GET /v2/app/referrers/") {
            return answer(stream, "404 Not Found", "", b"");
        }
        assert!(request.is("GET "), "{}", request.line);
        let header = format!("Docker-Content-Digest: {promised}\r\n");
        answer(stream, "200 OK", &header, page(&[]).as_bytes());
    });
    let (reference, subject) = (image(&rogue.host, "app"), digest_of(b"the image"));
    let entry = Descriptor::of(media_type::MANIFEST, b"a statement");
    let error = client().add_referrer(&reference, subject, entry).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("the list of referrers of ") && text.contains("thrown away"),
        "{text}"
    );
}
