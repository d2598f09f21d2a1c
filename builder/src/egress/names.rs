//! The made-up addresses behind which a step finds the names it may ask for.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, PoisonError},
};

use crate::oci::digest::Digest;

/// First address of 198.18.0.0/15, the range for benchmarks (RFC 2544), which no mirror has.
const BASE: u32 = u32::from_be_bytes([198, 18, 0, 0]);
const ADDRESSES: u32 = 1 << 17;
/// A wildcard in the policy covers endless names; a step gets this many.
const NAMES: usize = 20_000;

/// Name ↔ address, for one step.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    addresses: HashMap<String, Ipv4Addr>,
    names: HashMap<Ipv4Addr, String>,
}

impl Names {
    /// The address of a lower-case name, the same in every step as long as no two names collide.
    /// None when the step has used up its names.
    pub(super) fn address(&self, name: &str) -> Option<Ipv4Addr> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = table.addresses.get(name) {
            return Some(*address);
        }
        if table.addresses.len() >= NAMES {
            return None;
        }
        let [a, b, c, d, ..] = *Digest::of(name.as_bytes()).bytes();
        let start = u32::from_be_bytes([a, b, c, d]);
        let candidates = (0..ADDRESSES).map(|step| start.wrapping_add(step) % ADDRESSES);
        let free = candidates
            .map(|offset| Ipv4Addr::from(BASE + offset))
            .find(|address| !ends_in_edge(*address) && !table.names.contains_key(address))?;
        table.addresses.insert(name.to_owned(), free);
        table.names.insert(free, name.to_owned());
        Some(free)
    }

    /// The name behind an address.
    pub(super) fn name(&self, address: IpAddr) -> Option<String> {
        let IpAddr::V4(address) = address else { return None };
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.names.get(&address).cloned()
    }
}

/// Some clients distrust addresses that look like those of a network or a broadcast.
fn ends_in_edge(address: Ipv4Addr) -> bool {
    matches!(address.octets()[3], 0 | 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_and_is_found_by_it() {
        let (one, other) = (Names::default(), Names::default());
        other.address("b.example").unwrap();
        let address = one.address("a.example").unwrap();
        assert_eq!(one.address("a.example"), Some(address));
        assert_eq!(other.address("a.example"), Some(address));
        assert_eq!(one.name(address.into()).as_deref(), Some("a.example"));
        assert_eq!(one.name("198.51.100.7".parse().unwrap()), None);
        assert!(matches!(address.octets(), [198, 18 | 19, _, 1..=254]));
    }

    #[test]
    fn the_names_of_a_step_are_bounded() {
        let names = Names::default();
        let count = (0..NAMES + 10).filter_map(|n| names.address(&format!("{n}.example"))).count();
        assert_eq!(count, NAMES);
    }
}
