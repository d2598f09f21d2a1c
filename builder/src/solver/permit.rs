//! May a cached result with these requests be used under the policy of this build?

use url::Url;

use crate::{
    egress::RequestRecord,
    fetch::gate::COMMAND_LINE,
    policy::{NetworkPolicy, mirror::Scheme, network::Decision},
};

/// The first of them that it would refuse: what the policy refuses today is not taken over from yesterday.
pub(super) fn refused<'r>(
    requests: &'r [RequestRecord],
    policy: &NetworkPolicy,
) -> Option<&'r RequestRecord> {
    requests.iter().find(|request| request.rule != COMMAND_LINE && !allowed(request, policy))
}

fn allowed(request: &RequestRecord, policy: &NetworkPolicy) -> bool {
    let repository = request.url.strip_prefix("git+");
    let Ok(url) = Url::parse(repository.unwrap_or(&request.url)) else { return false };
    if let (Some(host), "ssh", "CONNECT") = (url.host_str(), url.scheme(), &*request.method) {
        return matches!(policy.decide_ssh(host), Decision::Allow { .. });
    }
    if let (Some(host), "tcp", Some(port)) = (url.host_str(), url.scheme(), url.port()) {
        return matches!(policy.decide_tcp(host, port), Decision::Allow { .. });
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{egress::StepOrigin, policy::Policy};

    fn request(method: &str, url: &str, rule: &str) -> RequestRecord {
        RequestRecord {
            line: StepOrigin { line: 1, text: String::new(), stage: String::new() },
            method: method.into(),
            url: url.into(),
            fetched_url: url.into(),
            rule: rule.into(),
            status: Some(200),
            size: 0,
            sent: 0,
            sha256: None,
            commit: None,
            query: None,
            complete: true,
            incomplete_reason: None,
            purl: None,
            verified_by: None,
            started: 0,
            duration: 0,
        }
    }

    #[test]
    fn a_hit_is_used_only_where_the_request_would_go_out_today() {
        let text = "[network]\nallow = []\n[[network.mirror]]\nhost = \"h.example\"\npaths = [\"/a/**\"]\n";
        let policy = Policy::parse("touchmark.toml", text).unwrap().network;
        let may =
            |method: &str, url: &str| refused(&[request(method, url, "policy")], &policy).is_none();
        assert!(may("GET", "http://h.example/a/f") && may("GET", "https://h.example/a/f"));
        assert!(may("GET", "git+https://h.example/a/r.git"));
        assert!(!may("GET", "git+https://h.example/b/r.git"));
        assert!(!may("CONNECT", "https://h.example"), "a tunnel hides its paths");
        assert!(!may("CONNECT", "tcp://h.example:5432"));
        assert!(!may("GET", "http://o.example/a/f") && !may("GET", "http://h.example:81/a/f"));
        assert!(refused(&[request("GET", "http://o.example/f", COMMAND_LINE)], &policy).is_none());
    }
}
