//! Connections of which nothing is seen but where they go: TLS by its server name, SSH and other ports by the rule that
//! names them.

use std::collections::BTreeSet;

use super::{
    mirror::{Mirror, Scheme, Tls},
    network::{Decision, NetworkPolicy, shortened, unknown_host, unserved_port},
};

impl NetworkPolicy {
    /// Decides on a TLS connection of which only the server name is seen. Rules that limit paths or
    /// rewrite to another path or scheme cannot be kept in a tunnel, so they do not allow one.
    #[must_use]
    pub fn decide_tunnel(&self, host: &str, port: u16) -> Decision {
        if port != Scheme::Https.port() {
            return unserved_port(host, port);
        }
        let mut of_host =
            self.mirrors().iter().filter(|mirror| mirror.host().covers(host, port, port));
        let Some(mirror) = of_host.next() else { return unknown_host(host, port) };
        let upstream = mirror.target(Scheme::Https, host, port, "");
        if !mirror.paths().is_empty()
            || upstream.scheme != Scheme::Https
            || !upstream.path.is_empty()
        {
            return Decision::Deny {
                reason: "the rule has paths or another upstream, which TLS hides".into(),
                remedy: "set tls = \"inspect\" for this host, so that requests are seen".into(),
            };
        }
        Decision::Allow { upstream, tls: mirror.tls(), rule: mirror.rule() }
    }

    /// Decides on an SSH connection. Only a rule that names port 22 allows one: what travels inside is not
    /// seen.
    #[must_use]
    pub fn decide_ssh(&self, host: &str) -> Decision {
        let port = Scheme::Ssh.port();
        let named = |mirror: &&Mirror| {
            mirror.host().port() == Some(port)
                && mirror.host().matches(host)
                && mirror.paths().is_empty()
        };
        let Some(mirror) = self.mirrors().iter().find(named) else {
            return unserved_port(host, port);
        };
        let upstream = mirror.target(Scheme::Ssh, host, port, "");
        if upstream.scheme != Scheme::Ssh {
            return Decision::Deny {
                reason: "the rule has another kind of upstream".into(),
                remedy: format!("write upstream = \"ssh://{}\", or leave it out", shortened(host)),
            };
        }
        Decision::Allow { upstream, tls: Tls::Tunnel, rule: mirror.rule() }
    }

    /// Decides on a connection to another port. Only a rule that names the port and says `tls = "tunnel"` allows
    /// one.
    #[must_use]
    pub fn decide_tcp(&self, host: &str, port: u16) -> Decision {
        let named =
            |mirror: &&Mirror| mirror.tunnel_port() == Some(port) && mirror.host().matches(host);
        let Some(mirror) = self.mirrors().iter().find(named) else {
            return unserved_tunnel(host, port);
        };
        let upstream = mirror.target(Scheme::Tcp, host, port, "");
        if upstream.scheme != Scheme::Tcp {
            return Decision::Deny {
                reason: "the rule has another kind of upstream".into(),
                remedy: format!(
                    "write upstream = \"tcp://{}:{port}\", or leave it out",
                    shortened(host)
                ),
            };
        }
        Decision::Allow { upstream, tls: Tls::Tunnel, rule: mirror.rule() }
    }

    /// The ports beside those of HTTP, TLS and SSH at which steps find tunnels.
    #[must_use]
    pub fn tunnel_ports(&self) -> BTreeSet<u16> {
        self.mirrors().iter().filter_map(Mirror::tunnel_port).collect()
    }
}

fn unserved_tunnel(host: &str, port: u16) -> Decision {
    match unserved_port(host, port) {
        Decision::Deny { reason, remedy } => {
            Decision::Deny { reason, remedy: format!("{remedy}\n  tls = \"tunnel\"") }
        }
        allowed @ Decision::Allow { .. } => allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn policy(text: &str) -> NetworkPolicy {
        let text = format!("[network]\nallow = []\n{text}");
        Policy::parse("touchmark.toml", &text).unwrap().network
    }

    #[test]
    fn a_tunnel_from_a_port_is_for_its_host_and_port_alone() {
        let policy = policy(
            "[[network.mirror]]\nhost = \"db.example:5432\"\nupstream = \"tcp://10.0.0.7:15432\"\ntls = \"tunnel\"\n\
             [[network.mirror]]\nhost = \"bus.example:5672\"\ntls = \"tunnel\"\n\
             [[network.mirror]]\nhost = \"files.example:8080\"\n",
        );
        let to = |host: &str, port| match policy.decide_tcp(host, port) {
            Decision::Allow { upstream, tls: Tls::Tunnel, rule } => {
                Ok((upstream.url(None), upstream.named, rule))
            }
            Decision::Allow { .. } => panic!("not a tunnel"),
            Decision::Deny { reason, remedy } => Err(format!("{reason}\nhelp: {remedy}")),
        };
        let rule = "policy: db.example:5432".to_owned();
        assert_eq!(to("db.example", 5432), Ok(("tcp://10.0.0.7:15432".into(), true, rule)));
        let rule = "policy: bus.example:5672".to_owned();
        assert_eq!(to("bus.example", 5672), Ok(("tcp://bus.example:5672".into(), false, rule)));
        assert_eq!(
            to("bus.example", 5432).unwrap_err(),
            "the policy does not allow the port 5432 of 'bus.example'\nhelp: add to touchmark.toml:\n  \
             [[network.mirror]]\n  host = \"bus.example:5432\"\n  tls = \"tunnel\""
        );
        assert!(to("files.example", 8080).is_err(), "an inspected port is for ADD");
        assert_eq!(policy.tunnel_ports().into_iter().collect::<Vec<_>>(), [5432, 5672]);
        assert!(policy.knows("db.example") && !policy.knows("files.example"));
        let get = policy.decide(Scheme::Http, "db.example", 5432, "GET", "/");
        assert!(matches!(get, Decision::Deny { .. }), "{get:?}");
    }

    #[test]
    fn keys_that_contradict_one_another_are_told() {
        let faults = |rest: &str| {
            let text = format!("[network]\n[[network.mirror]]\n{rest}\n");
            let error = Policy::parse("touchmark.toml", &text).unwrap_err();
            let told =
                error.faults().iter().map(|one| format!("{}\nhelp: {}", one.message, one.help));
            told.collect::<Vec<_>>().join("\n")
        };
        let cases = [
            (
                "host = \"h.example\"\ntls = \"tunnel\"\ncredentials = \"t\"",
                "nobody can log in inside a tunnel\nhelp: drop 'credentials', or set tls = \"inspect\"",
            ),
            (
                "host = \"*.example\"\ncredentials = \"t\"",
                "'credentials' would go to every host below the name\nhelp: name one host, or add an upstream = \
                 \"https://…\" that they are for",
            ),
            (
                "host = \"h.example\"\nupstream = \"tcp://x.example:7\"",
                "an upstream of tcp:// is for a tunnel from a port\nhelp: write host = \"name:port\" and tls = \"tunnel\"",
            ),
            (
                "host = \"h.example\"\ncredentials = \"\"",
                "'credentials' is empty\nhelp: write the id of a build secret, as in credentials = \"mirror-token\"",
            ),
            (
                "host = \"h.example\"\nlimits = { body = 1 }",
                "unknown key 'body' in [network.mirror.limits]\nhelp: known here: body-bytes, total-bytes, seconds, redirects",
            ),
        ];
        for (text, told) in cases {
            assert_eq!(faults(text), told);
        }
        let error = Policy::parse(
            "p",
            "[[network.mirror]]\nhost = \"h.example:1\"\nupstream = \"tcp://x.example\"\n",
        );
        assert!(error.unwrap_err().to_string().contains("'tcp://x.example' is not an upstream"));
    }
}
