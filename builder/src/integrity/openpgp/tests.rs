//! `golden/` was made by GnuPG: an RSA key, an Ed25519 key in armour, a text signed by both in place (SHA-512), and by
//! the second one beside it (SHA-256).

use super::*;

const RSA: &[u8] = include_bytes!("golden/archive.gpg");
const EDWARDS: &[u8] = include_bytes!("golden/release.asc");
const SIGNED: &str = include_str!("golden/InRelease");
const TEXT: &[u8] = include_bytes!("golden/Release");
const BESIDE: &[u8] = include_bytes!("golden/Release.gpg");

fn key(file: &[u8]) -> PublicKey {
    let keys = public_keys(file);
    assert_eq!(keys.len(), 1);
    keys.into_iter().next().unwrap()
}

#[test]
fn keys_are_known_by_their_fingerprints() {
    assert_eq!(key(RSA).fingerprint(), "0616BC65A873F5FAABECB82B48CCF5BBE5F35BB4");
    assert_eq!(key(EDWARDS).to_string(), "7B64EF3A9FADBED8BD223F0831092281664FAF18");
    assert_eq!(public_keys(b"no key"), []);
}

#[test]
fn a_signature_is_its_keys_and_only_over_its_text() {
    let signed = ClearText::read(SIGNED).unwrap();
    assert_eq!(signed.signatures.len(), 2);
    assert!(signed.text.contains("- a dashed line\n") && signed.text.ends_with("/Packages\n"));
    for key in [key(RSA), key(EDWARDS)] {
        let made = |text: &[u8]| signed.signatures.iter().filter(|one| key.made(one, text)).count();
        assert_eq!(made(&signed.canonical), 1);
        for at in [0, signed.canonical.len() / 2, signed.canonical.len() - 1] {
            let mut altered = signed.canonical.clone();
            altered[at] ^= 1;
            assert_eq!(made(&altered), 0);
        }
    }
    let beside = signatures(BESIDE);
    assert_eq!(beside.len(), 1);
    assert!(key(EDWARDS).made(&beside[0], TEXT));
    assert!(!key(EDWARDS).made(&beside[0], &TEXT[1..]) && !key(RSA).made(&beside[0], TEXT));
}

#[test]
fn no_altered_octet_of_a_signature_passes() {
    let text = std::str::from_utf8(BESIDE).unwrap();
    let octets = armor::octets(text.as_bytes()).into_owned();
    let key = key(EDWARDS);
    // The area that is not signed holds the key's id, and the two octets after it are a hint.
    let mut passed = 0;
    for at in 0..octets.len() {
        let mut altered = octets.clone();
        altered[at] ^= 0x10;
        let read = signatures(&altered);
        passed += usize::from(read.iter().any(|one| key.made(one, TEXT)));
    }
    assert!(passed <= 14, "{passed}");
}

#[test]
fn only_what_is_signed_is_read() {
    let around = format!("before\n{SIGNED}");
    assert_eq!(ClearText::read(&around), None);
    let behind = format!("{SIGNED}SHA256:\n 00 1 x\n");
    assert_eq!(ClearText::read(&behind).unwrap().text, ClearText::read(SIGNED).unwrap().text);
    let inside = SIGNED.replacen("- - a dashed", "-----BEGIN X\n- - a dashed", 1);
    assert_eq!(ClearText::read(&inside), None);
    let header = SIGNED.replacen("Hash: SHA512\n", "Hash: SHA512\nSHA256:\n", 1);
    assert_eq!(ClearText::read(&header), None);
    let unsigned = SIGNED.split("-----BEGIN PGP SIGNATURE").next().unwrap();
    assert_eq!(ClearText::read(unsigned), None);
}
