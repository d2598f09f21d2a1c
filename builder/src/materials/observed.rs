//! What a policy can say about a recorded build.

use touchmark_attest::predicate::slsa::{CONTEXT, Provenance};
use url::Url;

use super::material::{Material, Sort};
use crate::{
    policy::{
        mirror::Scheme,
        proposal::{Observed, Request},
    },
    remote::LAYOUT_REGISTRY,
};

/// Reads it from the provenance. `pushed` is the registry that the image is in, `keys` the files of the keys
/// that verified the provenance.
#[must_use]
pub fn observed(provenance: &Provenance, pushed: Option<&str>, keys: &[String]) -> Observed {
    let definition = &provenance.build_definition;
    let materials = Material::all(provenance);
    let mut registries: Vec<(String, String)> = materials
        .iter()
        .filter(|one| one.sort == Sort::Image && !one.origin.is_empty())
        .filter(|one| one.origin != LAYOUT_REGISTRY)
        .map(|one| (one.origin.clone(), format!("base image {}", one.name)))
        .collect();
    registries.sort();
    registries.extend(pushed.map(|registry| (registry.to_owned(), "the image is there".into())));
    let context = definition.resolved_dependencies.iter().find(|one| one.name == CONTEXT);
    let parameter = |key: &str| definition.external_parameters.get(key)?.as_str();
    let hermetic = definition.internal_parameters.get("hermetic");
    Observed {
        registries,
        requests: materials.iter().filter_map(request).collect(),
        harden: parameter("harden").unwrap_or("baseline").to_owned(),
        builder: provenance.run_details.builder.id.clone(),
        source: context.map(|one| one.uri.clone()).filter(|uri| !uri.is_empty()),
        keys: keys.to_vec(),
        hermetic: hermetic.and_then(serde_json::Value::as_bool).unwrap_or(false),
    }
}

fn request(material: &Material) -> Option<Request> {
    let repository = match material.sort {
        Sort::Image | Sort::Context => return None,
        Sort::Git => true,
        Sort::Package | Sort::File => false,
    };
    let parsed = |uri: &str| Url::parse(uri.strip_prefix("git+").unwrap_or(uri)).ok();
    let url = parsed(&material.uri)?;
    let scheme = match url.scheme() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "ssh" => Scheme::Ssh,
        "tcp" => Scheme::Tcp,
        _ => return None,
    };
    let fetched_from = material.fetched_from.as_deref().and_then(parsed).map(|mut url| {
        url.set_query(None);
        url.to_string()
    });
    Some(Request {
        scheme,
        host: url.host_str()?.trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(scheme.port()),
        path: url.path().to_owned(),
        method: material.method.clone().unwrap_or_else(|| "GET".into()),
        fetched_from,
        repository,
        ecosystem: material.ecosystem.clone(),
        line: material.line,
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::policy::{Policy, mirror::Tls, network::Decision, proposal::propose};

    /// Every folder of `golden/` is a case: `provenance.json` in, `policy.toml` out. The policy allows each
    /// request that was made, by the same way.
    #[test]
    fn a_proposed_policy_parses_and_allows_what_was_recorded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/materials/golden");
        for case in fs::read_dir(root).unwrap() {
            let case = case.unwrap().path();
            let text = fs::read_to_string(case.join("provenance.json")).unwrap();
            let provenance: Provenance = serde_json::from_str(&text).unwrap();
            let keys = ["cosign.pub".to_owned()];
            let observed = observed(&provenance, Some("registry.example"), &keys);
            let known = "[registries]\n\"docker.io\" = { mirror = \"registry.example.internal/hub\" }\n\
                         \"registry.example.internal\" = { plain-http = true }\n\"unused.example\" = {}\n\
                         [sign]\nkey = \"cosign.key\"\n";
            let known = Policy::parse("known", known).unwrap();
            let found = propose(&observed, Some(&known));
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                fs::write(case.join("policy.toml"), &found).unwrap();
            }
            let policy =
                Policy::parse("touchmark.toml", &found).unwrap_or_else(|e| panic!("{e}\n{found}"));
            for request in &observed.requests {
                allowed(request, &policy);
            }
            let expected = fs::read_to_string(case.join("policy.toml")).unwrap_or_default();
            assert!(expected == found, "{}\n{found}", case.display());
        }
    }

    fn allowed(request: &Request, policy: &Policy) {
        let Request { scheme, host, port, path, method, .. } = request;
        let network = &policy.network;
        let decision = match (method.as_str(), scheme) {
            ("CONNECT", Scheme::Ssh) => network.decide_ssh(host),
            ("CONNECT", Scheme::Tcp) => network.decide_tcp(host, *port),
            ("CONNECT", _) => network.decide_tunnel(host, *port),
            _ if request.repository => {
                network.decide(*scheme, host, *port, method, &format!("{path}/info/refs"))
            }
            _ => network.decide(*scheme, host, *port, method, path),
        };
        let Decision::Allow { upstream, tls, .. } = decision else {
            panic!("{request:?} is refused: {decision:?}");
        };
        assert_eq!(tls == Tls::Tunnel, method == "CONNECT", "{request:?}");
        if let (Some(from), false) = (&request.fetched_from, request.repository) {
            assert_eq!(upstream.url(None), *from, "{request:?}");
        }
    }

    #[test]
    fn an_empty_record_allows_nothing() {
        let provenance = r#"{"buildDefinition":{"buildType":"t","externalParameters":{}},
            "runDetails":{"builder":{"id":"b"}}}"#;
        let provenance: Provenance = serde_json::from_str(provenance).unwrap();
        let text = propose(&observed(&provenance, None, &[]), None);
        let policy = Policy::parse("touchmark.toml", &text).unwrap();
        assert!(!policy.network.knows("deb.example") && text.contains("Nothing was fetched"));
        let image = "docker.io/library/x".parse().unwrap();
        assert!(policy.registries.route(&image, crate::policy::registries::Access::Pull).is_err());
    }
}
