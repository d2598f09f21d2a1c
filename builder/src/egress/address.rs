//! Which addresses an upstream may have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Is this an address that a public mirror cannot have: private, loopback, link-local (the metadata
/// services of clouds), shared, benchmark, multicast, reserved or unspecified (RFC 6890, RFC 4193,
/// RFC 6598)? Documentation ranges are public here. An IPv6 address that carries an IPv4 one is as
/// private as that one.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => match carried(address) {
            Some(inner) => is_private_v4(inner),
            None => is_private_v6(address),
        },
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (b == 18 || b == 19))
        || (a, b, c) == (192, 0, 0)
        || a >= 224
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast()
        || (address.segments()[0] & 0xffc0) == 0xfec0
        || is_translated(address)
}

/// Ranges behind which a network of one's own may lie: NAT64 for local use (RFC 8215), whose prefix lengths differ so
/// that the address inside cannot be told, Teredo (RFC 4380), and what is discarded (RFC 6666).
fn is_translated(address: Ipv6Addr) -> bool {
    let [a, b, c, d, ..] = address.segments();
    matches!((a, b, c), (0x64, 0xff9b, 1) | (0x2001, 0, _)) || (a, b, c, d) == (0x100, 0, 0, 0)
}

/// The IPv4 address inside a mapped, compatible, NAT64 or 6to4 address.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) => Some(v4(g, h)),
        (0, 0, 0, 0, 0, 0) if g != 0 => Some(v4(g, h)),
        (0x64, 0xff9b, 0, 0, 0, 0) => Some(v4(g, h)),
        (0x2002, ..) => Some(v4(b, c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_ranges_are_told_from_public_ones() {
        let private = [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.0.1",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "fec0::1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "64:ff9b:1::a9fe:a9fe",
            "2001:0:4136:e378::1",
            "100::1",
        ];
        for address in private {
            assert!(is_private(address.parse().unwrap()), "{address}");
        }
        let public = [
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.80",
            "172.32.0.1",
            "100.128.0.1",
            "198.20.0.1",
            "2001:db8::1",
            "2606::1",
            "::ffff:203.0.113.1",
            "64:ff9b::cb00:7101",
        ];
        for address in public {
            assert!(!is_private(address.parse().unwrap()), "{address}");
        }
    }
}
