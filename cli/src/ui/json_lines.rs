//! Lines of JSON for `--progress rawjson`: each has a type and a time.

use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// RFC 3339, UTC, with milliseconds.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Writes objects with the time of a clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonLines {
    clock: fn() -> OffsetDateTime,
}

impl JsonLines {
    /// With the time of day.
    pub(crate) fn now() -> Self {
        Self { clock: OffsetDateTime::now_utc }
    }

    /// With a clock of its own, for tests.
    #[cfg(test)]
    pub(crate) fn with_clock(clock: fn() -> OffsetDateTime) -> Self {
        Self { clock }
    }

    /// `{"type":…,"time":…,…}` with the line end.
    pub(crate) fn line(self, kind: &str, fields: Value) -> Vec<u8> {
        let mut object = Map::new();
        object.insert("type".into(), kind.into());
        object.insert("time".into(), (self.clock)().format(TIME).unwrap_or_default().into());
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        let mut line = Value::Object(object).to_string().into_bytes();
        line.push(b'\n');
        line
    }
}
