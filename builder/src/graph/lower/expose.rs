//! EXPOSE: `[ip:][host port:]port[-last][/tcp|udp|sctp]`; only the port and the protocol are kept.

use super::{Lowering, created_by, stage::StageState};
use crate::{
    dockerfile::{Diagnostic, instruction::Located},
    oci::config::Empty,
};

impl Lowering<'_, '_> {
    pub(super) fn expose(&mut self, state: &mut StageState, ports: &[Located]) {
        let mut exposed = Vec::new();
        for port in ports {
            match self.expander().expand(&port.text, &state.env) {
                // A variable may hold several ports.
                Ok(expanded) => {
                    for word in &expanded.words {
                        match parse(word) {
                            Ok(found) => exposed.extend(found),
                            Err(message) => self.faults.push(
                                Diagnostic::new(port.span, message)
                                    .help("write a port, such as 80, 53/udp or 8000-8010/tcp"),
                            ),
                        }
                    }
                }
                Err(error) => self
                    .faults
                    .push(Diagnostic::new(port.span, error.to_string()).help(error.help())),
            }
        }
        let known = exposed.iter().map(|port| (port.clone(), Empty {}));
        state.config.config.exposed_ports.extend(known);
        state.commit(format!("EXPOSE {}", created_by::list(&exposed)), None);
    }
}

/// The ports of a word, as `port/protocol`.
fn parse(word: &str) -> Result<Vec<String>, String> {
    let shown: String = word.chars().take(60).collect();
    let mut parts = word.rsplitn(3, ':');
    let container = parts.next().unwrap_or_default();
    let (host, address) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (port, protocol) = container.split_once('/').unwrap_or((container, ""));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" => "tcp".to_owned(),
        known @ ("tcp" | "udp" | "sctp") => known.to_owned(),
        _ => return Err(format!("the protocol of '{shown}' is none of tcp, udp and sctp")),
    };
    let no_port = || format!("'{shown}' is not a port");
    let (first, last) = range(port).ok_or_else(no_port)?;
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    if !bare.is_empty() && bare.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("the address of '{shown}' is not valid"));
    }
    if !host.is_empty() {
        let (host_first, host_last) = range(host).ok_or_else(no_port)?;
        if first != last && last - first != host_last - host_first {
            return Err(format!("the two ranges of '{shown}' are not of the same length"));
        }
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// `port` or `first-last`.
fn range(text: &str) -> Option<(u16, u16)> {
    // A sign is read as well.
    let number = |text: &str| text.parse::<u16>().ok();
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn ports() {
        assert_eq!(parse("80").unwrap(), ["80/tcp"]);
        assert_eq!(parse("53/UDP").unwrap(), ["53/udp"]);
        assert_eq!(parse("8000-8002/tcp").unwrap(), ["8000/tcp", "8001/tcp", "8002/tcp"]);
        assert_eq!(parse("127.0.0.1:8080:80").unwrap(), ["80/tcp"]);
        assert_eq!(parse("[::1]:8080:80").unwrap(), ["80/tcp"]);
        assert_eq!(parse("8080:80").unwrap(), ["80/tcp"]);
        assert_eq!(parse("80/").unwrap(), parse("+80").unwrap());
        for word in ["", "http", "70000", "9-8", "-1", "80/xyz", "1-2-3", "x:1:80"] {
            assert!(parse(word).is_err(), "{word}");
        }
    }
}
