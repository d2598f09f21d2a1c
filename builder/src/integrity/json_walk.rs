//! Indexes in JSON, read as they come without keeping the document: any object that names a file and its hash is a
//! statement, wherever it stands. npm's packuments and manifests have `dist` with `tarball`, `integrity` and `shasum`;
//! Python's simple index (PEP 691) and JSON API have `url` with `hashes` or `digests`, and hashes of the metadata
//! beside the file (PEP 658); Composer has `dist` with `url` and `shasum`.

use std::fmt;

use serde::{
    Deserializer as _,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    digest_of::{Algorithm, Hash},
    statement::{About, Statement},
};

/// Tells `tell` every statement of the document that was fetched from `base`. What is no JSON says nothing from the
/// place on where it is none.
pub(super) fn read(base: &str, text: &str, tell: &mut dyn FnMut(Statement)) {
    let mut reader = serde_json::Deserializer::from_str(text);
    let _ = reader.deserialize_any(Walk { base, tell });
}

struct Walk<'a> {
    base: &'a str,
    tell: &'a mut dyn FnMut(Statement),
}

/// What is of use to the object around a value.
#[derive(Default)]
struct Found {
    text: Option<String>,
    sha256: Option<String>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Found;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Found, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_unit<E: Error>(self) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Found, E> {
        Ok(Found { text: Some(text.to_owned()), sha256: None })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Found, A::Error> {
        let Self { base, tell } = self;
        while list.next_element_seed(Walk { base, tell: &mut *tell })?.is_some() {}
        Ok(Found::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let Self { base, tell } = self;
        let mut file = File::default();
        while let Some(key) = map.next_key::<String>()? {
            // Texts of any length that say nothing here.
            if matches!(key.as_str(), "readme" | "description") {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let found = map.next_value_seed(Walk { base, tell: &mut *tell })?;
            match key.as_str() {
                "url" => file.url = found.text,
                "tarball" => file.tarball = found.text,
                "integrity" => file.integrity = found.text,
                "shasum" => file.shasum = found.text,
                "sha256" => file.sha256 = found.text,
                "hashes" | "digests" => file.hashes = found.sha256,
                "core-metadata" | "dist-info-metadata" => file.metadata = found.sha256,
                _ => {}
            }
        }
        file.tell(base, tell);
        Ok(Found { text: None, sha256: file.sha256 })
    }
}

/// The keys of an object that say something.
#[derive(Default)]
struct File {
    url: Option<String>,
    tarball: Option<String>,
    integrity: Option<String>,
    shasum: Option<String>,
    sha256: Option<String>,
    hashes: Option<String>,
    metadata: Option<String>,
}

impl File {
    fn tell(&self, base: &str, tell: &mut dyn FnMut(Statement)) {
        let sha256 = |text: &Option<String>| Hash::hex(Algorithm::Sha256, text.as_ref()?);
        let sha1 = || Hash::hex(Algorithm::Sha1, self.shasum.as_ref()?);
        let mut say = |address: &str, hash: Option<Hash>| {
            if let (Some(about), Some(hash)) = (About::at(base, address), hash) {
                tell(Statement { about, hash });
            }
        };
        if let Some(tarball) = &self.tarball {
            let hash = self.integrity.as_deref().and_then(Hash::sri).or_else(sha1);
            say(tarball, hash.clone());
            // npm asks the registry that it was told of, whatever host the index names.
            if let Ok(url) = url::Url::parse(tarball) {
                say(url.path(), hash);
            }
        } else if let Some(url) = &self.url {
            say(url, sha256(&self.hashes).or_else(sha1));
            say(&format!("{url}.metadata"), sha256(&self.metadata));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(base: &str, text: &str) -> Vec<String> {
        let mut all = Vec::new();
        read(base, text, &mut |statement| {
            let About::Url(url) = statement.about else { panic!("an address") };
            all.push(format!("{url} {}", statement.hash));
        });
        all
    }

    #[test]
    fn a_packument_states_integrity_or_else_shasum() {
        let shasum = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        let text = format!(
            r#"{{"name":"left","readme":"{{","versions":{{
              "1.0.0":{{"dist":{{"shasum":"{shasum}","tarball":"https://npm.example/left/-/left-1.0.0.tgz"}}}},
              "1.1.0":{{"n":1,"f":1.5,"b":true,"x":null,"dist":{{"integrity":"sha512-{}","shasum":"{shasum}",
                        "tarball":"https://npm.example/left/-/left-1.1.0.tgz"}}}}}}}}"#,
            "A".repeat(86) + "=="
        );
        assert_eq!(
            told("https://other.example/left", &text),
            [
                format!("https://npm.example/left/-/left-1.0.0.tgz sha1:{shasum}"),
                format!("https://other.example/left/-/left-1.0.0.tgz sha1:{shasum}"),
                format!("https://npm.example/left/-/left-1.1.0.tgz sha512:{}", "00".repeat(64)),
                format!("https://other.example/left/-/left-1.1.0.tgz sha512:{}", "00".repeat(64)),
            ]
        );
    }

    #[test]
    fn a_simple_index_states_hashes_of_files_and_of_their_metadata() {
        let (a, b) = ("aa".repeat(32), "bb".repeat(32));
        let text = format!(
            r#"{{"files":[{{"filename":"x-1.whl","url":"../../packages/x-1.whl","hashes":{{"sha256":"{a}"}},
               "core-metadata":{{"sha256":"{b}"}},"yanked":false}},{{"url":"x-2.whl","hashes":{{}},"core-metadata":true}}],
               "urls":[{{"url":"https://f.example/x.tar.gz","digests":{{"md5":"0","sha256":"{b}"}}}}]}}"#
        );
        assert_eq!(
            told("https://py.example/simple/x/", &text),
            [
                format!("https://py.example/packages/x-1.whl sha256:{a}"),
                format!("https://py.example/packages/x-1.whl.metadata sha256:{b}"),
                format!("https://f.example/x.tar.gz sha256:{b}"),
            ]
        );
    }

    #[test]
    fn a_composer_index_states_sha1_where_it_has_one() {
        let sha1 = "ab".repeat(20);
        let text = format!(
            r#"{{"packages":{{"a/b":[{{"dist":{{"url":"https://d.example/1","shasum":"{sha1}"}}}},
               {{"dist":{{"url":"https://d.example/2","shasum":""}}}}]}}}}"#
        );
        assert_eq!(
            told("https://c.example/p2/a/b.json", &text),
            [format!("https://d.example/1 sha1:{sha1}")]
        );
        assert!(told("https://c.example/", "{\"a\":[").is_empty());
    }
}
