//! A moment as provenance writes it. It is given from outside: this crate has no clock.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use crate::excerpt::Excerpt;

/// A moment, written in UTC to the second (RFC 3339): `2026-01-31T12:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(OffsetDateTime);

/// Not a moment of the years 0 to 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not an RFC 3339 time", Excerpt(.0))]
pub struct TimestampError(String);

impl Timestamp {
    /// The moment `seconds` after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// Outside the years 0 to 9999.
    pub fn from_unix(seconds: i64) -> Result<Self, TimestampError> {
        OffsetDateTime::from_unix_timestamp(seconds)
            .ok()
            .filter(|moment| (0..=9999).contains(&moment.year()))
            .map(Self)
            .ok_or_else(|| TimestampError(seconds.to_string()))
    }

    /// Seconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0.unix_timestamp()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.0.date(), self.0.time());
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        let (hour, minute, second) = time.as_hms();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimestampError;

    fn try_from(text: String) -> Result<Self, TimestampError> {
        match OffsetDateTime::parse(&text, &Rfc3339) {
            Ok(moment) => Self::from_unix(moment.to_offset(UtcOffset::UTC).unix_timestamp()),
            Err(_) => Err(TimestampError(text)),
        }
    }
}

impl From<Timestamp> for String {
    fn from(moment: Timestamp) -> Self {
        moment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_in_utc_and_read_from_any_offset() {
        assert_eq!(Timestamp::from_unix(0).unwrap().to_string(), "1970-01-01T00:00:00Z");
        let read = Timestamp::try_from("2026-01-31T13:00:00.25+01:00".to_owned()).unwrap();
        assert_eq!(read.to_string(), "2026-01-31T12:00:00Z");
        assert_eq!(Timestamp::from_unix(read.unix()).unwrap(), read);
        let fault = Timestamp::try_from("yesterday".to_owned()).unwrap_err();
        assert_eq!(fault.to_string(), "'yesterday' is not an RFC 3339 time");
        assert!(Timestamp::from_unix(i64::MAX).is_err());
    }
}
