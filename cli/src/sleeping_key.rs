//! A private key that is opened when something has to be signed. Opening one takes as long as a guess at its
//! password shall take, which is longer than a whole build in which nothing changed; such a build publishes
//! what was signed before, and for that the public key is enough.

use std::{
    fmt, fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use tokio_util::sync::CancellationToken;
use touchmark_attest::{
    key::{KeyError, Password, PrivateKey, PublicKey},
    sign::{SignError, Signer},
};
use touchmark_builder::{
    oci::digest::Digest,
    solver::event::{Event, Observer},
};

/// A key whose public half is known.
pub(crate) struct SleepingKey {
    sealed: String,
    password: Password,
    public: PublicKey,
    memo: PublicKeys,
    opened: OnceLock<Result<PrivateKey, KeyError>>,
}

impl fmt::Debug for SleepingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SleepingKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SleepingKey {
    /// The key of this file, which is `sealed` with `password`; `None` where it was never opened before.
    pub(crate) fn of(sealed: &str, password: &Password, memo: &PublicKeys) -> Option<Self> {
        Some(Self {
            public: memo.get(sealed)?,
            sealed: sealed.to_owned(),
            password: password.clone(),
            memo: memo.clone(),
            opened: OnceLock::new(),
        })
    }

    /// Why it could not be opened, if that was tried.
    pub(crate) fn failure(&self) -> Option<&KeyError> {
        self.opened.get()?.as_ref().err()
    }

    fn open(&self) -> Result<&PrivateKey, &KeyError> {
        let open = || PrivateKey::from_pem(&self.sealed, Some(&self.password));
        let opened = self.opened.get_or_init(open).as_ref();
        if opened.is_ok_and(|key| *key.public() != self.public) {
            // The memo is damaged; the signature will not pass, and the next build asks the key itself.
            self.memo.forget(&self.sealed);
        }
        opened
    }
}

impl Signer for SleepingKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let backend = |error: &KeyError| SignError::Backend(error.to_string());
        let key = self.open().map_err(backend)?;
        PrivateKey::sign(key, message).map_err(|error| backend(&error))
    }
}

/// Opens the key while the first step runs, so that nobody waits for it later, and ends the build early when
/// its password is wrong.
pub(crate) struct Waker {
    inner: Arc<dyn Observer>,
    key: Arc<SleepingKey>,
    cancel: CancellationToken,
    begun: OnceLock<()>,
}

impl Waker {
    /// Tells `inner` everything.
    pub(crate) fn new(
        inner: Arc<dyn Observer>,
        key: Arc<SleepingKey>,
        cancel: CancellationToken,
    ) -> Self {
        Self { inner, key, cancel, begun: OnceLock::new() }
    }
}

impl Observer for Waker {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Started(_)) && self.begun.set(()).is_ok() {
            let (key, cancel) = (self.key.clone(), self.cancel.clone());
            std::thread::spawn(move || {
                if key.open().is_err() {
                    cancel.cancel();
                }
            });
        }
        self.inner.event(event);
    }
}

/// The public halves of key files that were opened here, by the digest of the file.
#[derive(Debug, Clone)]
pub(crate) struct PublicKeys(PathBuf);

impl PublicKeys {
    /// Kept below `data`.
    pub(crate) fn new(data: &Path) -> Self {
        Self(data.join("public-keys"))
    }

    fn get(&self, sealed: &str) -> Option<PublicKey> {
        PublicKey::from_pem(&fs::read_to_string(self.file(sealed)).ok()?).ok()
    }

    /// Remembers it. What cannot be kept costs the next build the time to open the key.
    pub(crate) fn put(&self, sealed: &str, public: &PublicKey) {
        let write = || -> Option<()> {
            fs::create_dir_all(&self.0).ok()?;
            let mut file = tempfile::NamedTempFile::new_in(&self.0).ok()?;
            file.write_all(public.to_pem().ok()?.as_bytes()).ok()?;
            file.persist(self.file(sealed)).ok().map(drop)
        };
        let _ = write();
    }

    fn forget(&self, sealed: &str) {
        let _ = fs::remove_file(self.file(sealed));
    }

    fn file(&self, sealed: &str) -> PathBuf {
        self.0.join(Digest::of(sealed.as_bytes()).hex())
    }
}

#[cfg(test)]
mod tests {
    use touchmark_attest::key::SealRandom;

    use super::*;

    fn sealed(byte: u8, password: &Password) -> (String, PublicKey) {
        let key = PrivateKey::from_random(&[byte; 32]).unwrap();
        let random = SealRandom { salt: [1; 32], nonce: [2; 24] };
        (key.to_sealed_pem(password, &random).unwrap(), key.public().clone())
    }

    #[test]
    fn asleep_it_has_a_public_key_and_it_wakes_to_sign() {
        let dir = tempfile::tempdir().unwrap();
        let (memo, password) = (PublicKeys::new(dir.path()), Password::new(*b"p"));
        let (text, public) = sealed(1, &password);
        assert!(SleepingKey::of(&text, &password, &memo).is_none());
        memo.put(&text, &public);
        let key = SleepingKey::of(&text, &password, &memo).unwrap();
        assert_eq!(*key.public_key(), public);
        assert!(key.opened.get().is_none());
        let signature = Signer::sign(&key, b"message").unwrap();
        assert!(public.verify(b"message", &signature).is_ok());
        assert!(key.failure().is_none());
    }

    #[test]
    fn a_wrong_password_and_a_damaged_memo_show_when_it_wakes() {
        let dir = tempfile::tempdir().unwrap();
        let (memo, password) = (PublicKeys::new(dir.path()), Password::new(*b"p"));
        let (text, public) = sealed(1, &password);
        memo.put(&text, &public);
        let wrong = SleepingKey::of(&text, &Password::new(*b"q"), &memo).unwrap();
        assert!(Signer::sign(&wrong, b"message").is_err());
        assert_eq!(wrong.failure(), Some(&KeyError::WrongPassword));

        memo.put(&text, &sealed(2, &password).1);
        let other = SleepingKey::of(&text, &password, &memo).unwrap();
        let signature = Signer::sign(&other, b"message").unwrap();
        assert!(other.public_key().verify(b"message", &signature).is_err());
        assert!(SleepingKey::of(&text, &password, &memo).is_none(), "forgotten");
    }
}
