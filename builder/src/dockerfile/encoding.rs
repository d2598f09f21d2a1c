//! From the bytes of a Dockerfile to its text.

use super::{diagnostic::Diagnostic, span::Span};

/// Why bytes are no text, and how they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotText {
    /// The bytes with a replacement character where they are not UTF-8, for the excerpt.
    pub shown: String,
    /// Where the first of them stands.
    pub fault: Diagnostic,
}

/// Reads a Dockerfile as UTF-8.
///
/// # Errors
/// The place of the first byte that is not, unless there is a NUL byte: then the file is binary.
pub fn text(bytes: Vec<u8>) -> Result<String, Box<NotText>> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let shown = String::from_utf8_lossy(bytes).into_owned();
        let fault = super::parse::not_text(&shown).unwrap_or_else(|| {
            let line = bytes[..valid].iter().filter(|b| **b == b'\n').count() + 1;
            let begin = bytes[..valid].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            let before = String::from_utf8_lossy(&bytes[begin..valid]);
            let column = before.trim_start_matches('\u{feff}').chars().count() + 1;
            let byte = bytes.get(valid).copied().unwrap_or_default();
            Diagnostic::new(
                Span::on_line(line, column, column + 1),
                format!("the byte 0x{byte:02x} is not UTF-8 text"),
            )
            .help("save the file as UTF-8, or name the Dockerfile with --file")
        });
        Box::new(NotText { shown, fault })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::excerpt;

    fn told(bytes: &[u8]) -> String {
        let NotText { shown, fault } = *text(bytes.to_vec()).unwrap_err();
        excerpt("Dockerfile", &shown, &fault)
    }

    #[test]
    fn the_first_wrong_byte_is_shown() {
        assert_eq!(text(b"FROM \xc3\xa9".to_vec()).unwrap(), "FROM é");
        assert_eq!(
            told(b"FROM debian\nLABEL name=\"caf\xe9\" x=y\n"),
            "error: the byte 0xe9 is not UTF-8 text\n --> Dockerfile:2:16\n  |\n\
             2 | LABEL name=\"caf\u{fffd}\" x=y\n  |                ^\n  \
             = help: save the file as UTF-8, or name the Dockerfile with --file\n"
        );
    }

    #[test]
    fn a_binary_file_is_called_so() {
        let told = told(b"\x7fELF\x02\x00\xff\xfe");
        assert!(told.starts_with("error: this is a binary file, not a Dockerfile\n"), "{told}");
    }
}
