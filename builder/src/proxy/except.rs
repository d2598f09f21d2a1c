//! `NO_PROXY`: hosts that are reached directly. By curl's rules, with ports as other clients have them.

use std::net::IpAddr;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Except {
    hosts: Hosts,
    /// Where it says one.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    All,
    /// The name and all names below it.
    Name(String),
    /// The addresses that begin with as many bits of this one.
    Network(IpAddr, u32),
}

impl Except {
    /// Reads entries parted by commas or blanks.
    pub(super) fn list(text: &str) -> Vec<Self> {
        let entries = text.split([',', ' ', '\t', '\n']).map(str::trim);
        entries.filter(|entry| !entry.is_empty()).map(Self::read).collect()
    }

    fn read(entry: &str) -> Self {
        if entry == "*" {
            return Self { hosts: Hosts::All, port: None };
        }
        if let Some(hosts) = network(entry) {
            return Self { hosts, port: None };
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => match port.parse() {
                Ok(port) => (host, Some(port)),
                Err(_) => (entry, None),
            },
            None => (entry, None),
        };
        let hosts = network(host).unwrap_or_else(|| {
            let name = host.trim_start_matches("*.").trim_start_matches('.');
            Hosts::Name(name.trim_end_matches('.').to_ascii_lowercase())
        });
        Self { hosts, port }
    }

    /// Is `host`, a name or an address without brackets, reached directly at `port`?
    pub(super) fn covers(&self, host: &str, port: u16) -> bool {
        if self.port.is_some_and(|own| own != port) {
            return false;
        }
        match (&self.hosts, host.parse::<IpAddr>()) {
            (Hosts::All, _) => true,
            (Hosts::Network(network, bits), Ok(address)) => begins(address, *network, *bits),
            (Hosts::Name(name), Err(_)) => {
                let host = host.to_ascii_lowercase();
                let above = host.strip_suffix(name.as_str());
                !name.is_empty() && above.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            _ => false,
        }
    }
}

/// An address, in brackets or not, or a range of them (RFC 4632).
fn network(text: &str) -> Option<Hosts> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(whole);
    (bits <= whole).then_some(Hosts::Network(address, bits))
}

fn begins(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let rest = width.saturating_sub(bits);
        a.checked_shr(rest).unwrap_or(0) == b.checked_shr(rest).unwrap_or(0)
    };
    match (address.to_canonical(), network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_ranges_and_ports() {
        let cases = [
            ("example.org", "example.org", 80, true),
            ("example.org", "a.b.Example.ORG", 80, true),
            ("example.org", "notexample.org", 80, false),
            (".example.org", "example.org", 80, true),
            ("*.example.org", "a.example.org", 80, true),
            ("example.org.", "example.org", 80, true),
            ("a.example.org", "example.org", 80, false),
            ("example.org:8080", "example.org", 8080, true),
            ("example.org:8080", "example.org", 80, false),
            ("x.example, example.org", "example.org", 1, true),
            ("x.example example.org", "example.org", 1, true),
            ("*", "anything.example", 1, true),
            ("", "example.org", 1, false),
            (".", "example.org", 1, false),
            ("192.0.2.7", "192.0.2.7", 1, true),
            ("192.0.2.7:81", "192.0.2.7", 80, false),
            ("192.0.2.7", "92.0.2.7", 1, false),
            ("192.0.2.0/25", "192.0.2.127", 1, true),
            ("192.0.2.0/25", "192.0.2.128", 1, false),
            ("0.0.0.0/0", "203.0.113.1", 1, true),
            ("10.0.0.0/33", "10.0.0.0", 1, false),
            ("2001:db8::/32", "2001:db8:1::1", 1, true),
            ("2001:db8::/32", "2001:db9::1", 1, false),
            ("[2001:db8::1]:443", "2001:db8::1", 443, true),
            ("[2001:db8::1]", "2001:db8::1", 80, true),
            ("2001:db8::1", "2001:db8::1", 80, true),
            ("192.0.2.0/24", "::ffff:192.0.2.9", 80, true),
            ("192.0.2.0/24", "name.192.0.2.0", 80, false),
        ];
        for (list, host, port, direct) in cases {
            let found = Except::list(list).iter().any(|except| except.covers(host, port));
            assert_eq!(found, direct, "{list} {host} {port}");
        }
    }
}
