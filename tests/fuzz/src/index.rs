//! Any text is an index that states something, or nothing.

use touchmark_builder::integrity::{Form, Packages, Release, read};

const FORMS: [(Form, &str); 6] = [
    (Form::Simple, "https://index.example/simple/a/"),
    (Form::Json, "https://index.example/a"),
    (Form::Cargo, "https://index.example/a/bc/abcd"),
    (Form::Go, "https://index.example/lookup/a.example/b@v1.0.0"),
    (Form::Gem, "https://index.example/info/a"),
    (Form::Beside, "https://index.example/a/1/a-1.jar.sha1"),
];

/// Tries one input: the first byte chooses the form.
pub fn run(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let packages = Packages::read(rest);
    assert!(packages.is_ok_and(|read| read.len() <= rest.len()));
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let _ = Release::read(text);
    let (form, url) = FORMS[usize::from(*choice) % FORMS.len()];
    let mut told = 0;
    read(form, url, text, &mut |statement| {
        told += 1;
        let _ = statement.about.names(url);
    });
    assert!(told <= rest.len(), "nothing comes of nothing");
}
