//! What refers to an image: signatures, SBOMs, provenance (distribution-spec 1.1, "Listing Referrers"
//! and "Referrers Tag Schema").
//!
//! A registry without the referrers API leaves the list to its clients: an index under the tag
//! `sha256-<hex>`, which each client reads, adds to, and writes back. The protocol has no conditional
//! write, so a writer may overwrite what another one has just written. Against that,
//! [`RegistryClient::add_referrers`]
//! - reads right before it writes, and looks again twice, after random waits of at least some times
//!   what its own writing took, writing anew when anything is gone;
//! - puts back not only its own entries but every one that it has seen in the list, so that all
//!   writers of the moment watch over each other's.
//!
//! **What remains**: a writer that is held up between its reading and its writing for longer than both
//! waits of another one undoes that one's entry, and nobody notices if no third one has seen it. The
//! manifests themselves are never lost, only their line in the list; adding it again is always safe.
//! The other price: an entry that somebody removes on purpose while we write may come back.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, HeaderValue},
};
use serde_json::{Value, json};
use url::Url;

use super::{
    answer::printable,
    client::{DOCUMENTS, RegistryClient},
    error::{RegistryError, What},
    retry::jitter,
    route::{Access, Endpoint},
    transport::{Answer, Call},
};
use crate::oci::{
    descriptor::Descriptor, digest::Digest, manifest::MAX_MANIFEST_BYTES, media_type,
    reference::Reference,
};

/// Who keeps the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// The registry does by itself.
    ByRegistry,
    /// The fallback tag, which now holds the entries.
    InTag,
}

/// A look at the list of one subject.
#[derive(Debug, Clone, Copy)]
pub struct Glance {
    subject: Digest,
    listing: Listing,
    /// When it was not there.
    absent: Option<Instant>,
}

/// A list of more pages is cut off with an error.
const MAX_PAGES: usize = 16;
/// Rounds of reading and writing before giving up.
const MAX_ROUNDS: u32 = 60;

impl RegistryClient {
    /// Everything that refers to `subject` in the repository of `reference`, each once, with its
    /// artifact type and annotations: from the referrers API, or from the fallback tag where the
    /// registry has none. Nothing of it is proven by this: the list is the registry's word.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn referrers(
        &self,
        reference: &Reference,
        subject: Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let endpoint = self.endpoint(&reference.at(subject), Access::Pull)?;
        let entries = match self.api_entries(&endpoint, subject).await? {
            Some(entries) => entries,
            None => {
                let tag = self.endpoint(&reference.tagged(&fallback_tag(subject)), Access::Pull)?;
                self.tag_list(&tag).await?.map(|list| list.entries()).unwrap_or_default()
            }
        };
        let mut seen = BTreeSet::new();
        // An entry that we cannot read (another digest algorithm) must not hide the others.
        let known = entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok());
        Ok(known.filter(|entry: &Descriptor| seen.insert(entry.digest)).collect())
    }

    /// Looks who keeps the list of referrers of `subject`, and whether there is one: so much less is to be looked
    /// at when entries are added [after](Self::add_referrers_after) it.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn glance_at_referrers(
        &self,
        reference: &Reference,
        subject: Digest,
    ) -> Result<Glance, RegistryError> {
        let endpoint = self.endpoint(&reference.at(subject), Access::Push)?;
        if self.api_entries(&endpoint, subject).await?.is_some() {
            return Ok(Glance { subject, listing: Listing::ByRegistry, absent: None });
        }
        let tag = self.endpoint(&reference.tagged(&fallback_tag(subject)), Access::Push)?;
        let looked = Instant::now();
        let absent = self.tag_list(&tag).await?.is_none().then_some(looked);
        Ok(Glance { subject, listing: Listing::InTag, absent })
    }

    /// As [`add_referrers`](Self::add_referrers), for one.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn add_referrer(
        &self,
        reference: &Reference,
        subject: Digest,
        entry: Descriptor,
    ) -> Result<Listing, RegistryError> {
        self.add_referrers(reference, subject, &[entry]).await
    }

    /// Makes sure that these manifests, which have been pushed and name `subject` as theirs, are listed
    /// as its referrers. What others have listed stays as it is, field for field.
    ///
    /// # Errors
    /// [`RegistryError::Contended`] when others overwrite the list again and again, and all others.
    pub async fn add_referrers(
        &self,
        reference: &Reference,
        subject: Digest,
        entries: &[Descriptor],
    ) -> Result<Listing, RegistryError> {
        let glance = self.glance_at_referrers(reference, subject).await?;
        self.add_referrers_after(glance, reference, subject, entries).await
    }

    /// As [`add_referrers`](Self::add_referrers), after a look of a moment ago.
    ///
    /// # Errors
    /// As [`add_referrers`](Self::add_referrers).
    pub async fn add_referrers_after(
        &self,
        glance: Glance,
        reference: &Reference,
        subject: Digest,
        entries: &[Descriptor],
    ) -> Result<Listing, RegistryError> {
        if glance.listing == Listing::ByRegistry {
            return Ok(Listing::ByRegistry);
        }
        let tag = reference.tagged(&fallback_tag(subject));
        let endpoint = self.endpoint(&tag, Access::Push)?;
        let mut pace = self.settle(&endpoint);
        let mut absent = glance.absent.filter(|_| glance.subject == subject);
        // Everything that must be in the list: ours, and whatever of others' we have seen in it.
        let mut wanted = List::empty();
        entries
            .iter()
            .filter_map(|entry| serde_json::to_value(entry).ok())
            .for_each(|e| wanted.add(e));
        let (mut existed, mut written) = (false, 0);
        let (mut confirmed, mut gave_way) = (false, false);
        for _ in 0..MAX_ROUNDS {
            let list = self.settled(&endpoint, existed, absent.take()).await?;
            existed |= list.is_some();
            let mut list = list.unwrap_or_else(List::empty);
            list.entries().into_iter().for_each(|entry| wanted.add(entry));
            let mut wait = pace;
            if wanted.entries().iter().all(|entry| list.has(entry)) {
                // Since before we wrote anything, or for the second time since our last writing.
                if written == 0 || confirmed {
                    return Ok(Listing::InTag);
                }
                confirmed = true;
            } else if written > 0 && !gave_way {
                // Overwritten: somebody is at work. Leave them a turn, then read anew before writing.
                (confirmed, gave_way) = (false, true);
                wait = pace * 2 * (written + 1).min(8);
            } else {
                wanted.entries().into_iter().for_each(|entry| list.add(entry));
                let begun = Instant::now();
                let bytes = list.0.to_string();
                self.push_manifest(&tag, media_type::INDEX, bytes.as_bytes()).await?;
                // Where writing takes long, it takes others long too.
                pace = pace.max(begun.elapsed() * 6);
                (existed, confirmed, gave_way) = (true, false, false);
                written += 1;
            }
            tokio::time::sleep(jitter(wait)).await;
        }
        let at = endpoint.place();
        Err(RegistryError::Contended { at, attempts: written })
    }

    /// The list in the tag. Some registries show no tag for a moment while they replace it, and a list
    /// begun anew then would lose every entry: "not there" is believed only when it is said twice (once
    /// may be `absent`, when that was said), and never when the tag has been seen.
    async fn settled(
        &self,
        endpoint: &Endpoint,
        existed: bool,
        absent: Option<Instant>,
    ) -> Result<Option<List>, RegistryError> {
        let wait = jitter(self.settle(endpoint) / 2);
        let mut look = 1;
        if let Some(absent) = absent.filter(|_| !existed) {
            tokio::time::sleep(wait.saturating_sub(absent.elapsed())).await;
            look = 2;
        }
        let looks = if existed { 8 } else { 2 };
        while look <= looks {
            if let Some(list) = self.tag_list(endpoint).await? {
                return Ok(Some(list));
            }
            if look < looks {
                tokio::time::sleep(jitter(self.settle(endpoint) / 2)).await;
            }
            look += 1;
        }
        Ok(None)
    }

    /// How long others get to overwrite a list. Whoever writes to a registry on this machine is on it too, and
    /// not behind a slow connection.
    fn settle(&self, endpoint: &Endpoint) -> Duration {
        let settle = self.transport.options.settle;
        if endpoint.is_loopback() { settle.min(LOOPBACK_SETTLE) } else { settle }
    }

    /// All pages of the API. `None`: the registry has none. distribution-spec: "If the registry
    /// supports the referrers API, the registry MUST NOT return a 404"; in practice registries
    /// without it also answer 400, 405 or 501, or serve a web page.
    async fn api_entries(
        &self,
        endpoint: &Endpoint,
        subject: Digest,
    ) -> Result<Option<Vec<Value>>, RegistryError> {
        let mut next = Some(endpoint.url(&format!("referrers/{subject}")));
        let mut entries = Vec::new();
        for page in 0..MAX_PAGES {
            let Some(url) = next.take() else { return Ok(Some(entries)) };
            let mut call = Call::new(Method::GET, url);
            call.headers.insert(ACCEPT, HeaderValue::from_static(media_type::INDEX));
            let limit = (What::Referrers, MAX_MANIFEST_BYTES);
            let answer = self.transport.ask(endpoint, &call, limit).await?;
            let index = answer.header("content-type").is_some_and(|kind| {
                kind.split(';').next().is_some_and(|kind| kind.trim() == media_type::INDEX)
            });
            if !(answer.status == StatusCode::OK && index) {
                let unknown = matches!(answer.status.as_u16(), 200 | 400 | 404 | 405 | 406 | 501);
                return if unknown && page == 0 {
                    Ok(None)
                } else {
                    Err(refused(endpoint, answer))
                };
            }
            entries.extend(List::read(endpoint, &answer.bytes)?.entries());
            // Only ever onwards on the same registry.
            next = next_page(&answer).filter(|url| endpoint.is_home(url));
        }
        let at = endpoint.place();
        let max = MAX_PAGES as u64 * MAX_MANIFEST_BYTES;
        Err(RegistryError::TooLarge { at, what: What::Referrers, max })
    }

    async fn tag_list(&self, endpoint: &Endpoint) -> Result<Option<List>, RegistryError> {
        let tag = endpoint.reference.selector();
        let mut call = Call::new(Method::GET, endpoint.url(&format!("manifests/{tag}")));
        call.headers.insert(ACCEPT, HeaderValue::from_static(DOCUMENTS));
        let limit = (What::Referrers, MAX_MANIFEST_BYTES);
        let answer = self.transport.ask(endpoint, &call, limit).await?;
        match answer.status {
            StatusCode::OK => {
                // It is read to be written back: a damaged line would stay in it.
                let stated = answer.header("docker-content-digest").and_then(|at| at.parse().ok());
                let found = Digest::of(&answer.bytes);
                match stated.filter(|stated: &Digest| *stated != found) {
                    None => List::read(endpoint, &answer.bytes).map(Some),
                    Some(stated) => {
                        let (at, what) = (endpoint.place(), What::Referrers);
                        Err(RegistryError::wrong_digest(at, what, stated, found))
                    }
                }
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refused(endpoint, answer)),
        }
    }
}

/// The tag under which clients keep the referrers of `subject`.
#[must_use]
pub fn fallback_tag(subject: Digest) -> String {
    format!("sha256-{}", subject.hex())
}

/// An index as it was written, so that fields we do not know survive.
#[derive(Debug)]
struct List(Value);

impl List {
    fn empty() -> Self {
        Self(json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": []}))
    }

    fn read(endpoint: &Endpoint, bytes: &[u8]) -> Result<Self, RegistryError> {
        let value: Result<Value, _> = serde_json::from_slice(bytes);
        let reason = match value {
            Ok(value) if value["manifests"].is_array() => return Ok(Self(value)),
            // Go writes an empty list as null.
            Ok(mut value) if value.get("manifests").is_some_and(Value::is_null) => {
                value["manifests"] = json!([]);
                return Ok(Self(value));
            }
            Ok(_) => "it should be a list of referrers, but has no 'manifests'".into(),
            Err(error) => printable(&format!("its JSON cannot be used: {error}")),
        };
        let at = endpoint.place();
        let help = "something else was pushed to this tag; remove the tag and sign again";
        Err(RegistryError::NoImage { at, reason, help })
    }

    fn entries(&self) -> Vec<Value> {
        self.0["manifests"].as_array().cloned().unwrap_or_default()
    }

    /// Is an entry with the same digest in it?
    fn has(&self, entry: &Value) -> bool {
        let entries = self.0["manifests"].as_array();
        entries.is_some_and(|all| all.iter().any(|one| one["digest"] == entry["digest"]))
    }

    fn add(&mut self, entry: Value) {
        if !self.has(&entry)
            && let Some(all) = self.0["manifests"].as_array_mut()
        {
            all.push(entry);
        }
    }
}

/// `Link: <address>; rel="next"` (RFC 5988), relative or absolute.
fn next_page(answer: &Answer) -> Option<Url> {
    let links = answer.header("link")?.split(',');
    let next = links.filter_map(|link| link.trim().strip_prefix('<')?.split_once('>'));
    let mut next = next.filter(|(_, rest)| rest.replace(['"', ' '], "").contains("rel=next"));
    answer.url.join(next.next()?.0).ok()
}

fn refused(endpoint: &Endpoint, answer: Answer) -> RegistryError {
    let at = endpoint.place();
    let Answer { status, said, .. } = answer;
    let help = "the registry does not list referrers as the distribution specification says";
    RegistryError::Refused { at, what: What::Referrers, status, said, help }
}

/// The default of [`TransportOptions::settle`](super::transport::TransportOptions): some times what a
/// read and a write take on a slow connection.
pub(super) const SETTLE: Duration = Duration::from_millis(400);
/// The same on the machine itself; what writing really takes still counts.
const LOOPBACK_SETTLE: Duration = Duration::from_millis(80);
