//! Any text is a path, an address, or a fault; an address shows no password, and git takes no part of it for
//! an option.

use touchmark_builder::remote::{GitAddress, NamedSource, Remote, without_password};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = without_password(text);
    for found in [Remote::parse(text), Remote::parse_context(text)] {
        match found {
            Ok(Some(Remote::Git(git))) => check(&git, text),
            Ok(Some(Remote::Http(_)) | None) => {}
            Err(fault) => assert!(!fault.to_string().is_empty()),
        }
    }
    if let Err(fault) = NamedSource::parse(text) {
        assert!(!fault.to_string().is_empty());
    }
}

fn check(git: &GitAddress, text: &str) {
    for part in [git.reference.as_deref(), Some(git.host.as_str()), Some(git.path.as_str())] {
        assert!(!part.is_some_and(|part| part.starts_with('-')), "{text:?}");
    }
    assert!(!git.subdir.split('/').any(|part| part == ".."), "{text:?}");
    assert!(!git.url_with_credentials().contains(char::is_control), "{text:?}");
    if let Ok(below) = git.submodule(text) {
        assert!(!below.host.starts_with('-'), "{text:?}");
    }
}
