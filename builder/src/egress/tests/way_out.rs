//! Mirrors that log in, and how much they may give.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{Logins, StepTraffic, WayOut},
    client::{exchange, get, in_step},
    egress_by, inside, origin,
    origin::start,
};
use crate::{policy::Policy, secret::SecretBytes};

async fn run<T: Send + 'static>(
    policy: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> (T, StepTraffic) {
    let parsed = Policy::parse("touchmark.toml", policy).unwrap().network;
    let secrets = [("token", "hidden-one\n"), ("other", "user:hidden-two")];
    let bytes = |text: &str| SecretBytes::new(text.as_bytes().to_vec());
    let secrets: BTreeMap<String, SecretBytes> =
        secrets.into_iter().map(|(id, text)| (id.to_owned(), bytes(text))).collect();
    let logins = Logins::find(&parsed, &Arc::new(secrets)).unwrap();
    let way = WayOut { logins, ..WayOut::default() };
    let step = egress_by(policy, way).open_step(origin()).await.unwrap();
    let done = in_step(&step, work).await;
    (done, step.finish().await)
}

fn mirror(host: &str, port: u16, rest: &str) -> String {
    format!(
        "[[network.mirror]]\nhost = \"{host}\"\nupstream = \"http://127.0.0.1:{port}\"\n{rest}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mirror_gets_its_own_login_and_the_steps_nowhere() {
    if !inside(module_path!(), "each_mirror_gets_its_own_login_and_the_steps_nowhere") {
        return;
    }
    let port = start();
    let policy = [
        "[network]\nallow = []\n".into(),
        mirror("one.example", port, "credentials = \"token\""),
        mirror("two.example", port, "credentials = \"other\""),
        mirror("none.example", port, ""),
        "[[network.mirror]]\nhost = \"secure.example\"\ncredentials = \"token\"\n".into(),
    ]
    .concat();
    let work = || {
        let asked = |host: &str| {
            let head = format!(
                "GET /echo HTTP/1.1\r\nHost: {host}\r\nAuthorization: own\r\nConnection: close\r\n\r\n"
            );
            let reply = exchange(host, &head).to_ascii_lowercase();
            let found = reply.lines().filter(|line| line.starts_with("authorization: "));
            found.map(str::to_owned).collect::<Vec<_>>()
        };
        let heads = ["one.example", "two.example", "none.example"].map(asked);
        (heads, get("secure.example", "/file"))
    };
    let (([one, two, none], secure), traffic) = run(&policy, work).await;
    assert_eq!(one, ["authorization: bearer hidden-one"]);
    assert_eq!(two, ["authorization: basic dxnlcjpoawrkzw4tdhdv"]);
    assert_eq!(none, ["authorization: own"]);
    let told = "the mirror 'secure.example' logs in, which plain HTTP would show to everybody";
    assert!(secure.starts_with("HTTP/1.1 403 ") && secure.contains(told), "{secure}");
    assert!(traffic.refusals[0].to_string().contains(told));
    assert!(!format!("{traffic:?}").contains("hidden"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_gives_too_much_is_stopped_and_told() {
    if !inside(module_path!(), "a_mirror_that_gives_too_much_is_stopped_and_told") {
        return;
    }
    let port = start();
    let policy = [
        "[network]\nallow = []\n".into(),
        mirror("one.example", port, "limits = { body-bytes = 999999 }"),
        mirror("all.example", port, "limits = { total-bytes = 1500000 }"),
    ]
    .concat();
    let work = || {
        let status = |host: &str| get(host, "/file").split_once("\r\n").unwrap().0.to_owned();
        [status("one.example"), status("all.example"), status("all.example")]
    };
    let (replies, traffic) = run(&policy, work).await;
    assert_eq!(
        replies,
        ["HTTP/1.1 502 Bad Gateway", "HTTP/1.1 200 OK", "HTTP/1.1 502 Bad Gateway"]
    );
    let reasons = traffic.requests.iter().map(|request| request.incomplete_reason.as_deref());
    let (body, total) = (
        "the body is larger than 999999 bytes (limits.body-bytes)",
        "the rule 'policy: all.example' gave this build more than 1500000 bytes (limits.total-bytes)",
    );
    assert_eq!(reasons.collect::<Vec<_>>(), [Some(body), None, Some(total)]);
    let told = traffic.refusals.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        told[0],
        format!(
            "line 7: no connection to 'one.example:80': {body}\nhelp: where that much is expected, raise the \
             limit in touchmark.toml, under [network.limits] or for this mirror:\n  [[network.mirror]]\n  \
             host = \"one.example\"\n  limits = {{ body-bytes = …, total-bytes = … }}"
        )
    );
    assert!(told.len() == 2 && told[1].contains(total), "{told:#?}");
}
