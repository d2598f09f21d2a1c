//! Builds cases with Docker and keeps what comes out. Needs a Docker whose BuildKit can write `type=oci`, and root.

use std::{path::Path, process::Command};

use serde_json::Value;

use super::{EPOCH, case::Case, context, record};
use crate::registry::Registry;

/// Docker's command line.
#[derive(Debug, Clone)]
pub struct Peer {
    command: Vec<String>,
}

impl Peer {
    /// `command` in words, e.g. `docker` or `nsenter … docker`.
    #[must_use]
    pub fn new(command: &str) -> Self {
        Self { command: command.split_whitespace().map(str::to_owned).collect() }
    }

    fn docker(&self, before: &[&str], args: &[&str]) -> Result<String, String> {
        // Variables go through env(1): the words in front may start from an empty environment.
        let (last, first) = self.command.split_last().expect("a command");
        let words = first.iter().map(String::as_str).chain(before.iter().copied());
        let words: Vec<&str> = words.chain([last.as_str()]).chain(args.iter().copied()).collect();
        let output = Command::new(words[0]).args(&words[1..]).output().expect("the peer's command");
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Name and version, as kept beside the records.
    #[must_use]
    pub fn version(&self) -> String {
        let version = self.docker(&[], &["version", "--format", "{{.Server.Version}}"]);
        format!("Docker {}", version.expect("the peer answers").trim())
    }

    /// Makes the base images known under their short names.
    pub fn take_bases(&self, registry: &Registry) {
        for (name, _) in super::bases::all() {
            let image = registry.image(&format!("library/{name}:latest"));
            self.docker(&[], &["pull", &image]).expect("docker pull of a base");
            self.docker(&[], &["tag", &image, &name]).expect("docker tag");
        }
    }

    /// Builds `case` below `work`, which the peer must see under the same path.
    #[must_use]
    pub fn build(&self, case: &Case, work: &Path, registry: &str) -> Value {
        case.write_contexts(work);
        let archive = work.join("peer.tar");
        // Times newer than the epoch become it, in layers too: the rest is then the same every time.
        let output = format!("type=oci,rewrite-timestamp=true,dest={}", archive.display());
        let context = context::folder(work, "").to_string_lossy().into_owned();
        let own = case.arguments(work, registry);
        let mut args =
            vec!["build", "--no-cache", "--progress=plain", "--network=host", "--provenance=false"];
        args.extend(["-o", &output]);
        args.extend(own.iter().map(String::as_str));
        args.push(&context);
        let epoch = format!("SOURCE_DATE_EPOCH={EPOCH}");
        match self.docker(&["env", &epoch], &args) {
            Ok(_) => record::of_layout(&archive),
            Err(told) => {
                let words = told.lines().rfind(|line| line.starts_with("ERROR: "));
                let words = words.unwrap_or_else(|| panic!("{}: {told}", case.title()));
                // Which name server did not know a registry says nothing about the peer.
                let told = words.split(": failed to do request").next().unwrap_or(words);
                record::refused(&told.replace(&*work.to_string_lossy(), "{dir}"))
            }
        }
    }
}
