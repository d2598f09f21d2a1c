//! Passwords, tokens and build secrets. Nothing that prints, logs, compares or serialises a [`Secret`]
//! compiles; whoever needs the text says so with [`Secret::expose_secret`], which a search finds.

use std::{fmt, hint::black_box, mem};

use serde::{Deserialize, Deserializer};

/// A text that must not be seen. `Debug` shows a placeholder; there is no `Display`, no `Serialize`, no
/// `PartialEq` (a comparison that stops early tells how much was right) and no `Hash` (it would enter
/// cache keys).
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over; the caller keeps no copy of its own.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. It may go into a request header or a file descriptor, nowhere else.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    /// Is there no text at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl Drop for Secret {
    /// Overwrites the text, so that it is not found in freed memory. Best effort: copies the allocator
    /// made while the text grew are out of reach.
    fn drop(&mut self) {
        let mut bytes = mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        black_box(&bytes);
    }
}

/// The bytes of a build secret, which need not be text. Like [`Secret`], they are not seen.
#[derive(Clone, Default)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes the bytes over; the caller keeps no copy of its own.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves. They may go into a file in a step's memory, nowhere else.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(not shown)")
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.fill(0);
        black_box(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_text_not_even_inside_other_values() {
        let holder = Some(("user", Secret::new("hunter2")));
        assert_eq!(format!("{holder:?}"), r#"Some(("user", Secret(not shown)))"#);
        assert!(!format!("{holder:#?}").contains("hunter2"));
        let bytes = SecretBytes::new(b"hunter2".to_vec());
        assert_eq!(format!("{bytes:?}"), "SecretBytes(not shown)");
    }

    #[test]
    fn the_text_is_there_for_whoever_asks_loudly() {
        let secret: Secret = serde_json::from_str(r#""p:w\u0041""#).unwrap();
        assert_eq!(secret.expose_secret(), "p:wA");
        assert!(!secret.is_empty() && Secret::default().is_empty());
    }
}
