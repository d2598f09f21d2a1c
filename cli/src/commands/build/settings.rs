//! What the command line says about all RUN steps: names, limits, rights.

use std::{collections::BTreeMap, net::IpAddr};

use serde_json::{Value, json};
use touchmark_builder::{
    dockerfile::mount,
    executor::Ulimit,
    solver::settings::{Entitlements, HostAddress, NETWORK_HOST, SECURITY_INSECURE, StepSettings},
};

use super::arguments::steps::{NetworkArg, StepArgs};
use crate::error::CliError;

/// Names of resource limits (setrlimit(2)).
const LIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Reads the flags.
pub(super) fn read(args: &StepArgs) -> Result<StepSettings, CliError> {
    let hosts = args.add_host.iter().flat_map(|text| text.split(',')).map(host);
    let shm_size = args.shm_size.as_deref().map(|text| {
        mount::bytes(text).filter(|bytes| *bytes > 0).ok_or_else(|| {
            CliError::usage(format!("--shm-size: '{text}' is no size"))
                .hint("write bytes, or a size such as 512m or 1g")
        })
    });
    Ok(StepSettings {
        hosts: hosts.collect::<Result<_, _>>()?,
        shm_size: shm_size.transpose()?,
        ulimits: args.ulimit.iter().map(|text| ulimit(text)).collect::<Result<_, _>>()?,
    })
}

/// What `--allow` gives, and `--network host`, which is a permission in itself.
pub(super) fn allowed(args: &StepArgs) -> Result<Entitlements, CliError> {
    let mut allowed =
        Entitlements { network_host: args.network == NetworkArg::Host, ..Entitlements::default() };
    for right in args.allow.iter().flat_map(|text| text.split(',')) {
        match right {
            NETWORK_HOST => allowed.network_host = true,
            SECURITY_INSECURE => allowed.security_insecure = true,
            _ => {
                return Err(CliError::usage(format!("--allow: '{right}' is no right"))
                    .hint("the rights are network.host and security.insecure"));
            }
        }
    }
    Ok(allowed)
}

/// How provenance names what was given.
pub(super) fn parameters(settings: &StepSettings, allow: Entitlements) -> BTreeMap<String, Value> {
    let mut named = BTreeMap::new();
    let mut list = |name: &str, values: Vec<String>| {
        if !values.is_empty() {
            named.insert(name.to_owned(), json!(values));
        }
    };
    let address = |address: &HostAddress| match address {
        HostAddress::Address(address) => address.to_string(),
        HostAddress::Gateway => "host-gateway".to_owned(),
    };
    let hosts = settings.hosts.iter().map(|(name, at)| format!("{name}={}", address(at)));
    list("hosts", hosts.collect());
    let limit = |limit: &Ulimit| format!("{}={}:{}", limit.name, limit.soft, limit.hard);
    list("ulimits", settings.ulimits.iter().map(limit).collect());
    let rights = [(allow.network_host, NETWORK_HOST), (allow.security_insecure, SECURITY_INSECURE)];
    let rights = rights.into_iter().filter(|(given, _)| *given);
    list("allow", rights.map(|(_, name)| name.to_owned()).collect());
    if let Some(bytes) = settings.shm_size {
        named.insert("shmSize".to_owned(), json!(bytes));
    }
    named
}

/// `NAME:ADDRESS` or `NAME=ADDRESS`; an IPv6 address may stand in brackets.
fn host(text: &str) -> Result<(String, HostAddress), CliError> {
    let fault = || {
        CliError::usage(format!("--add-host: '{text}' is no name with an address"))
            .hint("write for example --add-host db.example:192.0.2.7")
    };
    let (name, address) = text.split_once(['=', ':']).ok_or_else(fault)?;
    let usable = |c: char| c.is_ascii_graphic() && c != '#';
    if name.is_empty() || !name.chars().all(usable) {
        return Err(fault());
    }
    if address == "host-gateway" {
        return Ok((name.to_owned(), HostAddress::Gateway));
    }
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address: IpAddr = bare.unwrap_or(address).parse().map_err(|_| fault())?;
    Ok((name.to_owned(), HostAddress::Address(address)))
}

/// `NAME=SOFT[:HARD]`; -1 is no limit.
fn ulimit(text: &str) -> Result<Ulimit, CliError> {
    let fault = |reason: &str| {
        CliError::usage(format!("--ulimit: '{text}' {reason}"))
            .hint("write NAME=SOFT[:HARD], for example nofile=1024:4096")
    };
    let (name, values) = text.split_once('=').ok_or_else(|| fault("has no value"))?;
    if !LIMITS.contains(&name) {
        let known = LIMITS.join(", ");
        return Err(CliError::usage(format!("--ulimit: '{name}' is no resource limit"))
            .hint(format!("the limits are {known}")));
    }
    let number = |text: &str| match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        text => text.parse().map_err(|_| fault("is not a number")),
    };
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (number(soft)?, number(hard)?);
    if soft > hard {
        return Err(fault("has a soft limit above the hard one"));
    }
    Ok(Ulimit { name: name.to_owned(), soft, hard })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_an_address() {
        let address = |text: &str| HostAddress::Address(text.parse().unwrap());
        assert_eq!(host("db:192.0.2.7").unwrap(), ("db".into(), address("192.0.2.7")));
        assert_eq!(host("db=2001:db8::1").unwrap(), ("db".into(), address("2001:db8::1")));
        assert_eq!(host("db:[2001:db8::1]").unwrap().1, address("2001:db8::1"));
        assert_eq!(host("me:host-gateway").unwrap().1, HostAddress::Gateway);
        for bad in ["", "db", "db:", ":192.0.2.7", "db:x", "a b:192.0.2.7", "a\nb:192.0.2.7"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_limit_is_one_number_or_two() {
        let one = ulimit("nofile=10").unwrap();
        assert_eq!((one.soft, one.hard), (10, 10));
        let two = ulimit("core=0:-1").unwrap();
        assert_eq!((two.soft, two.hard), (0, u64::MAX));
        for (bad, said) in [
            ("nofile", "has no value"),
            ("nofile=x", "is not a number"),
            ("nofile=2:1", "has a soft limit above the hard one"),
            ("files=1", "'files' is no resource limit"),
        ] {
            assert!(ulimit(bad).unwrap_err().to_string().contains(said), "{bad}");
        }
    }
}
