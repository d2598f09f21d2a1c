//! ECDSA keys on P-256 with SHA-256, the one kind of key that every Sigstore tool reads.
//!
//! Reading order: [`PublicKey`] and its [`KeyHint`], [`PrivateKey`], [`Password`], then the encrypted
//! key file that cosign and touchmark share.

mod password;
mod private;
mod public;
mod sealed;

pub use password::Password;
pub use private::PrivateKey;
pub use public::{KeyHint, PublicKey, SignatureMismatch};
pub use sealed::SealRandom;

use crate::{excerpt::Excerpt, strict_json::JsonFault};

/// No key file is larger; more is not read into the parser.
const MAX_KEY_FILE: usize = 64 * 1024;

/// Why a key cannot be read or made. No variant holds key or password bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a PEM file.
    #[error("this is not a PEM file; a key file starts with '-----BEGIN'")]
    NotPem,
    /// More bytes than a key file has.
    #[error("the key file has {bytes} bytes; a key file has at most {MAX_KEY_FILE}")]
    TooLarge {
        /// Bytes that were given.
        bytes: usize,
    },
    /// A PEM file of another kind.
    #[error("the file holds a '{}', where {wanted} is wanted", Excerpt(.found))]
    Label {
        /// The label of the PEM block.
        found: String,
        /// What would do.
        wanted: &'static str,
    },
    /// Another algorithm, another curve, or damaged DER.
    #[error(
        "the key is not an ECDSA key on the curve P-256; make one with 'touchmark key generate'"
    )]
    Algorithm,
    /// The file is encrypted and no password came with it.
    #[error("the key file is encrypted and no password was given; set COSIGN_PASSWORD")]
    PasswordNeeded,
    /// The password does not fit. An altered ciphertext looks the same, and cannot be told apart.
    #[error(
        "the password does not open the key file; check COSIGN_PASSWORD (or the file is damaged)"
    )]
    WrongPassword,
    /// The encrypted file's own JSON is not as cosign writes it.
    #[error("the encrypted key file is damaged: {0}")]
    Sealed(JsonFault),
    /// The encrypted file uses another key derivation or cipher, or values of impossible length.
    #[error("the encrypted key file cannot be read: {reason}")]
    Scheme {
        /// What is different.
        reason: &'static str,
    },
    /// The file asks for more memory or work than any honest key file: refused before it is spent.
    #[error(
        "the encrypted key file asks for scrypt with N={n}, r={r}, p={p}, which is outside what is \
         allowed (N a power of two up to 131072, r up to 8, p up to 4)"
    )]
    Costly {
        /// The work factor.
        n: u64,
        /// The block size.
        r: u32,
        /// The parallelism.
        p: u32,
    },
    /// One chance in 2^32 of all random inputs: zero, or not below the order of the curve.
    #[error("these 32 random bytes do not make a P-256 key; draw again")]
    Random,
    /// The mathematics of a signature failed.
    #[error("the key cannot sign")]
    Sign,
    /// The key cannot be written.
    #[error("the key cannot be written")]
    Write,
}
