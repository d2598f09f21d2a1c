//! JSON with the bytes that Go writes for the same document: the field's tools escape `<`, `>`, `&` and
//! the two line separators of Unicode, and a digest is of bytes.

use std::io;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::ser::{Formatter, Serializer};

/// Writes a document.
///
/// # Errors
/// When a map's key is not text.
pub fn to_vec<T: Serialize>(document: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::new();
    document.serialize(&mut Serializer::with_formatter(&mut bytes, Go))?;
    Ok(bytes)
}

/// Reads a field whose `null` means the same as its absence, as it does to Go.
pub(super) fn or_default<'de, D, T>(field: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(field)?.unwrap_or_default())
}

struct Go;

impl Formatter for Go {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let escaped = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        let mut rest = fragment;
        while let Some(at) = rest.find(escaped) {
            let (plain, behind) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut behind = behind.chars();
            if let Some(c) = behind.next() {
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
            rest = behind.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::to_vec;

    #[test]
    fn the_characters_that_go_escapes() {
        let text = "a<b> && \u{2028}\u{2029}\u{e9}\"\\\n\u{1}\u{8}\u{7f}";
        let bytes = to_vec(&[text]).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "[\"a\\u003cb\\u003e \\u0026\\u0026 \\u2028\\u2029\u{e9}\\\"\\\\\\n\\u0001\\b\u{7f}\"]"
        );
    }
}
