//! Package URLs (ECMA-427): `pkg:type/namespace/name@version?qualifiers`. `download` makes them of the
//! addresses of downloads.

mod download;

use std::fmt::Write as _;

pub use download::of_download;

/// Builds a package URL. Empty qualifiers are left out; they are sorted by key.
#[must_use]
pub fn purl(
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    version: Option<&str>,
    qualifiers: &[(&str, &str)],
) -> String {
    let mut purl = format!("pkg:{kind}/");
    for part in
        namespace.into_iter().flat_map(|text| text.split('/').filter(|part| !part.is_empty()))
    {
        purl.push_str(&encode(part));
        purl.push('/');
    }
    purl.push_str(&encode(name));
    if let Some(version) = version {
        purl.push('@');
        purl.push_str(&encode(version));
    }
    let mut qualifiers: Vec<_> = qualifiers.iter().filter(|(_, v)| !v.is_empty()).collect();
    qualifiers.sort_unstable();
    for (index, (key, value)) in qualifiers.into_iter().enumerate() {
        let mark = if index == 0 { '?' } else { '&' };
        let _ = write!(purl, "{mark}{key}={}", encode(value).replace("%2F", "/"));
    }
    purl
}

/// Percent-encoding of everything but unreserved characters and the colon.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                out.push(byte.into());
            }
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out
}

/// Percent-encoding undone; what is not encoded rightly stays as it is.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let digits = more.get(..2).filter(|_| *first == b'%');
        let mut byte = [0];
        match digits.map(|digits| hex::decode_to_slice(digits, &mut byte)) {
            Some(Ok(())) => {
                bytes.push(byte[0]);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        let qualifiers = [("distro", "debian-12"), ("arch", "amd64"), ("upstream", "")];
        assert_eq!(
            purl("deb", Some("debian"), "libstdc++6", Some("1:12.2~rc1+b1"), &qualifiers),
            "pkg:deb/debian/libstdc%2B%2B6@1:12.2~rc1%2Bb1?arch=amd64&distro=debian-12"
        );
        assert_eq!(
            purl("oci", None, "app", None, &[("repository_url", "r.example/a/app")]),
            "pkg:oci/app?repository_url=r.example/a/app"
        );
    }
}
