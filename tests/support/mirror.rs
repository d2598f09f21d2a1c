//! A mirror on loopback that speaks TLS and never waits for a disk: what it serves is noise of the wanted size.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivatePkcs8KeyDer,
};

/// Bytes of noise, which repeat: more than any window of compression.
const NOISE: usize = 16 << 20;

/// How long an answer is under way from a mirror that is not in the same house.
const FAR: Duration = Duration::from_millis(10);

/// Bytes a second over a link of 1 Gbit/s.
const GIGABIT: f64 = 125e6;

/// Serves until the process ends, over HTTP/1.1 with connections that are kept.
pub struct Mirror {
    port: u16,
    authority: String,
}

impl Mirror {
    /// Answers `/large/ANY/BYTES` with so many bytes, `/gigabit/ANY/BYTES` with them at 1 Gbit/s, and `/small/ANY/NUMBER` with 5 to 50 kB, by the number;
    /// `/far/ANY/NUMBER` with the same, 10 ms later.
    #[must_use]
    pub fn start() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate that is issued by its own name for one without an authority.
        params.distinguished_name.push(DnType::CommonName, "authority of the mirror");
        let key = KeyPair::generate().expect("a key");
        let authority = params.self_signed(&key).expect("a certificate").pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
        let leaf = leaf.signed_by(&key, &issuer).expect("a certificate").der().clone();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![leaf], PrivatePkcs8KeyDer::from(key.serialize_der()).into());
        let config = Arc::new(config.expect("the key fits"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("bound").port();
        let noise: Arc<[u8]> = noise().into();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, noise) = (config.clone(), noise.clone());
                thread::spawn(move || serve(stream, config, &noise));
            }
        });
        Self { port, authority }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The authority's certificate (PEM).
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(NOISE);
    while bytes.len() < NOISE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, noise: &[u8]) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut connection = ServerConnection::new(config).ok()?;
    connection.set_buffer_limit(Some(1 << 20));
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    loop {
        let (mut first, mut line) = (String::new(), String::new());
        if reader.read_line(&mut first).ok()? == 0 {
            return None;
        }
        while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
            line.clear();
        }
        answer(reader.get_mut(), first.split(' ').nth(1)?, noise).ok()?;
    }
}

fn answer(stream: &mut impl Write, path: &str, noise: &[u8]) -> io::Result<()> {
    let mut parts = path.split('/').skip(1);
    let (kind, round, last) = (parts.next(), parts.next(), parts.next());
    let last: usize = last.and_then(|last| last.parse().ok()).unwrap_or_default();
    // Other bytes each time: nothing of them is in a store already.
    let of_round =
        round.and_then(|round| round.parse::<usize>().ok()).unwrap_or_default() * 104_729;
    let (mut at, mut left) = match kind {
        Some("large" | "gigabit") => (of_round % NOISE, last),
        Some("small" | "far") => ((last * 4099 + of_round) % NOISE, 5_000 + last * 7919 % 45_000),
        _ => return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    };
    if kind == Some("far") {
        thread::sleep(FAR);
    }
    let tag = round.unwrap_or_default();
    let mut piece = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nETag: \"{tag}-{last}\"\r\nContent-Length: {left}\r\n\r\n"
    )
    .into_bytes();
    let (began, all) = (Instant::now(), left);
    while left > 0 || !piece.is_empty() {
        if kind == Some("gigabit") {
            let due = Duration::from_secs_f64((all - left) as f64 / GIGABIT);
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
        let more = left.min(256 << 10).min(noise.len() - at);
        piece.extend_from_slice(&noise[at..at + more]);
        stream.write_all(&piece)?;
        piece.clear();
        left -= more;
        at = (at + more) % noise.len();
    }
    stream.flush()
}
