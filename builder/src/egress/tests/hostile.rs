//! Requests and answers that mean one thing to one reader and another to the next, or that never end.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use super::{
    super::RefusalKind,
    client::{connect, converse, get, in_step, lookup},
    inside, open, to_loopback,
};

/// An upstream that keeps every byte it gets and answers each request with the bytes that stand for its path.
fn upstream(answer: fn(&str) -> Vec<u8>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noted = heard.clone();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let noted = noted.clone();
            thread::spawn(move || {
                let mut request = vec![0; 1 << 16];
                let length = stream.read(&mut request).unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or("").to_owned();
                noted.lock().unwrap().push(request);
                let _ = stream.write_all(&answer(&path));
                // One that has no end, until the other side has enough of it.
                let more = vec![b' '; 1 << 16];
                while path == "/endless" && stream.write_all(&more).is_ok() {}
            });
        }
    });
    (port, heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_hides_another_one() {
    if !inside(module_path!(), "no_request_hides_another_one") {
        return;
    }
    let (port, heard) =
        upstream(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".into());
    let step = open(&to_loopback(port)).await;
    let replies = in_step(&step, || {
        let address = lookup("packages.example").unwrap();
        let hidden = "GET /hidden HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n";
        let heads = [
            // Two lengths; a length beside chunks; chunks under another name; folded, bare and blank lines.
            "Content-Length: 0\r\nContent-Length: 90\r\n",
            "Content-Length: 4, 90\r\n",
            "Content-Length: +4\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Content-Length: 0\r\nX: a\r\n Transfer-Encoding: chunked\r\n",
            "X: a\rContent-Length: 90\r\n",
            "Content-Length : 0\r\n",
            "X: a\0b\r\n",
        ];
        let mut replies = Vec::new();
        for head in heads {
            let request =
                format!("POST /shown HTTP/1.1\r\nHost: packages.example\r\n{head}\r\n{hidden}");
            replies.push((head, converse((address, 80), &request)));
        }
        // Chunks count, whatever length stands beside them, and what follows is a request of its own.
        let both = format!(
            "POST /both HTTP/1.1\r\nHost: packages.example\r\nContent-Length: 9\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        );
        replies.push(("both", converse((address, 80), &both)));
        let long = format!(
            "GET /long HTTP/1.1\r\nHost: packages.example\r\nX: {}\r\n\r\n",
            "a".repeat(200 << 10)
        );
        let mut stream = connect((address, 80)).unwrap();
        let _ = stream.write_all(long.as_bytes());
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        replies.push(("long", String::from_utf8_lossy(&reply).into_owned()));
        replies
    })
    .await;
    step.finish().await;
    for (head, reply) in &replies {
        let answers = reply.matches("HTTP/1.1 200").count();
        assert!(answers <= 1, "{head:?}: {reply}");
        assert!(*head != "long" || answers == 0, "{reply}");
    }
    let heard = heard.lock().unwrap();
    for request in heard.iter() {
        let lower = request.to_ascii_lowercase();
        assert!(!lower.starts_with("get /hidden"), "{request}");
        assert!(!lower.starts_with("get /long"), "{request}");
        // Sent anew, with one framing.
        let lengths = lower.matches("\r\ncontent-length:").count();
        let chunks = lower.matches("\r\ntransfer-encoding:").count();
        assert!(lengths + chunks <= 1, "{request}");
        assert!(lower.contains(&format!("\r\nhost: 127.0.0.1:{port}\r\n")), "{request}");
    }
}

/// Answers that no two readers understand alike are none: nothing of them is a dependency.
fn answer(path: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    let rest = match path {
        "/lengths" => "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "/both" => "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        "/folded" => "X: a\r\n Content-Length: 9\r\nContent-Length: 2\r\n\r\nab",
        "/bare" => "X: a\rContent-Length: 9\r\nContent-Length: 2\r\n\r\nab",
        "/chunk" => "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nab",
        "/nochunk" => "Transfer-Encoding: chunked\r\n\r\n-1\r\nab\r\n0\r\n\r\n",
        "/endless" => "Content-Length: 107374182400\r\n\r\n",
        _ => "",
    };
    match path {
        "/extension" => {
            let extension = "x".repeat(1 << 20);
            format!("{head}Transfer-Encoding: chunked\r\n\r\n2;{extension}\r\nab\r\n0\r\n\r\n")
        }
        "/flood" => {
            let first = "HTTP/1.1 103 Early Hints\r\nX: a\r\n\r\n".repeat(20_000);
            format!("{first}{head}Content-Length: 2\r\n\r\nab")
        }
        "/headers" => format!("{head}X: {}\r\nContent-Length: 2\r\n\r\nab", "a".repeat(1 << 20)),
        "/many" => format!("{head}{}Content-Length: 2\r\n\r\nab", "X: a\r\n".repeat(20_000)),
        "/split" => format!("{head}X: a\nLocation: /\r\nContent-Length: 2\r\n\r\nab"),
        _ => format!("{head}{rest}"),
    }
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_taken_for_more_than_it_is() {
    if !inside(module_path!(), "no_answer_is_taken_for_more_than_it_is") {
        return;
    }
    let (port, _) = upstream(answer);
    let limit = "[network.limits]\nbody-bytes = 1000000\n";
    let step = open(&(to_loopback(port) + limit)).await;
    let replies = in_step(&step, || {
        let paths = [
            "/lengths",
            "/both",
            "/folded",
            "/bare",
            "/chunk",
            "/nochunk",
            "/endless",
            "/extension",
            "/flood",
            "/headers",
            "/many",
            "/split",
        ];
        paths.map(|path| (path, get("packages.example", path)))
    })
    .await;
    let traffic = step.finish().await;
    for ((path, reply), record) in replies.iter().zip(&traffic.requests) {
        println!("{path}: {} {:?}", &reply[..reply.len().min(60)], record.incomplete_reason);
        // What the step got and what is written down is the same: whole and with its digest, or not whole.
        match record.is_dependency() {
            true => assert!(reply.ends_with("ab") && record.size == 2, "{path}: {reply}"),
            false => assert!(!record.complete, "{path}: {record:?}"),
        }
        let refused =
            ["/lengths", "/both", "/bare", "/chunk", "/nochunk", "/endless", "/extension"];
        let refused = refused.contains(path) || ["/headers", "/many"].contains(path);
        assert!(!refused || !record.is_dependency(), "{path}: {record:?}");
    }
    assert_eq!(traffic.requests.len(), replies.len());
    let endless = &traffic.requests[6];
    let reason = endless.incomplete_reason.as_deref().unwrap_or_default();
    assert!(reason.contains("larger than 1000000 bytes"), "{endless:?}");
    assert!(endless.size < 4_000_000, "{endless:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_for_all_kinds_of_messages_is_refused_and_told() {
    if !inside(module_path!(), "a_socket_for_all_kinds_of_messages_is_refused_and_told") {
        return;
    }
    let (port, heard) = upstream(|_| b"HTTP/1.1 101 Switching Protocols\r\n\r\n".into());
    let step = open(&to_loopback(port)).await;
    let reply = in_step(&step, || {
        let upgrade = "GET /socket HTTP/1.1\r\nHost: packages.example\r\nConnection: Upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";
        converse((lookup("packages.example").unwrap(), 80), upgrade)
    })
    .await;
    assert!(reply.starts_with("HTTP/1.1 403"), "{reply}");
    let refusals = step.finish().await.refusals;
    assert!(
        matches!(&refusals[0].kind, RefusalKind::Request(reason) if reason.contains("websocket"))
    );
    assert_eq!(heard.lock().unwrap().len(), 0);
}
