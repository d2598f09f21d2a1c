//! The compact index of Ruby: `/info/NAME`, one line for each version: `VERSION DEPENDENCIES|checksum:HEX,…`.

use super::{
    digest_of::{Algorithm, Hash},
    statement::{About, Statement},
};

/// Tells `tell` the hash of each version of the gem whose page was fetched from `base`.
pub(super) fn read(base: &str, text: &str, tell: &mut dyn FnMut(Statement)) {
    let Some((root, name)) = base.split_once("/info/") else { return };
    for line in text.lines() {
        let Some((version, rest)) = line.split_once(' ') else { continue };
        let Some((_, facts)) = rest.split_once('|') else { continue };
        let checksum = facts.split(',').find_map(|fact| fact.strip_prefix("checksum:"));
        let hash = checksum.and_then(|hex| Hash::hex(Algorithm::Sha256, hex));
        if let Some(hash) = hash {
            let about = About::Url(format!("{root}/gems/{name}-{version}.gem"));
            tell(Statement { about, hash });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_states_the_hash_of_a_version() {
        let a = "aa".repeat(32);
        let text = format!(
            "---\n1.0.0 rack:>= 1|checksum:{a},ruby:>= 2\n1.1.0-java |checksum:{a}\n1.2.0 |ruby:>= 2\n1\n"
        );
        let mut all = Vec::new();
        read("https://gems.example/info/left", &text, &mut |statement| all.push(statement));
        let about: Vec<_> = all.into_iter().map(|one| one.about).collect();
        assert_eq!(
            about,
            [
                About::Url("https://gems.example/gems/left-1.0.0.gem".into()),
                About::Url("https://gems.example/gems/left-1.1.0-java.gem".into())
            ]
        );
    }
}
