//! Names: what is answered, what is refused, what is noise.

use std::io::{Read, Write};

use hickory_proto::{op::ResponseCode, rr::RecordType};

use super::{
    client::{ask, connect, in_step, lookup, query, understood},
    inside, open, to_loopback,
};

#[tokio::test(flavor = "multi_thread")]
async fn allowed_names_have_addresses_and_others_do_not_exist() {
    if !inside(module_path!(), "allowed_names_have_addresses_and_others_do_not_exist") {
        return;
    }
    let step = open(&to_loopback(1)).await;
    assert_eq!(step.resolv_conf(), "nameserver 10.0.2.2\n");
    in_step(&step, || {
        let ask = |name: &str, wanted| understood(&ask("10.0.2.2:53", name, wanted).unwrap());
        let (code, addresses) = ask("Packages.EXAMPLE.", RecordType::A);
        assert_eq!((code, addresses.len()), (ResponseCode::NoError, 1));
        assert_eq!(addresses[0].octets()[0], 198);
        assert_eq!(ask("packages.example.", RecordType::A).1, addresses);
        for wanted in [RecordType::AAAA, RecordType::MX, RecordType::TXT] {
            assert_eq!(ask("packages.example.", wanted), (ResponseCode::NoError, vec![]));
        }
        for wanted in [RecordType::A, RecordType::AAAA, RecordType::TXT] {
            let answer = ask("not-allowed.example.", wanted);
            assert_eq!(answer, (ResponseCode::NXDomain, vec![]));
        }
    })
    .await;
    let traffic = step.finish().await;
    let told: Vec<String> = traffic.refusals.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["line 7: no connection to 'not-allowed.example': the policy does not allow this host\n\
          help: add to touchmark.toml:\n  [[network.mirror]]\n  host = \"not-allowed.example\""]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn courtesy_questions_and_search_domains_are_no_refusals() {
    if !inside(module_path!(), "courtesy_questions_and_search_domains_are_no_refusals") {
        return;
    }
    let step = open(&to_loopback(1)).await;
    in_step(&step, || {
        let names = [
            "packages.example.corp.example.",
            "localhost-of-step.",
            "1.2.0.10.in-addr.arpa.",
            "_http._tcp.packages.example.",
            "_https._tcp.other.example.",
        ];
        for name in names {
            assert_eq!(lookup(name), None, "{name}");
        }
        assert!(lookup("packages.example.").is_some());
    })
    .await;
    assert_eq!(step.finish().await.refusals, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_and_garbage_are_served_too() {
    if !inside(module_path!(), "tcp_and_garbage_are_served_too") {
        return;
    }
    let step = open(&to_loopback(1)).await;
    in_step(&step, || {
        let mut stream = connect(([10, 0, 2, 2], 53)).unwrap();
        for _ in 0..2 {
            let query = query("packages.example.", RecordType::A);
            stream.write_all(&u16::try_from(query.len()).unwrap().to_be_bytes()).unwrap();
            stream.write_all(&query).unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut reply = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut reply).unwrap();
            assert_eq!(understood(&reply).1.len(), 1);
        }
        stream.write_all(&[0, 3, 1, 2, 3]).unwrap();
        assert_eq!(stream.read(&mut [0; 9]).unwrap(), 0);
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        for garbage in [&[0_u8; 0][..], &[0xff; 3], &[0xff; 600], &[0; 12]] {
            socket.send_to(garbage, "10.0.2.2:53").unwrap();
        }
        assert!(lookup("packages.example.").is_some());
    })
    .await;
    step.finish().await;
}
