//! Any text is a key or an error: public ones, and cosign's encrypted file with a wrong password.

use touchmark_attest::key::{Password, PrivateKey, PublicKey};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    if let Ok(key) = PublicKey::from_der(bytes) {
        let pem = key.to_pem().expect("a key can be written");
        assert_eq!(PublicKey::from_pem(&pem).expect("what was written can be read"), key);
        assert!(key.verify(b"message", bytes).is_err());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = PublicKey::from_pem(text) {
        drop(error.to_string());
    }
    for password in [None, Some(Password::new("wrong"))] {
        if let Err(error) = PrivateKey::from_pem(text, password.as_ref()) {
            drop(error.to_string());
        }
    }
}
