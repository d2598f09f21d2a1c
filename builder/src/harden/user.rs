//! The user that the image's process begins as.

/// Is it root? `user` is the configuration's `User`: a name or a number, with or without `:group`
/// (image-spec, config.md); empty means root. A name that the image's own /etc/passwd maps to 0 is not
/// seen through.
pub(crate) fn is_root(user: &str) -> bool {
    let name = user.split(':').next().unwrap_or_default().trim();
    name.is_empty() || name == "root" || name.parse::<u64>() == Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_many_names() {
        for user in ["", "root", "0", "00", "0:0", "root:staff", "0:1000", ":5"] {
            assert!(is_root(user), "{user}");
        }
        for user in ["1", "app", "65532:65532", "rooter", "1000:0"] {
            assert!(!is_root(user), "{user}");
        }
    }
}
