//! Signatures of OpenPGP (RFC 9580), as far as archives of packages use them: version 4 signatures with RSA or Ed25519
//! over SHA-256, SHA-384 or SHA-512, clear-signed or beside the text. `packet`, `armor` ← `key`, `signature`,
//! `clear_text`.
//!
//! Absent: whatever would need a clock (the age of keys and signatures), webs of trust, encryption. A key counts because
//! of the file that it is in, so what it says about itself and its subkeys is not looked at either.

mod armor;
mod clear_text;
mod key;
mod packet;
mod signature;

pub use clear_text::ClearText;
pub use key::{PublicKey, public_keys};
pub use signature::{Signature, signatures};

#[cfg(test)]
mod tests;
