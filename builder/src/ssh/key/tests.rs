//! The keys in `fixtures/` were made by `ssh-keygen` for these tests and open nothing.

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::{super::wire::take_string, *};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("fixtures/", $name))
    };
}

fn strings(mut blob: &[u8]) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| take_string(&mut blob).map(<[u8]>::to_vec)).collect()
}

fn read(file: &str) -> AgentKey {
    AgentKey::read(file.as_bytes()).unwrap()
}

#[test]
fn the_public_key_is_what_ssh_keygen_says() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    for (private, public) in [
        (fixture!("ed25519-256"), fixture!("ed25519-256.pub")),
        (fixture!("ecdsa-256"), fixture!("ecdsa-256.pub")),
        (fixture!("ecdsa-384"), fixture!("ecdsa-384.pub")),
        (fixture!("ecdsa-pkcs8"), fixture!("ecdsa-256.pub")),
        (fixture!("rsa-2048"), fixture!("rsa-2048.pub")),
        (fixture!("rsa-pem"), fixture!("rsa-2048.pub")),
        (fixture!("rsa-pkcs8"), fixture!("rsa-2048.pub")),
    ] {
        let shown = STANDARD.encode(read(private).public_blob());
        assert_eq!(public.split(' ').nth(1), Some(shown.as_str()));
    }
    assert_eq!(read(fixture!("ed25519-pkcs8")).algorithm(), "ssh-ed25519");
}

#[test]
fn signatures_verify() {
    let ed25519 = read(fixture!("ed25519-256"));
    let public = strings(&ed25519.public_blob()).remove(1);
    let signature = strings(&ed25519.sign(b"data", 0).unwrap());
    assert_eq!(signature[0], b"ssh-ed25519");
    UnparsedPublicKey::new(&ED25519, public).verify(b"data", &signature[1]).unwrap();

    let ecdsa = read(fixture!("ecdsa-256"));
    let public = strings(&ecdsa.public_blob()).remove(2);
    let signature = strings(&ecdsa.sign(b"data", 0).unwrap());
    assert_eq!(signature[0], b"ecdsa-sha2-nistp256");
    let fixed: Vec<u8> = strings(&signature[1])
        .into_iter()
        .flat_map(|number| {
            let number = BigUint::from_bytes_be(&number).to_bytes_be();
            [vec![0; 32 - number.len()], number].concat()
        })
        .collect();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(b"data", &fixed).unwrap();

    let rsa = read(fixture!("rsa-2048"));
    let public = strings(&rsa.public_blob());
    // Without the zero before a first bit that is set.
    let public = RsaPublicKeyComponents { e: public[1].clone(), n: public[2][1..].to_vec() };
    for (flags, name, algorithm) in [
        (2, &b"rsa-sha2-256"[..], &RSA_PKCS1_2048_8192_SHA256),
        (4, b"rsa-sha2-512", &RSA_PKCS1_2048_8192_SHA512),
    ] {
        let signature = strings(&rsa.sign(b"data", flags).unwrap());
        assert_eq!(signature[0], name);
        public.verify(algorithm, b"data", &signature[1]).unwrap();
    }
    assert_eq!(rsa.sign(b"data", 0), None, "SHA-1 is not signed with");
}

#[test]
fn what_cannot_be_used_is_told_apart() {
    let fault = |file: &str| AgentKey::read(file.as_bytes()).unwrap_err();
    assert_eq!(fault(fixture!("encrypted")), SshKeyError::Encrypted);
    assert_eq!(fault(fixture!("rsa-pem-encrypted")), SshKeyError::Encrypted);
    assert_eq!(fault(fixture!("rsa-2048.pub")), SshKeyError::NoKey);
    assert_eq!(fault(""), SshKeyError::NoKey);
    assert_eq!(AgentKey::read(&[0xff; 40]).unwrap_err(), SshKeyError::NoKey);
    assert_eq!(fault(fixture!("ecdsa-521")), SshKeyError::Kind("ECDSA on P-521".into()));
    let cut = &fixture!("ed25519-256")[..200];
    assert!(matches!(fault(cut), SshKeyError::Damaged(_)));
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", read(fixture!("ed25519-256"))), r#"AgentKey("ssh-ed25519")"#);
}
