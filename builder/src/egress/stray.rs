//! What a step sends past the ports that are served. Nobody listens there, so the kernel refuses it; a packet socket in
//! the egress namespace sees it go by, so that the attempt is told and recorded all the same.

use std::{
    collections::HashSet,
    io::{self, Read},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::{net::UdpSocket, sync::watch};

use super::{namespace::GATEWAY, record::RefusalKind, step::Step};

/// IPv4 among the protocols of a link (RFC 894); only what arrives is seen then, not what is sent.
const IPV4: u16 = 0x0800;
/// Destinations of a step that are told; a scan of all ports must not keep the builder busy.
const TOLD: usize = 256;
/// As much of a packet as is looked at: the longest header (RFC 791, section 3.1) and two ports.
const HEAD: usize = 64;

/// TCP among the protocols of IPv4.
const TCP: u8 = 6;

/// Opens the socket in the namespace of the calling thread. What needs no report is left out by the kernel: the bytes of
/// the served connections cost nothing.
pub(super) fn open() -> io::Result<Socket> {
    let protocol = Protocol::from(i32::from(IPV4.to_be()));
    // Before there is a filter there is no step that could send anything.
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
    socket.attach_filter(&filter())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Passes the first packet of a TCP connection, datagrams, echo requests and foreign protocols, but none for a port that
/// is served, no second fragments, and no group reports of the kernel.
fn filter() -> [SockFilter; 24] {
    let gateway = u32::from(GATEWAY);
    let op = SockFilter::new;
    [
        op(0x28, 0, 0, 6), // the fragment's offset
        op(0x45, 21, 0, 0x1fff),
        op(0xb1, 0, 0, 0), // X: the header's length
        op(0x30, 0, 0, 9), // the protocol
        op(0x15, 5, 0, 6),
        op(0x15, 12, 0, 17),
        op(0x15, 1, 0, 1),
        op(0x15, 15, 14, 2),
        op(0x50, 0, 0, 0), // ICMP: only the echo request is the step's own
        op(0x15, 12, 13, 8),
        op(0x50, 0, 0, 13), // TCP: SYN without ACK
        op(0x54, 0, 0, 0x12),
        op(0x15, 0, 10, 0x02),
        op(0x48, 0, 0, 2),
        op(0x15, 8, 0, 80),
        op(0x15, 7, 0, 443),
        op(0x15, 6, 0, 22),
        op(0x15, 2, 4, 53),
        op(0x48, 0, 0, 2), // UDP
        op(0x15, 0, 2, 53),
        op(0x20, 0, 0, 16), // a name server: only the gateway is one
        op(0x15, 1, 0, gateway),
        op(0x06, 0, 0, HEAD as u32),
        op(0x06, 0, 0, 0),
    ]
}

/// Records what goes by until the stop, and what had gone by then.
pub(super) async fn watch(socket: Socket, mut stopped: watch::Receiver<bool>, step: Arc<Step>) {
    // The runtime knows no packet sockets; without a sender's address, a datagram is read from one as from the other.
    let Ok(socket) = UdpSocket::from_std(socket.into()) else { return };
    // These are served as well, which the filter does not know.
    let tunnels = step.policy().tunnel_ports();
    let mut seen = HashSet::new();
    loop {
        let last = tokio::select! {
            biased;
            ready = socket.readable() => match ready {
                Ok(()) => false,
                Err(_) => return,
            },
            _ = stopped.changed() => true,
        };
        // The last look asks the kernel itself: the runtime may not have heard yet of what the step sent last.
        let receive = |packet: &mut [u8]| match last {
            true => (&*SockRef::from(&socket)).read(packet),
            false => socket.try_recv(packet),
        };
        let mut packet = [0; HEAD];
        while let Ok(length) = receive(&mut packet) {
            if let Some(stray) = Stray::of(&packet[..length])
                && !(stray.protocol == TCP && tunnels.contains(&stray.port))
                && seen.insert(stray)
            {
                stray.tell(&step);
            }
            // More would say no more, and nobody has to look.
            if seen.len() >= TOLD {
                return;
            }
            tokio::task::coop::consume_budget().await;
        }
        if last {
            return;
        }
    }
}

/// Where a packet was to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Stray {
    protocol: u8,
    address: Ipv4Addr,
    port: u16,
}

impl Stray {
    /// Reads an IPv4 packet (RFC 791, section 3.1).
    fn of(packet: &[u8]) -> Option<Self> {
        let header = usize::from(packet.first()? & 0xf) * 4;
        let protocol = *packet.get(9)?;
        let address: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
        let port = match protocol {
            TCP | 17 => {
                let port = packet.get(header + 2..header + 4)?;
                u16::from_be_bytes(port.try_into().ok()?)
            }
            _ => 0,
        };
        Some(Self { protocol, address: address.into(), port })
    }

    fn tell(self, step: &Step) {
        let Self { protocol, address, port } = self;
        let host = step.names().name(IpAddr::V4(address)).unwrap_or_else(|| address.to_string());
        let (protocol, remedy) = match (protocol, port) {
            (17, 53) => ("DNS".into(), "leave the name server of /etc/resolv.conf as it is"),
            (TCP, _) => ("TCP".into(), REMEDY),
            (17, _) => ("UDP".into(), REMEDY),
            (1, _) => ("ping".into(), REMEDY),
            (other, _) => (format!("IP protocol {other}"), REMEDY),
        };
        step.recorder().refuse(&host, port, RefusalKind::NotCarried(protocol), remedy.into());
    }
}

const REMEDY: &str = "fetch it over http, https or ssh from a host that the policy allows";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_and_stumps_are_none() {
        let mut packet = [0_u8; 28];
        packet[0] = 0x46;
        packet[9] = 17;
        packet[16..20].copy_from_slice(&[198, 51, 100, 7]);
        packet[26..28].copy_from_slice(&[0, 123]);
        let stray = Stray { protocol: 17, address: [198, 51, 100, 7].into(), port: 123 };
        assert_eq!(Stray::of(&packet), Some(stray));
        packet[9] = 47;
        assert_eq!(Stray::of(&packet), Some(Stray { protocol: 47, port: 0, ..stray }));
        for length in 0..20 {
            assert_eq!(Stray::of(&packet[..length]), None);
        }
        packet[9] = 6;
        assert_eq!(Stray::of(&packet[..27]), None);
    }
}
