//! The first message of TLS (RFC 8446, section 4.1.2), as far as it names the server (RFC 6066,
//! section 3).

use rustls::server::Acceptor;

/// Bound on a ClientHello, in bytes.
pub(super) const HELLO_BYTES: usize = 16 << 10;

/// A ClientHello that comes in pieces.
#[derive(Default)]
pub struct ClientHello {
    acceptor: Acceptor,
    bytes: Vec<u8>,
}

/// What is known after a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Not enough yet.
    More,
    /// The server's name in lower case.
    Name(String),
    /// No ClientHello, too large a one, one without a name, or nothing more to come.
    Nonsense,
}

impl ClientHello {
    /// Takes the next piece; an empty one is the end of the stream.
    pub fn push(&mut self, piece: &[u8]) -> Heard {
        if piece.is_empty() || self.bytes.len() + piece.len() > HELLO_BYTES {
            return Heard::Nonsense;
        }
        self.bytes.extend_from_slice(piece);
        let mut rest = piece;
        while !rest.is_empty() {
            if self.acceptor.read_tls(&mut rest).is_err() {
                return Heard::Nonsense;
            }
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let name = accepted.client_hello().server_name().map(str::to_ascii_lowercase);
                    return name.map_or(Heard::Nonsense, Heard::Name);
                }
                Err(_) => return Heard::Nonsense,
            }
        }
        Heard::More
    }

    /// All pieces so far, to be passed on.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
