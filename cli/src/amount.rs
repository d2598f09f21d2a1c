//! Sizes and spans of time as people write them.

/// Bytes: `20GB`, `512 MiB`, `1000`. Decimal units as disks are sold in, binary ones with an `i`.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let (base, unit) = match unit.to_ascii_lowercase() {
        unit if unit.contains('i') => (1024_u64, unit.replace('i', "")),
        unit => (1000, unit),
    };
    let power = match unit.trim_end_matches('b') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    product(number, base.pow(power))
}

/// Seconds: `90s`, `15m`, `24h`, `7d`, `2w`, also several in a row (`1h30m`).
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let mut sum = 0_i64;
    let mut rest = text.trim();
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = split(rest)?;
        let unit = after.chars().next()?;
        rest = &after[unit.len_utf8()..];
        let length = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        sum = sum.checked_add(i64::try_from(product(number, length)?).ok()?)?;
    }
    Some(sum)
}

/// The number at the beginning, and what follows it.
fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (!number.is_empty()).then_some((number, rest.trim()))
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes and seconds to 15 digits; out of range saturates and is refused"
)]
fn product(number: &str, factor: u64) -> Option<u64> {
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(factor),
        Err(_) => {
            let product = number.parse::<f64>().ok()? * factor as f64;
            (product < 1e18).then_some(product as u64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, wanted) in [
            ("0", 0),
            ("1000", 1000),
            ("20GB", 20_000_000_000),
            ("20g", 20_000_000_000),
            ("1.5 GiB", 1_610_612_736),
            ("512MiB", 536_870_912),
            ("2TB", 2_000_000_000_000),
            ("7kB", 7000),
        ] {
            assert_eq!(bytes(text), Some(wanted), "{text}");
        }
        for text in ["", "GB", "-1", "1XB", "1.2.3", "99999999999TB", "1 GB 2"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn spans() {
        for (text, wanted) in
            [("0", 0), ("24h", 86_400), ("1h30m", 5400), ("7d", 604_800), ("0.5m", 30)]
        {
            assert_eq!(seconds(text), Some(wanted), "{text}");
        }
        for text in ["", "h", "24", "1y", "1h30"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
