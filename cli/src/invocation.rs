//! How the program was called: by its own name, or by Docker as the plugin `docker-touchmark`.

use std::{env, ffi::OsString, path::Path};

use crate::config;

/// The file name by which Docker finds its plugin (docs: `docker touchmark build …`).
const PLUGIN: &str = "docker-touchmark";
/// The subcommand of each plugin with which Docker asks what it is.
const METADATA: &str = "docker-cli-plugin-metadata";
/// Docker's own flags that take a value, before the plugin's name.
const WITH_VALUE: [&str; 10] = [
    "--config",
    "-c",
    "--context",
    "-H",
    "--host",
    "-l",
    "--log-level",
    "--tlscacert",
    "--tlscert",
    "--tlskey",
];

/// The arguments of this run, without the program's name and without what Docker puts before them.
pub(crate) fn arguments() -> Vec<OsString> {
    let mut given = env::args_os();
    let program = given.next().unwrap_or_default();
    let given: Vec<OsString> = given.collect();
    // Inside of the worker they were put in order before.
    if is_plugin(&program) && !config::entered() { of_plugin(given) } else { given }
}

/// How help names the program.
pub(crate) fn name() -> &'static str {
    match env::args_os().next() {
        Some(program) if is_plugin(&program) => "docker touchmark",
        _ => "touchmark",
    }
}

/// What Docker wants to know about the plugin, if it asks.
pub(crate) fn metadata(arguments: &[OsString]) -> Option<String> {
    let asks = arguments.len() == 1 && arguments[0] == METADATA;
    let description = "Build, harden, sign and push images without a daemon";
    asks.then(|| {
        serde_json::json!({
            "SchemaVersion": "0.1.0",
            "Vendor": "touchmark",
            "Version": env!("CARGO_PKG_VERSION"),
            "ShortDescription": description,
        })
        .to_string()
    })
}

fn is_plugin(program: &OsString) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == PLUGIN)
}

/// Docker passes its whole command line: its own flags, the plugin's name, the plugin's arguments. Its flags
/// are about a daemon, so nothing is lost with them.
fn of_plugin(given: Vec<OsString>) -> Vec<OsString> {
    let mut rest = given.iter();
    while let Some(argument) = rest.next() {
        match argument.to_str() {
            Some("touchmark") => return rest.cloned().collect(),
            Some(flag) if WITH_VALUE.contains(&flag) => drop(rest.next()),
            Some(flag) if flag.starts_with('-') => {}
            _ => break,
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(line: &str) -> String {
        let given = line.split(' ').map(OsString::from).collect();
        of_plugin(given).join(" ".as_ref()).into_string().unwrap()
    }

    #[test]
    fn dockers_own_part_is_left_out() {
        assert_eq!(stripped("touchmark build -t touchmark ."), "build -t touchmark .");
        assert_eq!(stripped("--debug -H unix:///x touchmark build ."), "build .");
        assert_eq!(stripped("--host=x --tls touchmark --help"), "--help");
        assert_eq!(stripped("docker-cli-plugin-metadata"), "docker-cli-plugin-metadata");
        assert_eq!(stripped("build touchmark"), "build touchmark");
    }

    #[test]
    fn metadata_is_what_docker_reads() {
        let answer = metadata(&[METADATA.into()]).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["SchemaVersion"], "0.1.0");
        assert!(answer["Vendor"].is_string() && answer["ShortDescription"].is_string());
        assert_eq!(metadata(&["build".into()]), None);
    }
}
