//! The signature of an image, in the form of cosign 3: a statement that says nothing but "this image".

use serde::{Deserialize, Serialize};

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";

/// The predicate: an empty object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CosignSign {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_is_written() {
        assert_eq!(serde_json::to_string(&CosignSign {}).unwrap(), "{}");
    }
}
