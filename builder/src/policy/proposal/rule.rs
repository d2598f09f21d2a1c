//! Requests as rules: one `[[network.mirror]]` per host, upstream and kind of methods.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::{Request, area::patterns};
use crate::policy::{glob::Glob, mirror::Scheme};

/// A proposed mirror.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) upstream: Option<String>,
    /// Patterns with the paths that they are for; empty stands for every path.
    pub(super) paths: BTreeMap<String, BTreeSet<String>>,
    /// The methods, where they do more than read.
    pub(super) methods: BTreeSet<String>,
    pub(super) tunnel: bool,
    pub(super) lines: BTreeSet<u64>,
    pub(super) ecosystems: BTreeSet<String>,
    /// How many requests it is for.
    pub(super) count: usize,
}

/// The host with what tells its rules apart: tunnel, writing, upstream.
type Key = (String, bool, bool, Option<String>);

/// The rules, by host as the policy writes it.
pub(super) fn rules(requests: &[Request]) -> Vec<(String, Rule)> {
    let mut hosts: BTreeMap<String, Vec<&Request>> = BTreeMap::new();
    for request in requests {
        hosts.entry(host(request)).or_default().push(request);
    }
    let mut rules: BTreeMap<Key, Rule> = BTreeMap::new();
    for (host, requests) in hosts {
        let (unseen, seen): (Vec<&Request>, Vec<&Request>) =
            requests.into_iter().partition(|request| request.method == "CONNECT");
        for request in unseen {
            let upstream = request.fetched_from.clone().map(|url| url.trim_end_matches('/').into());
            let rule = rules.entry((host.clone(), true, false, upstream.clone())).or_default();
            (rule.tunnel, rule.upstream) = (true, upstream);
            rule.note(request);
        }
        inspected(&host, &seen, &mut rules);
    }
    rules.into_iter().map(|((host, ..), rule)| (host, rule)).collect()
}

fn inspected(host: &str, requests: &[&Request], rules: &mut BTreeMap<Key, Rule>) {
    let mut kinds: BTreeMap<(bool, Option<&str>), Vec<&Request>> = BTreeMap::new();
    for request in requests {
        let writes = !matches!(request.method.as_str(), "GET" | "HEAD");
        let ecosystem = request.ecosystem.as_deref();
        kinds.entry((writes, ecosystem)).or_default().push(request);
    }
    for ((writes, ecosystem), requests) in kinds {
        let files = requests.iter().filter(|request| !request.repository);
        let paths: BTreeSet<&str> = files.map(|request| request.path.as_str()).collect();
        // What may be written to is named; a layout is about what is read.
        let areas = patterns(&paths, ecosystem.filter(|_| !writes));
        for request in requests {
            let area = match request.repository {
                true => format!("{}/**", request.path.trim_end_matches('/')),
                false => areas.get(&request.path).cloned().unwrap_or_else(|| "/**".into()),
            };
            for (host, area, path, upstream) in placed(host, request, area) {
                let rule = rules.entry((host, false, writes, upstream.clone())).or_default();
                rule.upstream = upstream;
                rule.paths.entry(area).or_default().insert(path);
                if writes {
                    rule.methods.insert(request.method.clone());
                }
                rule.note(request);
            }
        }
    }
}

/// The pattern with the upstream that leads from it to where the request was fetched. Where no upstream can, it
/// was a redirect: then both hosts need a rule.
fn placed(
    host: &str,
    request: &Request,
    area: String,
) -> Vec<(String, String, String, Option<String>)> {
    let path = request.path.clone();
    let location = request.fetched_from.as_deref().and_then(|url| Url::parse(url).ok());
    let Some(location) = location else { return vec![(host.into(), area, path, None)] };
    let origin = location.origin().ascii_serialization();
    if location.path() == request.path {
        return vec![(host.into(), area, path, Some(origin))];
    }
    for area in [area.clone(), narrowed(&request.path, location.path())] {
        let fixed = Glob::new(&area).map(|glob| glob.fixed().to_owned()).unwrap_or_default();
        let rest = request.path.strip_prefix(&fixed);
        let prefix = rest.and_then(|rest| location.path().strip_suffix(rest));
        if let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty()) {
            let upstream = format!("{origin}{prefix}");
            return vec![(host.into(), area, path, Some(upstream))];
        }
    }
    let target = location.path().to_owned();
    let there = patterns(&BTreeSet::from([target.as_str()]), request.ecosystem.as_deref());
    let there = there.get(&target).cloned().unwrap_or_else(|| "/**".into());
    let at = origin.split_once("://").map_or(origin.as_str(), |(_, at)| at).to_owned();
    vec![(host.into(), area, path, None), (at, there, target, None)]
}

/// The pattern for what is below the part of the path that was replaced.
fn narrowed(asked: &str, fetched: &str) -> String {
    let (asked, fetched): (Vec<&str>, Vec<&str>) =
        (asked.split('/').skip(1).collect(), fetched.split('/').skip(1).collect());
    let same = asked.iter().rev().zip(fetched.iter().rev()).take_while(|(a, b)| a == b).count();
    let replaced = asked.iter().take(asked.len() - same);
    format!("{}/**", replaced.map(|part| format!("/{part}")).collect::<String>())
}

/// The host as a rule names it: with the port where that is not the usual one.
fn host(request: &Request) -> String {
    let usual = request.port == request.scheme.port() && request.scheme != Scheme::Ssh;
    match usual {
        true => request.host.clone(),
        false => format!("{}:{}", request.host, request.port),
    }
}

impl Rule {
    fn note(&mut self, request: &Request) {
        self.count += 1;
        self.lines.extend(request.line);
        self.ecosystems.extend(request.ecosystem.clone());
    }

    /// The patterns to write: none where one of them is for every path.
    pub(super) fn written_paths(&self) -> Vec<(&str, &BTreeSet<String>)> {
        if self.paths.contains_key("/**") {
            return Vec::new();
        }
        let covered = |pattern: &str| {
            let wider = |other: &&String| {
                let below = other.strip_suffix("**").filter(|below| pattern.starts_with(*below));
                other.as_str() != pattern && below.is_some()
            };
            // An upstream with a path stands for the fixed part of the very pattern that matches.
            self.upstream.is_none() && self.paths.keys().any(|other| wider(&other))
        };
        let patterns = self.paths.iter().map(|(pattern, paths)| (pattern.as_str(), paths));
        patterns.filter(|(pattern, _)| !covered(pattern)).collect()
    }
}
