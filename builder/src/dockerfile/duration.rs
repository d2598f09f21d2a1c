//! Durations as HEALTHCHECK writes them and as the history shows them (Go's `time.Duration`).

const SECOND: u64 = 1_000_000_000;

/// Reads `1h2m3.5s` and the like, units `ns us µs ms s m h`, to nanoseconds.
/// `None` when it is no duration, is negative or is longer than 292 years.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (amount, behind) = rest.split_at(end);
        let unit_end =
            behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, after) = behind.split_at(unit_end);
        let unit: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            _ => return None,
        };
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(unit)?)?;
        let mut place = unit;
        for digit in fraction.bytes() {
            place /= 10;
            total = total.checked_add(u64::from(digit - b'0') * place)?;
        }
        rest = after;
    }
    i64::try_from(total).is_ok().then_some(total)
}

/// Nanoseconds as Go prints them: `0s`, `1.5ms`, `30s`, `5m0s`, `1h0m0s`.
#[must_use]
pub fn show(nanoseconds: u64) -> String {
    let fraction = |value: u64, unit: u64| {
        let digits = format!("{:0width$}", value % unit, width = unit.ilog10() as usize);
        let digits = digits.trim_end_matches('0');
        let point = if value.is_multiple_of(unit) { "" } else { "." };
        format!("{}{point}{}", value / unit, if point.is_empty() { "" } else { digits })
    };
    match nanoseconds {
        0 => "0s".into(),
        n if n < 1000 => format!("{n}ns"),
        n if n < 1_000_000 => format!("{}µs", fraction(n, 1000)),
        n if n < SECOND => format!("{}ms", fraction(n, 1_000_000)),
        n => {
            let seconds = fraction(n % (60 * SECOND), SECOND);
            match (n / (3600 * SECOND), n / (60 * SECOND) % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        for (text, nanoseconds, shown) in [
            ("0", 0, "0s"),
            ("30s", 30 * SECOND, "30s"),
            ("5m", 300 * SECOND, "5m0s"),
            ("1h", 3600 * SECOND, "1h0m0s"),
            ("1h2m3.5s", 3723 * SECOND + SECOND / 2, "1h2m3.5s"),
            ("1500us", 1_500_000, "1.5ms"),
            (".5s", SECOND / 2, "500ms"),
            ("90s", 90 * SECOND, "1m30s"),
            ("1.05s", 1_050_000_000, "1.05s"),
            ("250ns", 250, "250ns"),
        ] {
            assert_eq!(parse(text), Some(nanoseconds), "{text}");
            assert_eq!(show(nanoseconds), shown);
        }
        for text in ["", "5", "-1s", "1.2.3s", ".s", "1x", "99999999999999h", "s", "1s2"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
