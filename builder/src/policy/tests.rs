//! Whole messages for bad policies, and decisions on requests.

use super::{
    Policy,
    harden::{Level, UserRule},
    mirror::{Scheme, Tls},
    network::Decision,
    preset::PRESETS,
    verify::Evidence,
};

fn parsed(text: &str) -> Policy {
    Policy::parse("touchmark.toml", text).unwrap()
}

fn fault(text: &str) -> String {
    Policy::parse("touchmark.toml", text).unwrap_err().to_string()
}

#[test]
fn nothing_written_means_the_defaults() {
    let policy = parsed("");
    assert_eq!(policy, Policy::default());
    assert_eq!(policy.harden.level, Level::Baseline);
    assert!(policy.network.deny_private());
    for preset in PRESETS {
        for mirror in preset.mirrors() {
            let name = mirror.host().to_string().replace('*', "a");
            assert_eq!(policy.network.knows(&name), preset.default, "{name}");
        }
    }
}

#[test]
fn every_key_of_the_file_is_read() {
    let policy = parsed(
        r#"
[registries]
"docker.io" = { mirror = "registry.example.internal/dockerhub" }
"127.0.0.1:5000" = { plain-http = true }

[network]
allow = ["debian", "pypi", "npm", "crates", "golang", "maven"]
deny-private = true
limits = { connect-seconds = 3, idle-seconds = 30, body-bytes = 1_000 }
[[network.mirror]]
host = "packages.example.org"
upstream = "http://mirror.example.internal/debian"
paths = ["/debian/**"]
tls = "inspect"

[harden]
level = "strict"
keep = ["/bin/sh"]
remove = ["/usr/bin/nc*"]
user = "require-nonroot"

[sign]
key = "cosign.key"

[verify]
keys = ["cosign.pub"]
trusted-root = "root.json"
require = ["signature", "hardening"]
builders = ["https://builder.example/v1"]
sources = ["https://git.example/team/*"]
hermetic = true
[[verify.identity]]
subject = "dev@example.org"
issuer = "https://issuer.example"
"#,
    );
    assert_eq!(policy.network.limits().body, 1000);
    assert_eq!(policy.network.limits().connect.as_secs(), 3);
    assert_eq!(policy.harden.level, Level::Strict);
    assert_eq!(policy.harden.user, UserRule::RequireNonroot);
    assert!(policy.harden.keep[0].matches("/bin/sh"));
    assert!(policy.harden.remove[0].matches("/usr/bin/ncat"));
    assert_eq!(policy.sign.key.as_deref(), Some("cosign.key"));
    assert_eq!(policy.verify.require, [Evidence::Signature, Evidence::Hardening]);
    assert_eq!(policy.verify.identities[0].issuer, "https://issuer.example");
    assert!(policy.verify.hermetic && policy.verify.keys == ["cosign.pub"]);
    let keyless =
        parsed("[sign]\nkeyless = { fulcio = \"\", oidc-issuer = \"https://i.example\" }");
    let keyless = keyless.sign.keyless.unwrap();
    assert_eq!((keyless.fulcio, keyless.oidc_issuer.is_some()), (None, true));
}

#[test]
fn an_unknown_key_gets_a_suggestion() {
    assert_eq!(
        fault("[network]\nalow = [\"debian\"]\n"),
        "touchmark.toml:2:1: unknown key 'alow' in [network]\n  |\n2 | alow = [\"debian\"]\n  | ^^^^\n\
         help: did you mean 'allow'?"
    );
    assert_eq!(
        fault("\n\n[colour]\n"),
        "touchmark.toml:3:2: unknown key 'colour' in the policy\n  |\n3 | [colour]\n  |  ^^^^^^\n\
         help: known here: registries, network, harden, sign, verify, cache"
    );
}

#[test]
fn a_wrong_type_says_what_is_wanted() {
    assert_eq!(
        fault("[network]\ndeny-private = \"yes\"\n"),
        "touchmark.toml:2:16: 'deny-private' is true or false, here it is a text\n  |\n\
         2 | deny-private = \"yes\"\n  |                ^^^^^\n\
         help: write deny-private as true or false"
    );
    for text in [
        "network = 1",
        "[network]\nallow = \"debian\"",
        "[network]\nallow = [1]",
        "[network]\nmirror = {}",
        "[network.limits]\nidle-seconds = 0",
        "[registries]\n\"docker.io\" = true",
        "[verify]\nrequire = [\"luck\"]",
        "[sign]\nkey = \"a\"\nkeyless = {}",
        "[[network.mirror]]\nupstream = \"http://a.example\"",
        "[[network.mirror]]\nhost = \"a.example\"\nupstream = \"ftp://a.example\"",
        "[[network.mirror]]\nhost = \"a.example\"\nupstream = \"http://user:word@a.example\"",
        "[[network.mirror]]\nhost = \"a.example\"\ntls = \"tunnel\"\npaths = [\"/x\"]",
        "[registries]\n\"https://docker.io\" = {}",
        "[registries]\n\"docker.io\" = { mirror = \"https://m.example\" }",
    ] {
        assert!(fault(text).contains("\nhelp: "), "{text}");
    }
}

#[test]
fn an_unknown_preset_gets_a_suggestion() {
    assert_eq!(
        fault("[network]\nallow = [\"debain\"]\n"),
        "touchmark.toml:2:10: there is no preset 'debain'\n  |\n2 | allow = [\"debain\"]\n  |          \
         ^^^^^^^^\nhelp: did you mean 'debian'?"
    );
}

#[test]
fn bad_patterns_and_words_are_shown_together() {
    assert_eq!(
        fault("[harden]\nlevel = \"max\"\nkeep = [\"bin/sh\"]\n"),
        "touchmark.toml:2:9: 'max' is not a value of 'level'\n  |\n2 | level = \"max\"\n  |         \
         ^^^^^\nhelp: write one of: off, baseline, strict\n\n\
         touchmark.toml:3:9: 'bin/sh' is not a pattern: a path starts with '/'\n  |\n\
         3 | keep = [\"bin/sh\"]\n  |         ^^^^^^^^\n\
         help: write an absolute path, as in \"/debian/**\" or \"/usr/bin/nc*\""
    );
}

#[test]
fn what_is_not_toml_shows_its_line() {
    let message = fault("[network\nallow = []\n");
    assert!(message.starts_with("touchmark.toml:1:9: not TOML: "), "{message}");
    assert!(message.contains("\n1 | [network\n"), "{message}");
    fault("\u{feff}\0[\"\u{1b}[31m");
}

fn decide(
    policy: &str,
    scheme: Scheme,
    host: &str,
    method: &str,
    path: &str,
) -> Result<String, String> {
    match parsed(policy).network.decide(scheme, host, scheme.port(), method, path) {
        Decision::Allow { upstream, rule, .. } => Ok(format!("{} by {rule}", upstream.url(None))),
        Decision::Deny { reason, remedy } => Err(format!("{reason}\n{remedy}")),
    }
}

const ONE: &str = "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example.org\"\n";

#[test]
fn a_host_without_a_rule_is_denied_with_the_lines_to_add() {
    assert_eq!(
        decide(ONE, Scheme::Http, "not-allowed.example", "GET", "/").unwrap_err(),
        "the policy does not allow the host 'not-allowed.example'\n\
         add to touchmark.toml:\n  [[network.mirror]]\n  host = \"not-allowed.example\""
    );
    assert_eq!(
        decide(ONE, Scheme::Http, "packages.example.org", "POST", "/").unwrap_err(),
        "the policy does not allow the method POST\n\
         add to touchmark.toml:\n  [[network.mirror]]\n  host = \"packages.example.org\"\n  \
         methods = [\"POST\"]"
    );
    let port = parsed(ONE).network.decide(Scheme::Http, "packages.example.org", 8080, "GET", "/");
    assert!(matches!(port, Decision::Deny { reason, .. } if reason.contains("8080")));
}

#[test]
fn an_upstream_stands_for_the_fixed_part_of_the_pattern() {
    let get = |rule: &str, path: &str| {
        decide(&format!("{ONE}{rule}"), Scheme::Http, "Packages.example.org", "GET", path)
    };
    let by = " by policy: packages.example.org";
    assert_eq!(get("", "/x").unwrap(), format!("http://packages.example.org/x{by}"));
    let plain = "upstream = \"http://192.0.2.1:8080\"\npaths = [\"/debian/**\"]";
    assert_eq!(get(plain, "/debian/x").unwrap(), format!("http://192.0.2.1:8080/debian/x{by}"));
    let moved = "upstream = \"https://m.example/deb/\"\npaths = [\"/debian/**\"]";
    assert_eq!(get(moved, "/debian/x").unwrap(), format!("https://m.example/deb/x{by}"));
    let root = "upstream = \"http://m.example/deb\"";
    assert_eq!(get(root, "/debian/x").unwrap(), format!("http://m.example/deb/debian/x{by}"));
    assert!(get(plain, "/other").unwrap_err().contains("paths = [\"/other\"]"));
}

#[test]
fn paths_cannot_climb_out_of_their_pattern() {
    let rule = format!("{ONE}paths = [\"/debian/**\", \"/one/*\"]");
    for path in [
        "/debian/../x",
        "/debian/%2e%2e/x",
        "/debian/.%2E/x",
        "/debian/..%2fx",
        "/debian\\..\\x",
        "/debian/%5c",
        "/debian/%00",
        "debian/x",
        "/one/a%2fb",
        "/debian/%zz",
        "*",
    ] {
        decide(&rule, Scheme::Http, "packages.example.org", "GET", path).unwrap_err();
    }
    let path = "/debian/pool/x_1%3a2%2bb.deb";
    decide(&rule, Scheme::Http, "packages.example.org", "GET", path).unwrap();
    decide(ONE, Scheme::Https, "packages.example.org", "GET", "/@scope%2fname").unwrap();
}

#[test]
fn a_tunnel_needs_a_rule_that_it_cannot_break() {
    let tunnel = |rule: &str| {
        let policy = parsed(&format!("{ONE}{rule}"));
        policy.network.decide_tunnel("packages.example.org", 443)
    };
    assert!(matches!(tunnel(""), Decision::Allow { tls: Tls::Inspect, .. }));
    let other = tunnel("upstream = \"https://192.0.2.1:4443\"\ntls = \"tunnel\"");
    assert!(matches!(other, Decision::Allow { upstream, tls: Tls::Tunnel, .. }
        if (upstream.host.as_str(), upstream.port, upstream.named) == ("192.0.2.1", 4443, true)));
    for rule in [
        "paths = [\"/x/**\"]",
        "upstream = \"http://m.example\"",
        "upstream = \"https://m.example/x\"",
    ] {
        assert!(matches!(tunnel(rule), Decision::Deny { .. }), "{rule}");
    }
}

#[test]
fn the_keys_of_shared_caches_are_read() {
    let policy = parsed("[cache]\ntrust = [{ key = \"team.pub\" }, { key = \"ci/b.pub\" }]\n");
    assert_eq!(policy.cache.trust, ["team.pub", "ci/b.pub"]);
    assert!(parsed("").cache.trust.is_empty());
    let fault =
        Policy::parse("touchmark.toml", "[cache]\ntrust = [{ kye = \"a\" }]\n").unwrap_err();
    let fault = fault.to_string();
    assert!(fault.contains("did you mean 'key'?") && fault.contains("has no 'key'"), "{fault}");
    let fault = Policy::parse("touchmark.toml", "[cache]\ntrust = \"a\"\n").unwrap_err();
    assert!(fault.to_string().contains("'trust' is written as [[cache.trust]]"), "{fault}");
}
