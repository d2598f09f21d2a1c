//! The two network namespaces of a step and the sockets between them.
//!
//! The step's namespace has one veth whose peer lies in the egress namespace, which has no way out.
//! There every IPv4 address is local (AnyIP), so a listener on 0.0.0.0:80 takes a connection to any
//! address and reads from it which one was asked for. Nothing has a name in the file system: the
//! kernel drops both namespaces with the last descriptor and process, also after `kill -9`.

use std::{
    fs::{self, File},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket},
    os::fd::AsRawFd,
    sync::Arc,
    thread,
};

use nix::sched::{CloneFlags, unshare};
use rtnetlink::{
    Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
    packet_route::{
        link::{InfoData, InfoVeth},
        route::{RouteScope, RouteType},
    },
};
use socket2::Socket;

use super::stray;

/// The step's own address.
pub(super) const STEP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 1);
/// The address of the egress end, which serves DNS.
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const PREFIX: u8 = 30;
/// Chosen, so that no look-up by name is needed; far from those that the kernel gives out first. They
/// differ, for the kernel reports the carrier of a link late when its peer has the same index.
const STEP_LINK: u32 = 100;
const EGRESS_LINK: u32 = 101;
const LOOPBACK: u32 = 1;

/// Why a step got no network.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// The kernel gives no network namespace.
    #[error(
        "cannot make a network namespace: {0}\nhelp: run inside the worker's user namespace and check \
         sysctl user.max_net_namespaces"
    )]
    Unshare(nix::Error),
    /// One of the netlink requests failed.
    #[error("cannot {step} the step's network: {source}")]
    Netlink {
        /// Which request.
        step: &'static str,
        /// The kernel's answer.
        source: rtnetlink::Error,
    },
    /// A file under /proc or a socket failed.
    #[error("cannot {step} the step's network: {source}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

/// A step's namespace and the listeners in its egress namespace, not yet served by anyone.
#[derive(Debug)]
pub(super) struct Namespaces {
    pub(super) step: File,
    pub(super) dns_udp: UdpSocket,
    pub(super) dns_tcp: TcpListener,
    pub(super) http: TcpListener,
    pub(super) tls: TcpListener,
    pub(super) ssh: TcpListener,
    /// What goes past all of them; none on a kernel without packet sockets, which only costs the report.
    pub(super) stray: Option<Socket>,
    /// At the ports of the policy's tunnels.
    pub(super) tunnels: Vec<TcpListener>,
}

impl Namespaces {
    /// Makes both namespaces on a thread of its own, because a thread cannot come back from
    /// `unshare`, and ends that thread. `tunnels` are ports at which is listened, too.
    pub(super) async fn open(tunnels: Arc<[u16]>) -> Result<Self, NamespaceError> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let run = move || {
            // The receiver is gone when the build was cancelled; then the descriptors just close.
            let _ = sender.send(build(&tunnels));
        };
        let spawned = thread::Builder::new().name("egress".into()).spawn(run);
        spawned.map_err(io_fault("start a thread for"))?;
        let gone = |_| io_fault("finish")(io::Error::other("the thread ended early"));
        receiver.await.map_err(gone)?
    }
}

fn build(tunnels: &[u16]) -> Result<Namespaces, NamespaceError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(io_fault("start a runtime for"))?;
    runtime.block_on(async {
        let step = enter_new()?;
        prepare_step();
        let step_links = connect()?;
        enter_new()?;
        prepare_egress();
        let egress_links = connect()?;
        link(&egress_links, &step_links, &step).await?;
        let any = |port| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        let dns = SocketAddrV4::new(GATEWAY, 53);
        let dns_udp = UdpSocket::bind(dns).map_err(io_fault("listen for DNS in"))?;
        dns_udp.set_nonblocking(true).map_err(io_fault("listen for DNS in"))?;
        let (dns_tcp, http, tls) = (listen(dns)?, listen(any(80))?, listen(any(443))?);
        let ssh = listen(any(22))?;
        let tunnels = tunnels.iter().map(|port| listen(any(*port))).collect::<Result<_, _>>()?;
        let stray = stray::open().ok();
        Ok(Namespaces { step, dns_udp, dns_tcp, http, tls, ssh, stray, tunnels })
    })
}

/// Puts this thread into a new network namespace and returns its descriptor.
fn enter_new() -> Result<File, NamespaceError> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(NamespaceError::Unshare)?;
    File::open("/proc/thread-self/ns/net").map_err(io_fault("open"))
}

/// A netlink socket stays in the namespace in which it was opened.
fn connect() -> Result<Handle, NamespaceError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(io_fault("talk to"))?;
    tokio::spawn(connection);
    Ok(handle)
}

/// What Docker sets for a container: servers may bind low ports, ping works without privileges.
fn prepare_step() {
    set("ipv6/conf/all/disable_ipv6", "1");
    set("ipv6/conf/default/disable_ipv6", "1");
    set("ipv4/ip_unprivileged_port_start", "0");
    // The range must be mapped in this user namespace, which may hold 65536 groups or one.
    let _ = set("ipv4/ping_group_range", "0 2147483647")
        || set("ipv4/ping_group_range", "0 65535")
        || set("ipv4/ping_group_range", "0 0");
}

/// No reverse path filter, since every address is here; no forwarding; no answers to echo requests,
/// which would make unreachable hosts look alive.
fn prepare_egress() {
    set("ipv6/conf/all/disable_ipv6", "1");
    set("ipv6/conf/default/disable_ipv6", "1");
    set("ipv4/conf/all/rp_filter", "0");
    set("ipv4/conf/default/rp_filter", "0");
    set("ipv4/ip_forward", "0");
    set("ipv4/icmp_echo_ignore_all", "1");
}

/// A setting that this kernel does not have is no fault: the IPv6 ones where there is no IPv6. What
/// matters for safety does not depend on any of them.
fn set(name: &str, value: &str) -> bool {
    fs::write(format!("/proc/sys/net/{name}"), value).is_ok()
}

async fn link(egress: &Handle, step: &Handle, step_ns: &File) -> Result<(), NamespaceError> {
    let up = || LinkMessageBuilder::<LinkUnspec>::new().index(LOOPBACK).up().build();
    egress.link().set(up()).execute().await.map_err(fault("bring up"))?;
    step.link().set(up()).execute().await.map_err(fault("bring up"))?;
    // The peer is born in the step's namespace: moving it there would wait for a grace period.
    let peer = LinkMessageBuilder::<LinkUnspec>::new()
        .name("eth0")
        .index(STEP_LINK)
        .setns_by_fd(step_ns.as_raw_fd())
        .build();
    let pair = LinkMessageBuilder::<LinkVeth>::new("veth0", "eth0")
        .index(EGRESS_LINK)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build();
    egress.link().add(pair).execute().await.map_err(fault("make the link of"))?;
    for (handle, link, address) in [(egress, EGRESS_LINK, GATEWAY), (step, STEP_LINK, STEP)] {
        let request = handle.address().add(link, IpAddr::V4(address), PREFIX);
        request.execute().await.map_err(fault("address"))?;
        let up = LinkMessageBuilder::<LinkUnspec>::new().index(link).up().build();
        handle.link().set(up).execute().await.map_err(fault("bring up"))?;
    }
    for half in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(128, 0, 0, 0)] {
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(half, 1)
            .output_interface(LOOPBACK)
            .kind(RouteType::Local)
            .scope(RouteScope::Host)
            .build();
        egress.route().add(route).execute().await.map_err(fault("route"))?;
    }
    let default = RouteMessageBuilder::<Ipv4Addr>::new().gateway(GATEWAY).build();
    step.route().add(default).execute().await.map_err(fault("route"))
}

fn listen(address: SocketAddrV4) -> Result<TcpListener, NamespaceError> {
    let listener = TcpListener::bind(address).map_err(io_fault("listen in"))?;
    listener.set_nonblocking(true).map_err(io_fault("listen in"))?;
    Ok(listener)
}

fn fault(step: &'static str) -> impl Fn(rtnetlink::Error) -> NamespaceError {
    move |source| NamespaceError::Netlink { step, source }
}

fn io_fault(step: &'static str) -> impl Fn(io::Error) -> NamespaceError {
    move |source| NamespaceError::Io { step, source }
}
