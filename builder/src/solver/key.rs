//! Cache keys: the digest of everything that can change what a step produces, and of nothing else.
//!
//! | input | enters the key? |
//! |---|---|
//! | the parent's layers, by content | yes |
//! | arguments, environment, work directory, user, platform of a RUN | yes |
//! | heredoc files | yes |
//! | what COPY and ADD copy, by content, mode and name | yes |
//! | owner, mode and destination of a COPY | yes |
//! | SOURCE_DATE_EPOCH | yes: it is in the layer's time stamps |
//! | network mode and security mode of a RUN | yes |
//! | `--add-host`, `--shm-size`, `--ulimit` | yes |
//! | `RUN --mount=type=bind`: the content that is mounted, its place | yes |
//! | `RUN --mount=type=cache`, `tmpfs`, `secret`, `ssh`: place, id and options | yes |
//! | what is in a cache | no: a step must not depend on it |
//! | the allowlist | no: a hit is checked against it request by request |
//! | proxy arguments | no: they are no part of the result by contract |
//! | values of secrets, keys and agents, build authority, resolver address | no |
//! | time stamps, inode numbers, path of the context | no |
//! | stage names, line numbers, comments | no |

use serde::Serialize;

use crate::oci::digest::Digest;

/// Digest of a step's inputs. `kind` keeps the kinds of steps apart; the version number changes when
/// the meaning of a step changes.
///
/// # Errors
/// Never for the structs of this crate; JSON refuses only maps with keys that are not text.
pub fn key<T: Serialize>(
    kind: &str,
    parent: &[Digest],
    epoch: i64,
    inputs: &T,
) -> Result<Digest, serde_json::Error> {
    const VERSION: u32 = 2;
    Ok(Digest::of(&serde_json::to_vec(&(VERSION, kind, parent, epoch, inputs))?))
}

/// The name of a stack of layers (OCI image-spec, config.md, "Layer ChainID").
#[must_use]
pub fn chain_id(layers: &[Digest]) -> Option<Digest> {
    let (first, rest) = layers.split_first()?;
    Some(rest.iter().fold(*first, |chain, layer| Digest::of(format!("{chain} {layer}").as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_id_follows_the_specification() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(chain_id(&[]), None);
        assert_eq!(chain_id(&[a]), Some(a));
        assert_eq!(chain_id(&[a, b]), Some(Digest::of(format!("{a} {b}").as_bytes())));
    }

    #[test]
    fn each_input_changes_the_key() {
        let parent = [Digest::of(b"base")];
        let keys = [
            key("run", &parent, 0, &["true"]).unwrap(),
            key("copy", &parent, 0, &["true"]).unwrap(),
            key("run", &[], 0, &["true"]).unwrap(),
            key("run", &parent, 1, &["true"]).unwrap(),
            key("run", &parent, 0, &["false"]).unwrap(),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(!keys[at + 1..].contains(one));
        }
    }
}
