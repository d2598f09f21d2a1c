//! What stands before a real registry and does one thing wrong, now and then or always.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    http::{self, Answer},
    impostor::{Impostor, Reply, Request},
};

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends, and the registry never heard of the request.
    Dropped,
    /// The registry has done what was asked, but its answer is lost.
    AnswerLost,
    /// No answer, and the connection stays.
    Silent,
    /// The answer stops in the middle of its body, and the connection stays.
    StopsInBody,
    /// Another answer: status, and `Retry-After` in seconds.
    Answers(u16, Option<u32>),
    /// Half of the body, as if that were all.
    HalfAsWhole,
    /// Half of the body, then the connection ends.
    CutByLength,
    /// Half of the body, then the connection ends in the middle of the chunks.
    CutInChunks,
    /// One bit of the answer's body is another.
    AnswerFlipped,
    /// One bit of the request's body is another.
    RequestFlipped,
}

impl Fault {
    /// Can it happen to this request?
    fn fits(self, request: &Request) -> bool {
        match self {
            Self::Dropped | Self::AnswerLost | Self::Silent | Self::Answers(..) => true,
            Self::RequestFlipped => !request.body.is_empty(),
            _ => request.method == "GET",
        }
    }
}

/// A plain HTTP proxy with a fault. Gone on drop.
pub struct FaultyProxy {
    server: Impostor,
    done: Arc<Done>,
}

#[derive(Default)]
struct Done {
    seen: AtomicUsize,
    faults: Mutex<BTreeMap<String, usize>>,
}

impl FaultyProxy {
    /// Before `registry` (`address:port`): the faults in turn, one at every `every`th request of those that `may`
    /// go wrong.
    #[must_use]
    pub fn before(
        registry: &str,
        faults: Vec<Fault>,
        every: usize,
        may: impl Fn(&Request) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (done, registry) = (Arc::new(Done::default()), registry.to_owned());
        let counts = Arc::clone(&done);
        let server = Impostor::start(move |request| {
            let fits = may(request) && faults.iter().any(|fault| fault.fits(request));
            let number = if fits { counts.seen.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
            let due = (fits && number % every == 0).then(|| number / every - 1);
            let fault = due.and_then(|turn| {
                let from_turn = faults.iter().cycle().skip(turn % faults.len()).take(faults.len());
                from_turn.copied().find(|fault| fault.fits(request))
            });
            if let Some(fault) = fault {
                let what = format!("{fault:?} {} {}", request.method, kind(&request.path));
                *counts.faults.lock().expect("no panic").entry(what).or_default() += 1;
            }
            reply(&registry, request, fault)
        });
        Self { server, done }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// A reference that leads through this proxy.
    #[must_use]
    pub fn image(&self, rest: &str) -> String {
        format!("{}/{rest}", self.host())
    }

    /// What went wrong how often so far: `Fault METHOD kind`.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<String, usize> {
        self.done.faults.lock().expect("no panic").clone()
    }
}

/// `manifests`, `blobs`, `uploads` … of a path.
#[must_use]
pub fn kind(path: &str) -> &str {
    ["/blobs/uploads/", "/blobs/", "/manifests/", "/referrers/", "/tags/"]
        .into_iter()
        .find(|kind| path.contains(kind))
        .map_or("/v2/", |kind| kind)
}

fn reply(registry: &str, request: &Request, fault: Option<Fault>) -> Reply {
    match fault {
        Some(Fault::Dropped) => return Reply::Nothing,
        Some(Fault::Silent) => return Reply::Stalled(None, vec![], vec![], 0),
        Some(Fault::Answers(status, wait)) => {
            let wait = wait.map(|seconds| format!("Retry-After: {seconds}"));
            return Reply::Whole(status, wait.into_iter().collect(), b"not now".to_vec());
        }
        _ => {}
    }
    let flip = fault == Some(Fault::RequestFlipped);
    let body = if flip { flipped(&request.body) } else { request.body.clone() };
    let Ok(answer) = forward(registry, request, &body) else { return Reply::Nothing };
    let headers = passed_on(&answer, registry, request);
    let (status, body) = (answer.status, answer.body);
    let half = body.len() / 2;
    match fault {
        Some(Fault::AnswerLost) => Reply::Nothing,
        Some(Fault::StopsInBody) => Reply::Stalled(Some(status), headers, body, half),
        Some(Fault::HalfAsWhole) => Reply::Whole(status, headers, body[..half].to_vec()),
        Some(Fault::CutByLength) => Reply::Truncated(status, headers, body, half),
        Some(Fault::CutInChunks) => Reply::CutChunks(status, headers, body, half),
        Some(Fault::AnswerFlipped) => Reply::Whole(status, headers, flipped(&body)),
        _ => Reply::Whole(status, headers, body),
    }
}

fn flipped(body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    let middle = body.len() / 2;
    if let Some(byte) = body.get_mut(middle) {
        *byte ^= 1;
    }
    body
}

fn forward(registry: &str, request: &Request, body: &[u8]) -> std::io::Result<Answer> {
    let own = ["host", "connection", "content-length", "transfer-encoding"];
    let pairs = request.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let headers: Vec<(&str, &str)> =
        pairs.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    http::request(registry, &request.method, &request.path, &headers, body)
}

/// The registry's headers; where it sends the client leads through the proxy again.
fn passed_on(answer: &Answer, registry: &str, request: &Request) -> Vec<String> {
    let own = ["connection", "content-length", "transfer-encoding"];
    let here = request.headers.iter().find(|(name, _)| name == "host");
    let here = here.map_or("", |(_, host)| host.as_str());
    let pairs = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    pairs.map(|(name, value)| format!("{name}: {}", value.replace(registry, here))).collect()
}

#[cfg(test)]
mod tests {
    use crate::{
        base,
        faulty_proxy::{Fault, FaultyProxy},
        http,
        image::MANIFEST,
    };

    #[test]
    fn every_second_request_of_the_chosen_ones_goes_wrong_in_turn() {
        let registry = base::tiny_registry();
        let faults = vec![Fault::Answers(503, Some(1)), Fault::HalfAsWhole, Fault::Dropped];
        let proxy = FaultyProxy::before(&registry.host(), faults, 2, |request| {
            request.path.contains("/manifests/")
        });
        let accept = [("Accept", MANIFEST)];
        let get = |path: &str| http::request(&proxy.host(), "GET", path, &accept, &[]);
        let manifest = "/v2/library/busybox/manifests/latest";
        let whole = get(manifest).unwrap();
        assert_eq!(whole.status, 200);
        assert_eq!(get("/v2/").unwrap().status, 200);
        let refused = get(manifest).unwrap();
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
        assert_eq!(get(manifest).unwrap().body, whole.body);
        assert_eq!(get(manifest).unwrap().body, whole.body[..whole.body.len() / 2]);
        assert_eq!(get(manifest).unwrap().body, whole.body);
        assert!(get(manifest).is_err());
        assert_eq!(proxy.faults().values().sum::<usize>(), 3);
    }
}
