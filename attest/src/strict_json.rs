//! JSON as verification needs it: one reading only. RFC 8259, section 4, leaves open what a repeated
//! key means, so two programs can read two statements in the same signed bytes; such a document is
//! refused here. Depth is bounded by the parser (128 levels).

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};

use crate::excerpt::Excerpt;

/// Why a text is not acceptable JSON; the parser's words with their line and column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Excerpt(.0))]
pub struct JsonFault(String);

impl From<serde_json::Error> for JsonFault {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Reads the whole of `bytes` as one `T`, after making sure that no object in it repeats a key.
pub(crate) fn from_slice<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, JsonFault> {
    serde_json::from_slice::<DistinctKeys>(bytes)?;
    Ok(serde_json::from_slice(bytes)?)
}

/// Accepts every JSON value in which each object has distinct keys; keeps nothing.
struct DistinctKeys;

impl<'de> Deserialize<'de> for DistinctKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = DistinctKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<DistinctKeys, E> {
        Ok(DistinctKeys)
    }

    fn visit_i64<E>(self, _: i64) -> Result<DistinctKeys, E> {
        Ok(DistinctKeys)
    }

    fn visit_u64<E>(self, _: u64) -> Result<DistinctKeys, E> {
        Ok(DistinctKeys)
    }

    fn visit_f64<E>(self, _: f64) -> Result<DistinctKeys, E> {
        Ok(DistinctKeys)
    }

    fn visit_str<E>(self, _: &str) -> Result<DistinctKeys, E> {
        Ok(DistinctKeys)
    }

    fn visit_unit<E>(self) -> Result<DistinctKeys, E> {
        Ok(DistinctKeys)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<DistinctKeys, A::Error> {
        while seq.next_element::<DistinctKeys>()?.is_some() {}
        Ok(DistinctKeys)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DistinctKeys, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<DistinctKeys>()?;
            if let Some(key) = seen.replace(key) {
                return Err(A::Error::custom(format_args!("the key '{key}' is there twice")));
            }
        }
        Ok(DistinctKeys)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_repeated_key_is_refused_at_any_depth() {
        let fault = from_slice::<Value>(br#"{"a":[{"b":1,"b":2}]}"#).unwrap_err();
        assert_eq!(fault.to_string(), "the key 'b' is there twice at line 1 column 19");
        assert!(from_slice::<Value>(br#"{"a":{"b":1},"b":[null,true,1.5,-1,"x"]}"#).is_ok());
    }

    #[test]
    fn escapes_do_not_hide_a_repeated_key() {
        assert!(from_slice::<Value>(br#"{"a":1,"\u0061":2}"#).is_err());
    }

    #[test]
    fn depth_and_trailing_bytes_are_bounded() {
        assert!(from_slice::<Value>("[".repeat(100_000).as_bytes()).is_err());
        assert!(from_slice::<Value>(b"{} {}").is_err());
    }
}
