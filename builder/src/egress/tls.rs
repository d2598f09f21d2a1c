//! TLS from a step: opened with a certificate of the build's own authority, so that each request is seen, or passed
//! through by server name where the policy wants that.

use std::{
    io::{self, IoSlice},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls::{AlertDescription, Error as TlsError};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::policy::{
    mirror::{Scheme, Target, Tls},
    network::Decision,
};

use super::{
    client_hello::{ClientHello, HELLO_BYTES, Heard},
    http::{Dialect, Line, converse},
    record::RefusalKind,
    step::Step,
    tunnel::Tunnel,
};

/// A fatal alert, access_denied (RFC 8446, section 6.2), so that clients end with a reason.
const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];
const PORT: u16 = 443;

/// Serves one connection until either side closes it.
pub(super) async fn serve(mut stream: TcpStream, step: Arc<Step>) {
    let _ = stream.set_nodelay(true);
    let Ok(destination) = stream.local_addr() else { return };
    let destination = destination.ip();
    let Some(name) = step.names().name(destination) else {
        let address = destination.to_string();
        let remedy = step.direct_remedy(None);
        step.recorder().refuse(&address, PORT, RefusalKind::DirectAddress, remedy);
        return deny(stream).await;
    };
    let hello = timeout(step.patience().hello, read_hello(&mut stream)).await.ok().flatten();
    let (kind, remedy) = match hello {
        None => (RefusalKind::NoServerName, "use a client that sends the server name".to_owned()),
        Some((asked, hello)) if asked == name => match step.policy().tls(&name) {
            Some(Tls::Inspect) => return inspect(stream, (destination, &name), hello, step).await,
            Some(Tls::Tunnel) | None => match step.policy().decide_tunnel(&name, PORT) {
                Decision::Allow { upstream, rule, .. } => {
                    return tunnel(stream, &name, &upstream, rule, hello, &step).await;
                }
                Decision::Deny { reason, remedy } => (RefusalKind::Request(reason), remedy),
            },
        },
        Some((asked, _)) => {
            (RefusalKind::OtherHost(asked), "send each request to the host that it names".into())
        }
    };
    step.recorder().refuse(&name, PORT, kind, remedy);
    deny(stream).await;
}

/// Shakes hands as `name` and serves the requests inside.
async fn inspect(
    stream: TcpStream,
    (destination, name): (IpAddr, &str),
    hello: Vec<u8>,
    step: Arc<Step>,
) {
    let server = match step.authority().and_then(|authority| authority.server(name)) {
        Ok(server) => server,
        Err(error) => {
            tracing::warn!(%error, name, "a connection is refused");
            return deny(stream).await;
        }
    };
    let stream = Again { first: hello, read: 0, stream };
    let shaken = TlsAcceptor::from(server).accept(stream);
    let accepted = timeout(step.patience().hello, shaken).await;
    let opened = match accepted {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return note_distrust(&error, name, &step),
        // A client that stops half-way is no concern of the record.
        Err(_) => return,
    };
    let dialect = match opened.get_ref().1.alpn_protocol() {
        Some(b"h2") => Dialect::Two,
        _ => Dialect::One,
    };
    converse(opened, Line { scheme: Scheme::Https, destination }, dialect, step).await;
}

/// Records that the client did not take the certificate: it reads trusted authorities where none of ours is.
fn note_distrust(error: &io::Error, name: &str, step: &Step) {
    use AlertDescription as Alert;
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<TlsError>());
    if let Some(TlsError::AlertReceived(
        alert @ (Alert::UnknownCA
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateUnknown
        | Alert::CertificateExpired),
    )) = cause
    {
        let told = format!("the client does not trust the build's certificate ({alert:?})");
        let remedy = format!(
            "let it read the certificates that SSL_CERT_FILE names in the step, or leave its TLS \
             unopened, and the build not hermetic, in touchmark.toml:\n  [[network.mirror]]\n  host \
             = \"{name}\"\n  tls = \"tunnel\""
        );
        step.recorder().refuse(name, PORT, RefusalKind::Request(told), remedy);
    }
}

/// A connection whose first bytes were read already, and come once more.
struct Again {
    first: Vec<u8>,
    read: usize,
    stream: TcpStream,
}

impl AsyncRead for Again {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.first.get(self.read..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        self.read += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Again {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    /// Records of TLS are ready by several at a time.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The server name and the bytes read so far. None when they are no ClientHello of a bearable size
/// with a name.
async fn read_hello(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut hello = ClientHello::default();
    loop {
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await.ok()?;
        match hello.push(&chunk[..length]) {
            Heard::More => {}
            Heard::Name(name) => return Some((name, hello.into_bytes())),
            Heard::Nonsense => return None,
        }
    }
}

/// Says no and reads on for a moment: closing on unread bytes would reset the connection, and the
/// client would not see the alert.
async fn deny(mut stream: TcpStream) {
    let _ = stream.write_all(&ACCESS_DENIED).await;
    let _ = stream.shutdown().await;
    let rest = async {
        let mut left = stream.take(HELLO_BYTES as u64);
        let _ = tokio::io::copy(&mut left, &mut tokio::io::sink()).await;
    };
    let _ = timeout(Duration::from_millis(500), rest).await;
}

async fn tunnel(
    stream: TcpStream,
    name: &str,
    target: &Target,
    rule: String,
    hello: Vec<u8>,
    step: &Arc<Step>,
) {
    let fetched = Target { scheme: Scheme::Https, ..target.clone() };
    let tunnel = Tunnel { scheme: Scheme::Https, name, port: PORT, target, fetched, rule };
    if let Err(stream) = tunnel.pass(stream, &hello, step).await {
        deny(stream).await;
    }
}
