//! May a cached result with these requests be used under the policy of this build?

use url::Url;

use crate::{
    egress::RequestRecord,
    fetch::gate::COMMAND_LINE,
    policy::{NetworkPolicy, mirror::Scheme, network::Decision},
};

/// What the policy would refuse today is not taken over from yesterday.
pub(super) fn permitted(requests: &[RequestRecord], policy: &NetworkPolicy) -> bool {
    requests.iter().all(|request| request.rule == COMMAND_LINE || allowed(request, policy))
}

fn allowed(request: &RequestRecord, policy: &NetworkPolicy) -> bool {
    let repository = request.url.strip_prefix("git+");
    let Ok(url) = Url::parse(repository.unwrap_or(&request.url)) else { return false };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return false;
    };
    let scheme = match url.scheme() {
        "http" => Scheme::Http,
        "https" if request.method == "CONNECT" => {
            return matches!(policy.decide_tunnel(host, port), Decision::Allow { .. });
        }
        "https" => Scheme::Https,
        _ => return false,
    };
    // The first thing that git asks a repository for.
    let path = match repository {
        Some(_) => format!("{}/info/refs", url.path()),
        None => url.path().to_owned(),
    };
    matches!(policy.decide(scheme, host, port, &request.method, &path), Decision::Allow { .. })
}
