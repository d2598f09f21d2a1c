//! Public keys (section 5.5).

use std::fmt;

use ring::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, digest},
    signature::{
        ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
    },
};

use super::{
    armor::octets,
    packet::{integer, packets},
    signature::{Hashing, Signature},
};

/// Keys that are read of one file.
const KEYS: usize = 1000;
/// Ed25519 as version 4 keys named it first: its object identifier with its length.
const OLD_ED25519: &[u8] = &[9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1];

/// A public key or subkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    fingerprint: [u8; 20],
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ed25519([u8; 32]),
}

/// The keys and subkeys of a key file, armoured or not, of the kinds that are known here.
#[must_use]
pub fn public_keys(file: &[u8]) -> Vec<PublicKey> {
    let octets = octets(file);
    let keys = packets(&octets).filter(|(kind, _)| matches!(kind, 6 | 14));
    keys.filter_map(|(_, body)| PublicKey::read(body)).take(KEYS).collect()
}

impl PublicKey {
    fn read(body: &[u8]) -> Option<Self> {
        let [4, _, _, _, _, algorithm, rest @ ..] = body else { return None };
        let material = match algorithm {
            1 | 3 => {
                let (modulus, rest) = integer(rest)?;
                let (exponent, _) = integer(rest)?;
                Material::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() }
            }
            22 => {
                let (point, _) = integer(rest.strip_prefix(OLD_ED25519)?)?;
                Material::Ed25519(point.strip_prefix(&[0x40])?.try_into().ok()?)
            }
            27 => Material::Ed25519(rest.get(..32)?.try_into().ok()?),
            _ => return None,
        };
        let length = u16::try_from(body.len()).ok()?.to_be_bytes();
        let whole = [&[0x99], &length[..], body].concat();
        let fingerprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, &whole).as_ref().try_into().ok()?;
        Some(Self { fingerprint, material })
    }

    /// Its fingerprint (section 5.5.4), in capital hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode_upper(self.fingerprint)
    }

    /// Did it make `signature` over `text`?
    #[must_use]
    pub fn made(&self, signature: &Signature, text: &[u8]) -> bool {
        if !signature.may_be_by(&self.fingerprint) {
            return false;
        }
        let signed = signature.signed(text);
        match (&self.material, signature.values()) {
            (Material::Rsa { modulus, exponent }, [value, ..]) => {
                let parameters = match signature.hashing() {
                    Hashing::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                    Hashing::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
                    Hashing::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
                };
                let Some(value) = padded(value, modulus.len()) else { return false };
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(parameters, &signed, &value).is_ok()
            }
            (Material::Ed25519(point), values) => {
                let value = match values {
                    [r, s] => padded(r, 32).zip(padded(s, 32)).map(|(r, s)| [r, s].concat()),
                    [whole] => Some(whole.clone()),
                    _ => None,
                };
                let Some(value) = value else { return false };
                let digest = digest(signature.hashing().ring(), &signed);
                UnparsedPublicKey::new(&ED25519, point).verify(digest.as_ref(), &value).is_ok()
            }
            _ => false,
        }
    }
}

/// Integers are written without leading zeros.
fn padded(value: &[u8], length: usize) -> Option<Vec<u8>> {
    let missing = length.checked_sub(value.len())?;
    Some([&vec![0; missing], value].concat())
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}
