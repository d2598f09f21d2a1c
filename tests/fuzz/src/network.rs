//! What a step sends: DNS messages, git's questions, ClientHellos whole and in pieces; and the addresses it asks for.

use touchmark_builder::{
    egress::{
        client_hello::{ClientHello, Heard},
        dns_message::{Answer, reply},
        wanted::commits,
    },
    purl::of_download,
};

/// What is heard of the bytes in pieces of this length.
fn heard(bytes: &[u8], length: usize) -> Heard {
    let mut hello = ClientHello::default();
    for piece in bytes.chunks(length) {
        match hello.push(piece) {
            Heard::More => {}
            done => return done,
        }
    }
    hello.push(&[])
}

/// Tries one input.
pub fn run(bytes: &[u8]) {
    for answer in [Answer::Address([198, 18, 0, 1].into()), Answer::Unknown, Answer::Failed] {
        let told = reply(bytes, |name| {
            assert_eq!(name, name.to_ascii_lowercase());
            answer
        });
        if let Some(told) = told {
            assert_eq!(told[..2], bytes[..2], "the reply has the query's number");
            assert!(reply(&told, |_| answer).is_none(), "a reply gets no reply");
        }
    }
    if let Heard::Name(name) = heard(bytes, bytes.len().max(1)) {
        assert_eq!(heard(bytes, 1), Heard::Name(name));
    }
    for told in [commits(bytes, false), commits(bytes, true)].into_iter().flatten() {
        let ids: Vec<&str> = told.split(' ').collect();
        assert!(ids.is_sorted() && ids.iter().all(|id| matches!(id.len(), 40 | 64)), "{told}");
        assert!(told.bytes().all(|byte| byte == b' ' || byte.is_ascii_hexdigit()), "{told}");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(purl) = of_download(text) {
        assert!(purl.is_ascii() && purl.starts_with("pkg:"), "{purl}");
    }
}
