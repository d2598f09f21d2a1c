//! A registry that lies: each test writes its answers.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// What a request asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `PUT` …
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Header names in lower case with their values.
    pub headers: Vec<(String, String)>,
    /// The body, when a Content-Length announced it.
    pub body: Vec<u8>,
}

/// What to answer.
pub enum Reply {
    /// Status, headers (`Name: value`) and the whole body.
    Whole(u16, Vec<String>, Vec<u8>),
    /// The same, but the connection ends after that many bytes of the body.
    Truncated(u16, Vec<String>, Vec<u8>, usize),
    /// 200 with headers and that many bytes of white space, made while they are sent.
    Endless(Vec<String>, u64),
    /// In chunks, of which the last one is missing when the connection ends after that many bytes.
    CutChunks(u16, Vec<String>, Vec<u8>, usize),
    /// As [`Reply::Truncated`], but nothing more comes and the connection stays; with no status, no answer at all.
    Stalled(Option<u16>, Vec<String>, Vec<u8>, usize),
    /// The connection ends without an answer.
    Nothing,
}

/// A loopback server that answers by a function, one thread per connection. Gone on drop.
pub struct Impostor {
    port: u16,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Impostor {
    /// Starts on a free loopback port.
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("bound").port();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, answer) = (Arc::clone(&stop), Arc::new(answer));
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let answer = Arc::clone(&answer);
                thread::spawn(move || serve(stream, &*answer));
            }
        });
        Self { port, stop, accepting: Some(accepting) }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.host());
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, answer: &dyn Fn(&Request) -> Reply) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let reply = answer(&request);
        let waits = matches!(reply, Reply::Stalled(..));
        if !send(&mut writer, &request, reply) {
            if waits {
                // Until the other side gives up.
                let _ = reader.read(&mut [0]);
            }
            return;
        }
        if request.headers.iter().any(|(name, value)| name == "connection" && value == "close") {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut first = lines.first()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}

/// Sends the reply; whether the connection may go on.
fn send(writer: &mut TcpStream, request: &Request, reply: Reply) -> bool {
    let (status, headers, body, sent, total) = match reply {
        Reply::Whole(status, headers, body) => {
            (status, headers, body.clone(), body.len(), body.len() as u64)
        }
        Reply::Truncated(status, headers, body, sent) => {
            (status, headers, body.clone(), sent, body.len() as u64)
        }
        Reply::Endless(headers, total) => (200, headers, Vec::new(), 0, total),
        Reply::CutChunks(status, headers, body, sent) => {
            let first = format!(
                "HTTP/1.1 {status} as told\r\nTransfer-Encoding: chunked\r\n{}\r\n{sent:x}\r\n",
                headers.iter().map(|header| format!("{header}\r\n")).collect::<String>()
            );
            let _ = writer.write_all(first.as_bytes());
            let _ = writer.write_all(&body[..sent]);
            return false;
        }
        Reply::Stalled(Some(status), headers, body, sent) => {
            (status, headers, body.clone(), sent, body.len() as u64)
        }
        Reply::Stalled(None, ..) | Reply::Nothing => return false,
    };
    let mut head = format!("HTTP/1.1 {status} as told\r\nContent-Length: {total}\r\n");
    for header in headers {
        head.push_str(&header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    if writer.write_all(head.as_bytes()).is_err() || request.method == "HEAD" {
        return request.method == "HEAD";
    }
    if writer.write_all(&body[..sent]).is_err() {
        return false;
    }
    let mut left = if body.is_empty() { total } else { 0 };
    let blank = [b' '; 1 << 16];
    while left > 0 {
        let count = left.min(blank.len() as u64);
        if writer.write_all(&blank[..count as usize]).is_err() {
            return false;
        }
        left -= count;
    }
    sent as u64 == total || body.is_empty()
}
