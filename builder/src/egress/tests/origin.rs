//! An upstream in the builder's own network, with good and bad manners by path.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

/// The body of `/file`.
pub(super) fn file() -> Vec<u8> {
    (0..1_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect()
}

/// Serves until the process ends; returns the port.
pub(super) fn start() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(stream.unwrap()));
        }
    });
    port
}

fn serve(stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        if !answer(&head, &mut reader, &mut writer) {
            return;
        }
    }
}

/// False when the connection is to be closed.
fn answer(head: &str, reader: &mut impl Read, writer: &mut TcpStream) -> bool {
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let body: Vec<u8> = match path.split('?').next().unwrap() {
        "/echo" => head.as_bytes().to_vec(),
        "/post" => {
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            body
        }
        "/short" => {
            writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this").unwrap();
            return false;
        }
        "/nolength" => {
            writer.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end").unwrap();
            return false;
        }
        "/chunked" => {
            let chunks = "4\r\ntouc\r\n5\r\nhmark\r\n0\r\n\r\n";
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            writer.write_all(format!("{head}{chunks}").as_bytes()).unwrap();
            return true;
        }
        "/moved" => {
            let reply = "HTTP/1.1 302 Found\r\nLocation: http://other.example/x\r\n\
                         Content-Length: 0\r\n\r\n";
            writer.write_all(reply.as_bytes()).unwrap();
            return true;
        }
        "/part" => {
            let reply = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\n\
                         Content-Length: 2\r\n\r\nto";
            writer.write_all(reply.as_bytes()).unwrap();
            return true;
        }
        path if path.starts_with("/file") || path.ends_with(".deb") => file(),
        _ => {
            let reply = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone";
            writer.write_all(reply.as_bytes()).unwrap();
            return true;
        }
    };
    let reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"1\"\r\nX-Hop: a\r\nConnection: x-hop\r\n\r\n",
        body.len()
    );
    writer.write_all(reply.as_bytes()).unwrap();
    if method != "HEAD" {
        let _ = writer.write_all(&body);
    }
    true
}
