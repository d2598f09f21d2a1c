//! Java's own form for trusted certificates (JKS), which every Java reads: big-endian numbers, texts with two bytes
//! of length, and at the end a digest over a password and all before it. The password of such lists is public.

use ring::digest::{Context, Digest, SHA1_FOR_LEGACY_USE_ONLY};

const MAGIC: u32 = 0xfeed_feed;
const VERSION: u32 = 2;
/// An entry that is a certificate, and one that is a key.
const CERTIFICATE: u32 = 2;
const PASSWORD: &str = "changeit";
const SALT: &[u8] = b"Mighty Aphrodite";
const DIGEST: usize = 20;
/// Magic, version and the number of entries.
const HEAD: usize = 12;

/// A list of these certificates (DER), none of which has a date.
pub(super) fn write(certificates: &[&[u8]]) -> Vec<u8> {
    let mut list = Vec::new();
    for number in [MAGIC, VERSION, u32::try_from(certificates.len()).unwrap_or(u32::MAX)] {
        list.extend(number.to_be_bytes());
    }
    for (number, certificate) in certificates.iter().enumerate() {
        list.extend(CERTIFICATE.to_be_bytes());
        text(&mut list, &format!("certificate-{number}"));
        list.extend(0_u64.to_be_bytes());
        text(&mut list, "X.509");
        list.extend(u32::try_from(certificate.len()).unwrap_or(u32::MAX).to_be_bytes());
        list.extend_from_slice(certificate);
    }
    let digest = digest(&list);
    list.extend(digest.as_ref());
    list
}

fn text(list: &mut Vec<u8>, text: &str) {
    list.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    list.extend(text.as_bytes());
}

fn digest(list: &[u8]) -> Digest {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(&PASSWORD.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>());
    context.update(SALT);
    context.update(list);
    context.finish()
}

/// The list without `certificate`. None when these bytes are no list of certificates alone with the public password.
pub(super) fn without(bytes: &[u8], certificate: &[u8]) -> Option<Vec<u8>> {
    let list = bytes.get(..bytes.len().checked_sub(DIGEST)?)?;
    if bytes.get(list.len()..)? != digest(list).as_ref() {
        return None;
    }
    let mut rest = Rest(list);
    if rest.number()? != MAGIC || rest.number()? != VERSION {
        return None;
    }
    let (count, mut left) = (rest.number()?, 0_u32);
    let mut kept = list.get(..HEAD)?.to_vec();
    for _ in 0..count {
        let before = rest.0;
        if rest.number()? != CERTIFICATE {
            return None;
        }
        rest.text()?;
        rest.take(8)?;
        rest.text()?;
        let length = usize::try_from(rest.number()?).ok()?;
        if rest.take(length)? != certificate {
            kept.extend_from_slice(before.get(..before.len() - rest.0.len())?);
            left += 1;
        }
    }
    kept.get_mut(8..HEAD)?.copy_from_slice(&left.to_be_bytes());
    let digest = digest(&kept);
    kept.extend(digest.as_ref());
    Some(kept)
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        self.take(length.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_certificate_leaves_and_the_others_stay() {
        let (ours, theirs) = (vec![7; 300], vec![8; 400]);
        let both = write(&[&theirs, &ours]);
        assert_eq!(without(&both, &ours), Some(write(&[&theirs])));
        assert_eq!(without(&write(&[&theirs]), &ours), Some(write(&[&theirs])));
    }

    #[test]
    fn what_is_no_such_list_is_left_alone() {
        let list = write(&[&[1; 50]]);
        assert_eq!(without(&[], &[1]), None);
        assert_eq!(without(&list[..list.len() - 1], &[1]), None);
        let mut other = list.clone();
        other[20] ^= 1;
        assert_eq!(without(&other, &[1]), None);
    }
}
