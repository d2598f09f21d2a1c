//! What the environment says about OpenTelemetry: the variables of its specification that matter to a program that sends
//! one trace and ends (docs/trace.md lists them).

use std::time::Duration;

use touchmark_builder::{
    secret::Secret,
    trace::{
        collector::{Collector, Protocol},
        otlp::Identity,
    },
};
use url::Url;

/// Where a trace goes, and what it belongs to.
#[derive(Debug)]
pub(crate) struct Telemetry {
    /// Who takes it.
    pub(crate) collector: Collector,
    /// What it belongs to.
    pub(crate) identity: Identity,
}

impl Telemetry {
    /// What `variable` asks for; nothing where no collector is named, or it is switched off.
    ///
    /// # Errors
    /// What is wrong and what to do, without the values of headers.
    pub(crate) fn asked(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let off = variable("OTEL_SDK_DISABLED")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        let Some(url) = endpoint(&variable)?.filter(|_| !off) else { return Ok(None) };
        // What is said about traces goes before what is said about everything.
        let either = |name: &str| {
            let own = variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
            own.or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let collector = Collector {
            url,
            headers: headers(&variable)?,
            protocol: protocol(either("PROTOCOL").as_deref())?,
            timeout: timeout(either("TIMEOUT").as_deref())?,
        };
        Ok(Some(Self { collector, identity: identity(&variable) }))
    }
}

/// `…_TRACES_ENDPOINT` as it stands there, else `…_ENDPOINT` with the path of traces below it.
fn endpoint(variable: &impl Fn(&str) -> Option<String>) -> Result<Option<Url>, String> {
    let (name, value, below) = match variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        Some(value) => ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value, ""),
        None => match variable("OTEL_EXPORTER_OTLP_ENDPOINT") {
            Some(value) => ("OTEL_EXPORTER_OTLP_ENDPOINT", value, "/v1/traces"),
            None => return Ok(None),
        },
    };
    let value = match below {
        "" => value,
        below => format!("{}{below}", value.trim_end_matches('/')),
    };
    let url = Url::parse(&value).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    // The address may hold a password, so it is not repeated.
    let url = url.ok_or_else(|| {
        format!(
            "{name} is no address of a collector, so no trace is sent\n\
             help: set it to an address such as http://127.0.0.1:4318, or unset it"
        )
    })?;
    Ok(Some(url))
}

fn protocol(word: Option<&str>) -> Result<Protocol, String> {
    match word {
        None | Some("http/protobuf") => Ok(Protocol::Protobuf),
        Some("http/json") => Ok(Protocol::Json),
        Some(other) => Err(format!(
            "OTEL_EXPORTER_OTLP_PROTOCOL is '{}', which touchmark does not speak, so no trace is sent\n\
             help: set it to http/protobuf or http/json; collectors listen for both on port 4318",
            crate::ui::text::harmless(other)
        )),
    }
}

fn timeout(text: Option<&str>) -> Result<Duration, String> {
    let Some(text) = text else { return Ok(Duration::from_secs(10)) };
    let milliseconds = text.trim().parse().ok().filter(|milliseconds| *milliseconds > 0);
    milliseconds.map(Duration::from_millis).ok_or_else(|| {
        "OTEL_EXPORTER_OTLP_TIMEOUT is no number of milliseconds, so no trace is sent\n\
         help: set it to a number such as 10000, or unset it"
            .into()
    })
}

/// Those of `…_HEADERS`, and over them those of `…_TRACES_HEADERS`.
fn headers(variable: &impl Fn(&str) -> Option<String>) -> Result<Vec<(String, Secret)>, String> {
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for name in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"] {
        let text = Secret::new(variable(name).unwrap_or_default());
        for (key, value) in pairs(text.expose_secret()) {
            let token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let Some(value) = value.filter(|_| !key.is_empty() && key.chars().all(token)) else {
                return Err(format!(
                    "{name} is no list of headers, so no trace is sent\n\
                     help: write it as name=value,name=value, with %2C for a comma"
                ));
            };
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&key));
            headers.push((key, Secret::new(value)));
        }
    }
    Ok(headers)
}

/// `a=b,c=d`: names with their values, of which `%XX` is undone; no value where there is no `=`.
fn pairs(text: &str) -> Vec<(String, Option<String>)> {
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    let pairs = parts.map(|part| match part.split_once('=') {
        Some((key, value)) => (key.trim().to_owned(), Some(unescaped(value.trim()))),
        None => (part.trim().to_owned(), None),
    });
    pairs.collect()
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let byte = after.get(..2).filter(|_| *first == b'%').and_then(|two| hex::decode(two).ok());
        match byte {
            Some(byte) => {
                bytes.extend(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn identity(variable: &impl Fn(&str) -> Option<String>) -> Identity {
    let mut random = [0; 24];
    // Without randomness two builds may share an id: a trace is no secret, and proves nothing.
    let _ = getrandom::fill(&mut random);
    let mut own = [1; 16];
    own[..15].copy_from_slice(&random[..15]);
    let mut seed = [0; 8];
    seed.copy_from_slice(&random[16..]);
    let parent = variable("TRACEPARENT").and_then(|header| Identity::of_parent(&header));
    let mut resource: Vec<(String, String)> = Vec::new();
    let mut put = |key: String, value: String| {
        resource.retain(|(known, _)| *known != key);
        resource.push((key, value));
    };
    put("service.name".into(), "touchmark".into());
    put("service.version".into(), env!("CARGO_PKG_VERSION").into());
    for (key, value) in pairs(&variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default()) {
        if let Some(value) = value {
            put(key, value);
        }
    }
    if let Some(name) = variable("OTEL_SERVICE_NAME") {
        put("service.name".into(), name);
    }
    Identity {
        trace_id: parent.map_or(own, |(trace, _)| trace),
        parent: parent.map(|(_, span)| span),
        state: parent.and_then(|_| variable("TRACESTATE")).unwrap_or_default(),
        seed: u64::from_be_bytes(seed),
        resource,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(variables: &[(&str, &str)]) -> Result<Option<Telemetry>, String> {
        Telemetry::asked(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    const HERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.7:4318/");

    #[test]
    fn nothing_is_sent_unless_a_collector_is_named() {
        assert!(asked(&[]).unwrap().is_none());
        assert!(asked(&[HERE, ("OTEL_SDK_DISABLED", "True")]).unwrap().is_none());
        assert!(asked(&[HERE, ("OTEL_TRACES_EXPORTER", "none")]).unwrap().is_none());
        let telemetry = asked(&[HERE]).unwrap().unwrap();
        assert_eq!(telemetry.collector.url.as_str(), "http://192.0.2.7:4318/v1/traces");
        assert_eq!(telemetry.collector.protocol, Protocol::Protobuf);
        assert_eq!(telemetry.identity.parent, None);
        assert_ne!(telemetry.identity.trace_id, [0; 16]);
    }

    #[test]
    fn what_is_said_about_traces_goes_first() {
        let telemetry = asked(&[
            HERE,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example/in?tenant=7"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20one, x-tenant=a%2Cb"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Authorization=Bearer two"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,team=build%20er"),
            ("OTEL_SERVICE_NAME", "nightly"),
            ("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ]);
        let Telemetry { collector, identity } = asked_ok(telemetry);
        assert_eq!(collector.url.as_str(), "https://traces.example/in?tenant=7");
        let headers = collector.headers.iter();
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        assert_eq!(headers, [("x-tenant", "a,b"), ("Authorization", "Bearer two")]);
        assert_eq!(collector.timeout, Duration::from_millis(1500));
        assert_eq!(collector.protocol, Protocol::Json);
        assert_eq!(identity.parent.unwrap()[1], 0xf0);
        assert!(identity.resource.contains(&("service.name".into(), "nightly".into())));
        assert!(identity.resource.contains(&("team".into(), "build er".into())));
        assert!(!format!("{collector:?}").contains("Bearer"));
    }

    fn asked_ok(telemetry: Result<Option<Telemetry>, String>) -> Telemetry {
        telemetry.unwrap().unwrap()
    }

    #[test]
    fn faults_name_the_variable_and_never_its_value() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://user:s3cret@traces.example"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "two words=s3cret"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "s3cret"),
        ] {
            let error = asked(&[HERE, (name, value)]).unwrap_err();
            assert!(error.contains(name.trim_start_matches("OTEL_EXPORTER_OTLP_")), "{error}");
            assert!(error.contains("help: ") && !error.contains("s3cret"), "{error}");
        }
        let error = asked(&[HERE, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
        assert!(error.contains("http/protobuf"), "{error}");
    }
}
