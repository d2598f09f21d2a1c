//! Foreign text made harmless for a terminal: names, log lines and messages may hold control sequences.

/// Replaces control characters (but tab) by their escaped form.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\t' { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// A number of bytes for people: `1.5 MB`, powers of 1000 as Docker prints them.
#[allow(clippy::cast_precision_loss, reason = "shown with two digits")]
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return match unit {
                "B" => format!("{bytes} B"),
                _ => format!("{value:.1} {unit}"),
            };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_do_not_reach_the_terminal() {
        assert_eq!(harmless("a\u{1b}[31mred\r\tb"), "a\\u{1b}[31mred\\r\tb");
    }

    #[test]
    fn sizes() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1500), "1.5 kB");
        assert_eq!(size(180_170_240), "180.2 MB");
    }
}
