//! Any text is a policy or a list of faults; a policy answers every question.

use touchmark_builder::policy::{Policy, mirror::Scheme, registries::Access};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let policy = match Policy::parse("touchmark.toml", text) {
        Ok(policy) => policy,
        Err(fault) => return drop(fault.to_string()),
    };
    drop(format!("{policy:?}"));
    for host in text.split(['"', '/', '\'']).filter(|word| word.contains('.')).take(8) {
        let _ = policy.network.decide_tunnel(host, 443);
        for path in ["/", "/a/b/../c", host] {
            let _ = policy.network.decide(Scheme::Http, host, 80, "GET", path);
        }
        if let Ok(reference) = host.parse() {
            let _ = policy.registries.route(&reference, Access::Pull);
        }
    }
}
