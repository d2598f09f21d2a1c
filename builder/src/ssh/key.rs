//! Private keys of key files: OpenSSH's own format, PKCS#1 and PKCS#8. Encrypted ones are refused: there
//! is nobody to ask for the passphrase.

use std::fmt;

use num_bigint::BigUint;
use ring::{
    rand::SystemRandom,
    rsa::{KeyPairComponents, PublicKeyComponents},
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
    },
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use ssh_key::{
    EcdsaCurve, PrivateKey,
    private::{EcdsaKeypair, KeypairData, RsaKeypair},
};

use super::wire::{put_mpint, put_string};

/// Flags of a sign request: which hash an RSA key uses (RFC 8332).
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;

/// Why a key file is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshKeyError {
    /// Only its passphrase opens it.
    #[error("the key is encrypted")]
    Encrypted,
    /// Neither OpenSSH's format nor PEM.
    #[error("it is not a private key")]
    NoKey,
    /// A kind of key that cannot be served.
    #[error("keys of this kind cannot be used: {0}")]
    Kind(String),
    /// Its numbers do not fit together.
    #[error("the key is damaged: {0}")]
    Damaged(String),
}

impl SshKeyError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Encrypted => {
                "load it into an agent with ssh-add and give --ssh default, or take a key without passphrase"
            }
            Self::NoKey => "name the private key, not the .pub file beside it",
            Self::Kind(_) => "take an Ed25519, ECDSA (P-256, P-384) or RSA (2048 to 4096 bits) key",
            Self::Damaged(_) => "make a new one: ssh-keygen -t ed25519",
        }
    }
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    /// With the name of its curve.
    Ecdsa(&'static str, EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A private key that can sign.
pub struct AgentKey(Pair);

impl fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AgentKey").field(&self.algorithm()).finish()
    }
}

impl AgentKey {
    /// Reads the contents of a key file.
    ///
    /// # Errors
    /// [`SshKeyError`] says why it is of no use.
    pub fn read(file: &[u8]) -> Result<Self, SshKeyError> {
        let text = std::str::from_utf8(file).map_err(|_| SshKeyError::NoKey)?.trim();
        if text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") {
            return Self::openssh(text);
        }
        // The two ways in which PEM files say that they are encrypted.
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(SshKeyError::Encrypted);
        }
        let damaged = |error: ring::error::KeyRejected| SshKeyError::Damaged(error.to_string());
        match PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| SshKeyError::NoKey)? {
            PrivateKeyDer::Pkcs1(der) => {
                let pair = RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(damaged)?;
                Ok(Self(Pair::Rsa(pair)))
            }
            PrivateKeyDer::Pkcs8(der) => Self::pkcs8(der.secret_pkcs8_der()),
            _ => Err(SshKeyError::Kind("a SEC1 file; ssh-keygen -p -f FILE rewrites it".into())),
        }
    }

    fn pkcs8(der: &[u8]) -> Result<Self, SshKeyError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self(Pair::Ed25519(pair)));
        }
        for (curve, algorithm) in CURVES {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(algorithm, der, &SystemRandom::new()) {
                return Ok(Self(Pair::Ecdsa(curve, pair)));
            }
        }
        let rejected = |error: ring::error::KeyRejected| SshKeyError::Kind(error.to_string());
        Ok(Self(Pair::Rsa(RsaKeyPair::from_pkcs8(der).map_err(rejected)?)))
    }

    fn openssh(text: &str) -> Result<Self, SshKeyError> {
        let key = PrivateKey::from_openssh(text)
            .map_err(|error| SshKeyError::Damaged(error.to_string()))?;
        let damaged = |error: ring::error::KeyRejected| SshKeyError::Damaged(error.to_string());
        match key.key_data() {
            KeypairData::Encrypted(_) => Err(SshKeyError::Encrypted),
            KeypairData::Ed25519(pair) => {
                let (seed, public) = (pair.private.as_ref(), pair.public.as_ref());
                let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public);
                Ok(Self(Pair::Ed25519(pair.map_err(damaged)?)))
            }
            KeypairData::Ecdsa(pair) => Self::ecdsa(pair),
            KeypairData::Rsa(pair) => Ok(Self(Pair::Rsa(rsa(pair)?))),
            _ => Err(SshKeyError::Kind(key.algorithm().to_string())),
        }
    }

    fn ecdsa(pair: &EcdsaKeypair) -> Result<Self, SshKeyError> {
        let (curve, algorithm) = match pair.curve() {
            EcdsaCurve::NistP256 => CURVES[0],
            EcdsaCurve::NistP384 => CURVES[1],
            EcdsaCurve::NistP521 => return Err(SshKeyError::Kind("ECDSA on P-521".into())),
        };
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            algorithm,
            pair.private_key_bytes(),
            pair.public_key_bytes(),
            &SystemRandom::new(),
        );
        let pair = pair.map_err(|error| SshKeyError::Damaged(error.to_string()))?;
        Ok(Self(Pair::Ecdsa(curve, pair)))
    }

    fn algorithm(&self) -> String {
        match &self.0 {
            Pair::Ed25519(_) => "ssh-ed25519".into(),
            Pair::Ecdsa(curve, _) => format!("ecdsa-sha2-{curve}"),
            Pair::Rsa(_) => "ssh-rsa".into(),
        }
    }

    /// The public key as the protocol writes it (RFC 4253 section 6.6, RFC 5656, RFC 8709).
    #[must_use]
    pub fn public_blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        put_string(&mut blob, self.algorithm().as_bytes());
        match &self.0 {
            Pair::Ed25519(pair) => put_string(&mut blob, pair.public_key().as_ref()),
            Pair::Ecdsa(curve, pair) => {
                put_string(&mut blob, curve.as_bytes());
                put_string(&mut blob, pair.public_key().as_ref());
            }
            Pair::Rsa(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                put_mpint(&mut blob, &public.e);
                put_mpint(&mut blob, &public.n);
            }
        }
        blob
    }

    /// The signature over `data` as the protocol writes it; none where the key cannot give what the flags
    /// ask for (an RSA signature with SHA-1, which is broken).
    #[must_use]
    pub fn sign(&self, data: &[u8], flags: u32) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        let mut blob = Vec::new();
        match &self.0 {
            Pair::Ed25519(pair) => {
                put_string(&mut blob, self.algorithm().as_bytes());
                put_string(&mut blob, pair.sign(data).as_ref());
            }
            Pair::Ecdsa(_, pair) => {
                let signed = pair.sign(&random, data).ok()?;
                let (r, s) = signed.as_ref().split_at_checked(signed.as_ref().len() / 2)?;
                let mut numbers = Vec::new();
                put_mpint(&mut numbers, r);
                put_mpint(&mut numbers, s);
                put_string(&mut blob, self.algorithm().as_bytes());
                put_string(&mut blob, &numbers);
            }
            Pair::Rsa(pair) => {
                let (name, padding): (&[u8], &'static dyn RsaEncoding) = match flags {
                    flags if flags & RSA_SHA2_512 != 0 => {
                        (b"rsa-sha2-512", &signature::RSA_PKCS1_SHA512)
                    }
                    flags if flags & RSA_SHA2_256 != 0 => {
                        (b"rsa-sha2-256", &signature::RSA_PKCS1_SHA256)
                    }
                    _ => return None,
                };
                let mut signed = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, data, &mut signed).ok()?;
                put_string(&mut blob, name);
                put_string(&mut blob, &signed);
            }
        }
        Some(blob)
    }
}

const CURVES: [(&str, &EcdsaSigningAlgorithm); 2] = [
    ("nistp256", &ECDSA_P256_SHA256_FIXED_SIGNING),
    ("nistp384", &ECDSA_P384_SHA384_FIXED_SIGNING),
];

/// OpenSSH leaves out two of the numbers that the Chinese remainder theorem needs.
fn rsa(pair: &RsaKeypair) -> Result<RsaKeyPair, SshKeyError> {
    let bytes = |number: &ssh_key::Mpint| {
        let positive = number.as_positive_bytes().map(<[u8]>::to_vec);
        positive.ok_or_else(|| SshKeyError::Damaged("a number is negative".into()))
    };
    let (d, p, q) = (bytes(&pair.private.d)?, bytes(&pair.private.p)?, bytes(&pair.private.q)?);
    let exponent = |prime: &[u8]| {
        let below = BigUint::from_bytes_be(prime);
        let one = BigUint::from(1_u32);
        if below <= one {
            return Err(SshKeyError::Damaged("a prime is missing".into()));
        }
        Ok((BigUint::from_bytes_be(&d) % (below - one)).to_bytes_be())
    };
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n: bytes(&pair.public.n)?, e: bytes(&pair.public.e)? },
        dP: exponent(&p)?,
        dQ: exponent(&q)?,
        qInv: bytes(&pair.private.iqmp)?,
        d: d.clone(),
        p,
        q,
    };
    RsaKeyPair::from_components(&components)
        .map_err(|error| SshKeyError::Kind(format!("RSA: {error}")))
}

#[cfg(test)]
mod tests;
