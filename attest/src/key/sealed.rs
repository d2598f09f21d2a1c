//! cosign's encrypted key file: PEM around a JSON document that holds a PKCS#8 key, encrypted with NaCl
//! secretbox under a key that scrypt (RFC 7914) derives from the password.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305, aead::Aead as _};
use p256::{
    elliptic_curve::zeroize::Zeroizing,
    pkcs8::der::pem::{self, LineEnding},
};
use serde::{Deserialize, Serialize};

use super::{KeyError, Password};
use crate::strict_json;

/// The header that is written, then the one of cosign before 2.0.
pub(super) const LABELS: [&str; 2] =
    ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];

const KDF: &str = "scrypt";
const CIPHER: &str = "nacl/secretbox";

/// What is written: 64 MiB of memory, as cosign 3.
const WRITTEN: Scrypt = Scrypt { n: 65_536, r: 8, p: 1 };

/// The bounds of what is read: at most 128 MiB, and four times the work per byte. cosign wrote
/// N=32768 and N=65536, both with r=8 and p=1.
const MOST: Scrypt = Scrypt { n: 131_072, r: 8, p: 4 };

/// Fresh random bytes for one encrypted file.
#[derive(Clone)]
pub struct SealRandom {
    /// The salt of the key derivation.
    pub salt: [u8; 32],
    /// The nonce of the cipher; with the salt fresh, it never meets the same key twice.
    pub nonce: [u8; 24],
}

impl std::fmt::Debug for SealRandom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealRandom(hidden)")
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    params: Scrypt,
    salt: String,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields)]
struct Scrypt {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Encrypts `secret` into a PEM key file.
pub(super) fn seal(
    secret: &[u8],
    password: &Password,
    random: &SealRandom,
) -> Result<String, KeyError> {
    seal_as(LABELS[0], WRITTEN, secret, password, random)
}

fn seal_as(
    label: &str,
    params: Scrypt,
    secret: &[u8],
    password: &Password,
    random: &SealRandom,
) -> Result<String, KeyError> {
    let key = derive(password, &random.salt, params)?;
    let cipher = XSalsa20Poly1305::new((&*key).into());
    let sealed = cipher.encrypt(&random.nonce.into(), secret).map_err(|_| KeyError::Write)?;
    let file = File {
        kdf: Kdf { name: KDF.into(), params, salt: STANDARD.encode(random.salt) },
        cipher: Cipher { name: CIPHER.into(), nonce: STANDARD.encode(random.nonce) },
        ciphertext: STANDARD.encode(sealed),
    };
    let json = serde_json::to_vec(&file).map_err(|_| KeyError::Write)?;
    pem::encode_string(label, LineEnding::LF, &json).map_err(|_| KeyError::Write)
}

/// Decrypts the JSON document of a key file.
pub(super) fn open(json: &[u8], password: &Password) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let file: File = strict_json::from_slice(json).map_err(KeyError::Sealed)?;
    if file.kdf.name != KDF {
        return Err(KeyError::Scheme { reason: "its key derivation is not scrypt" });
    }
    if file.cipher.name != CIPHER {
        return Err(KeyError::Scheme { reason: "its cipher is not nacl/secretbox" });
    }
    let salt = decode(&file.kdf.salt, "its salt is not base64")?;
    let nonce: [u8; 24] = decode(&file.cipher.nonce, "its nonce is not base64")?
        .try_into()
        .map_err(|_| KeyError::Scheme { reason: "its nonce does not have 24 bytes" })?;
    let sealed = decode(&file.ciphertext, "its ciphertext is not base64")?;
    let key = derive(password, &salt, file.kdf.params)?;
    let cipher = XSalsa20Poly1305::new((&*key).into());
    let secret = cipher.decrypt(&nonce.into(), sealed.as_slice());
    secret.map(Zeroizing::new).map_err(|_| KeyError::WrongPassword)
}

fn decode(text: &str, reason: &'static str) -> Result<Vec<u8>, KeyError> {
    STANDARD.decode(text).map_err(|_| KeyError::Scheme { reason })
}

/// RFC 7914. The parameters are the file's, so they are bounded before any memory is taken:
/// 128 * N * r bytes.
fn derive(
    password: &Password,
    salt: &[u8],
    Scrypt { n, r, p }: Scrypt,
) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let costly = KeyError::Costly { n, r, p };
    let bounded = (2..=MOST.n).contains(&n)
        && n.is_power_of_two()
        && (1..=MOST.r).contains(&r)
        && (1..=MOST.p).contains(&p);
    let log_n = u8::try_from(n.trailing_zeros()).ok().filter(|_| bounded).ok_or(costly.clone())?;
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| costly.clone())?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(password.bytes(), salt, &params, &mut *key).map_err(|_| costly)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{PrivateKey, PublicKey};

    const COSIGN_KEY: &str = include_str!("../../golden/cosign/cosign.key");
    const COSIGN_PUB: &str = include_str!("../../golden/cosign/cosign.pub");
    const RANDOM: SealRandom = SealRandom { salt: [1; 32], nonce: [2; 24] };

    /// A cheap file, so that the many tests below stay quick.
    fn cheap(label: &str, edit: impl Fn(&str) -> String) -> String {
        let secret = PrivateKey::from_random(&[7; 32]).unwrap().to_pkcs8().unwrap();
        let params = Scrypt { n: 16, r: 8, p: 1 };
        let pem = seal_as(label, params, secret.as_bytes(), &Password::new("p"), &RANDOM).unwrap();
        let (_, json) = pem::decode_vec(pem.as_bytes()).unwrap();
        let json = edit(std::str::from_utf8(&json).unwrap());
        pem::encode_string(label, LineEnding::LF, json.as_bytes()).unwrap()
    }

    fn reason(pem: &str) -> String {
        PrivateKey::from_pem(pem, Some(&Password::new("p"))).unwrap_err().to_string()
    }

    #[test]
    fn a_key_file_made_by_cosign_opens_to_its_public_key() {
        let key = PrivateKey::from_pem(COSIGN_KEY, Some(&Password::new("pencil"))).unwrap();
        assert_eq!(key.public(), &PublicKey::from_pem(COSIGN_PUB).unwrap());
    }

    #[test]
    fn a_wrong_password_and_a_missing_one_have_their_own_errors() {
        let wrong = PrivateKey::from_pem(COSIGN_KEY, Some(&Password::new("pen"))).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "the password does not open the key file; check COSIGN_PASSWORD (or the file is damaged)"
        );
        assert_eq!(
            PrivateKey::from_pem(COSIGN_KEY, None).unwrap_err().to_string(),
            "the key file is encrypted and no password was given; set COSIGN_PASSWORD"
        );
    }

    #[test]
    fn what_is_written_has_cosigns_form_and_opens_again() {
        let key = PrivateKey::from_random(&[7; 32]).unwrap();
        let pem = key.to_sealed_pem(&Password::new("p"), &RANDOM).unwrap();
        let (label, json) = pem::decode_vec(pem.as_bytes()).unwrap();
        assert_eq!(label, "ENCRYPTED SIGSTORE PRIVATE KEY");
        let start = r#"{"kdf":{"name":"scrypt","params":{"N":65536,"r":8,"p":1},"salt":"AQEB"#;
        assert!(json.starts_with(start.as_bytes()), "{}", String::from_utf8_lossy(&json));
        let again = PrivateKey::from_pem(&pem, Some(&Password::new("p"))).unwrap();
        assert_eq!(again.public(), key.public());
    }

    #[test]
    fn the_older_header_and_work_factor_open_too() {
        let secret = PrivateKey::from_random(&[7; 32]).unwrap().to_pkcs8().unwrap();
        let params = Scrypt { n: 32_768, r: 8, p: 1 };
        let old = seal_as(LABELS[1], params, secret.as_bytes(), &Password::new("p"), &RANDOM);
        assert!(PrivateKey::from_pem(&old.unwrap(), Some(&Password::new("p"))).is_ok());
    }

    #[test]
    fn parameters_that_would_exhaust_the_machine_are_refused_at_once() {
        for params in [
            r#""N":1099511627776,"r":8,"p":1"#,
            r#""N":262144,"r":8,"p":1"#,
            r#""N":65536,"r":4294967295,"p":1"#,
            r#""N":65536,"r":8,"p":1000000"#,
            r#""N":65535,"r":8,"p":1"#,
            r#""N":0,"r":0,"p":0"#,
        ] {
            let pem = cheap(LABELS[0], |json| json.replace(r#""N":16,"r":8,"p":1"#, params));
            let shown = params.replace(['"', ':'], "=").replace("==", "=").replace(",=", ", ");
            let shown = shown.trim_start_matches('=');
            assert_eq!(
                reason(&pem),
                format!(
                    "the encrypted key file asks for scrypt with {shown}, which is outside what is allowed (N a power of two up to 131072, r up to 8, p up to 4)"
                )
            );
        }
    }

    #[test]
    fn damaged_files_are_refused_with_their_reason() {
        let case = |from: &str, to: &str| reason(&cheap(LABELS[0], |json| json.replace(from, to)));
        assert_eq!(
            case("\"scrypt\"", "\"argon2id\""),
            "the encrypted key file cannot be read: its key derivation is not scrypt"
        );
        assert_eq!(
            case("nacl/secretbox", "aes"),
            "the encrypted key file cannot be read: its cipher is not nacl/secretbox"
        );
        assert_eq!(
            case("AgICAgIC\"", "\""),
            "the encrypted key file cannot be read: its nonce does not have 24 bytes"
        );
        assert_eq!(
            case("\"salt\":\"", "\"salt\":\"*"),
            "the encrypted key file cannot be read: its salt is not base64"
        );
        assert_eq!(
            case("{\"kdf\"", "{\"more\":1,\"kdf\""),
            "the encrypted key file is damaged: unknown field `more`, expected one of `kdf`, `cipher`, `ciphertext` at line 1 column 7"
        );
        assert!(
            reason(&cheap(LABELS[0], |json| json.replace("AQEB", "AQEC"))).contains("password")
        );
    }
}
