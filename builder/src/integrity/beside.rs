//! Maven's hashes: a file of the same name with another ending beside each file.

use super::{
    digest_of::{Algorithm, Hash},
    statement::{About, Statement},
};

const ENDINGS: [(&str, Algorithm); 3] =
    [(".sha1", Algorithm::Sha1), (".sha256", Algorithm::Sha256), (".sha512", Algorithm::Sha512)];

/// Is it the path of such a file in the layout of Maven: `…/artifact/version/artifact-…`?
pub(super) fn is_beside(segments: &[&str]) -> bool {
    let [.., artifact, _, file] = segments else { return false };
    let named = file.strip_prefix(artifact).is_some_and(|rest| rest.starts_with('-'));
    named && ENDINGS.iter().any(|(ending, _)| file.ends_with(ending))
}

/// Tells `tell` the hash that was fetched from `url`: the text's first word.
pub(super) fn read(url: &str, text: &str, tell: &mut dyn FnMut(Statement)) {
    let named =
        ENDINGS.iter().find_map(|(end, algorithm)| Some((url.strip_suffix(end)?, algorithm)));
    let Some((file, algorithm)) = named else { return };
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    if let Some(hash) = Hash::hex(*algorithm, word) {
        tell(Statement { about: About::Url(file.to_owned()), hash });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_stands_beside_its_file() {
        let url = "https://m.example/maven2/org/example/tool/1.0/tool-1.0.jar";
        let path = |url: &str| is_beside(&url.split('/').collect::<Vec<_>>());
        assert!(
            path(&format!("{url}.sha1")) && !path(url) && !path("https://x/a/b/c-1.0.jar.sha1")
        );
        let mut all = Vec::new();
        let sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        read(&format!("{url}.sha1"), &format!("{sha1}  tool-1.0.jar\n"), &mut |one| all.push(one));
        read(&format!("{url}.sha256"), sha1, &mut |one| all.push(one));
        let hash = Hash::hex(Algorithm::Sha1, sha1).unwrap();
        assert_eq!(all, [Statement { about: About::Url(url.into()), hash }]);
    }
}
