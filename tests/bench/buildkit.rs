//! Docker with its BuildKit, as root, in a root directory of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    meter,
    processes::{Ids, Owner},
    subject::{Cache, End, Order, Subject},
};

/// A signing configuration without a transparency log: there is none to be reached, and touchmark asks none either.
const NO_LOG: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#;

/// A Docker daemon with nothing in it, started anew for each fresh state.
pub(crate) struct BuildKit {
    root: PathBuf,
    dir: PathBuf,
    registry: String,
    but_for: Ids,
    daemon: Option<Child>,
}

impl BuildKit {
    /// In the root directory `root`, with its state below `dir`, which is seen under the same path there.
    pub(crate) fn new(root: &Path, dir: &Path, registry: &str, but_for: Ids) -> Self {
        fs::create_dir_all(dir).expect("own directory");
        fs::write(dir.join("no-log.json"), NO_LOG).expect("own directory");
        // The same store as containerd's: the only one that can hold attestations.
        let config = r#"{"features": {"containerd-snapshotter": true}}"#;
        fs::write(dir.join("daemon.json"), config).expect("own directory");
        let (root, dir, registry) = (root.to_owned(), dir.to_owned(), registry.to_owned());
        Self { root, dir, registry, but_for, daemon: None }
    }

    /// The file that holds the daemon's process number.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.dir.join("pid")
    }

    /// A program inside the root directory.
    fn inside(&self, program: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.root).args(program).env_clear();
        command.env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
        command.env("DOCKER_HOST", self.socket()).env("COSIGN_PASSWORD", "bench");
        command
            .env("SYFT_REGISTRY_INSECURE_USE_HTTP", "true")
            .env("SYFT_CHECK_FOR_APP_UPDATE", "false");
        command
    }

    fn socket(&self) -> String {
        format!("unix://{}/docker.sock", self.dir.display())
    }

    fn stop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        let _ = kill(Pid::from_raw(daemon.id().cast_signed()), Signal::SIGTERM);
        let begun = Instant::now();
        while daemon.try_wait().is_ok_and(|status| status.is_none()) {
            if begun.elapsed() > Duration::from_secs(30) {
                let _ = daemon.kill();
                let _ = daemon.wait();
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn start(&mut self) -> Result<(), String> {
        let path = |name: &str| self.dir.join(name).to_string_lossy().into_owned();
        let log = File::create(self.dir.join("log")).expect("own directory");
        let mut command = self.inside(&["setpriv", "--pdeathsig", "KILL", "dockerd"]);
        command.args(["--config-file", &path("daemon.json"), "--data-root", &path("data")]);
        command.args([
            "--exec-root",
            &path("exec"),
            "--pidfile",
            &path("pid"),
            "-H",
            &self.socket(),
        ]);
        command.args(["--bridge=none", "--iptables=false", "--ip6tables=false"]);
        command.args(["--insecure-registry", &self.registry]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("dup")).stderr(log);
        self.daemon = Some(command.spawn().map_err(|error| format!("dockerd: {error}"))?);
        let begun = Instant::now();
        // The second question wakes the builder, which the daemon makes when it is asked for first.
        while meter::run(self.inside(&["docker", "version"])).is_err() {
            let gone =
                self.daemon.as_mut().is_some_and(|it| it.try_wait().is_ok_and(|it| it.is_some()));
            if gone || begun.elapsed() > Duration::from_secs(60) {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let end = lines[lines.len().saturating_sub(5)..].join("\n");
                return Err(format!("dockerd does not start\n{end}"));
            }
            thread::sleep(Duration::from_millis(50));
        }
        meter::run(self.inside(&["docker", "buildx", "du"])).map(drop)
    }

    fn build(&self, order: &Order) -> Vec<String> {
        let mut words: Vec<String> =
            ["docker", "build", "--progress=plain", "--network=host"].map(str::to_owned).into();
        match order.end {
            End::Pushed => words.extend(["--push".into(), "--tag".into(), order.image.clone()]),
            End::Marked => {
                words.extend(["--push", "--provenance=mode=max", "--tag"].map(str::to_owned));
                words.push(order.image.clone());
            }
            End::Kept => words.push("--output=type=cacheonly".into()),
        }
        words.extend(order.arguments.iter().map(|argument| format!("--build-arg={argument}")));
        words.extend(order.cache.as_ref().map(|cache| match cache {
            Cache::To(image) => format!("--cache-to=type=registry,ref={image},mode=max"),
            Cache::From(image) => format!("--cache-from=type=registry,ref={image}"),
        }));
        words.push(order.context.to_string_lossy().into_owned());
        words
    }

    /// What a pipeline does today for the same result: build with provenance, take the inventory of what was pushed,
    /// sign the image, sign both statements.
    fn marking(&self, order: &Order) -> String {
        let (dir, image) = (self.dir.display(), &order.image);
        let sign = format!(
            "--yes --key {dir}/cosign.key --signing-config {dir}/no-log.json --allow-http-registry"
        );
        let attest = format!("cosign attest {sign}");
        format!(
            "{}\n\
             syft scan --quiet --output spdx-json={dir}/sbom.json registry:{image}\n\
             docker buildx imagetools inspect --format '{{{{json .Provenance.SLSA}}}}' {image} >{dir}/provenance.json\n\
             cosign sign {sign} {image}\n\
             {attest} --type spdxjson --predicate {dir}/sbom.json {image}\n\
             {attest} --type slsaprovenance1 --predicate {dir}/provenance.json {image}\n",
            self.build(order).join(" ")
        )
    }
}

impl Subject for BuildKit {
    fn version(&self) -> String {
        let ask = ["docker", "version", "--format", "{{.Server.Version}}"];
        let docker = meter::told(self.inside(&ask)).map_or("?".into(), |(_, text)| text);
        let buildx = meter::told(self.inside(&["docker", "buildx", "version"]));
        let buildx = buildx.map_or("?".into(), |(_, text)| text);
        let buildx = buildx.split_whitespace().nth(1).unwrap_or("?").to_owned();
        let syft = meter::told(self.inside(&["syft", "version"]));
        let syft = syft.map_or("none".into(), |(_, text)| named(&text, "Version:"));
        let cosign = ["dpkg-query", "-W", "-f", "${Version}", "cosign"];
        let cosign = meter::told(self.inside(&cosign)).map_or("?".into(), |(_, text)| text);
        format!("Docker {} (buildx {buildx}), syft {syft}, cosign {cosign}", docker.trim())
    }

    fn refresh(&mut self) -> Result<(), String> {
        self.stop();
        for name in ["data", "exec", "pid", "docker.sock"] {
            let path = self.dir.join(name);
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
        self.start()?;
        if self.dir.join("cosign.key").exists() {
            return Ok(());
        }
        let mut keys =
            self.inside(&["sh", "-c", "cd \"$1\" && exec cosign generate-key-pair", "sh"]);
        keys.arg(&self.dir);
        meter::run(keys).map(drop)
    }

    fn command(&self, order: &Order) -> Command {
        if order.end == End::Marked {
            return self.inside(&["sh", "-euc", &self.marking(order)]);
        }
        let words = self.build(order);
        self.inside(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn owner(&self) -> Owner {
        Owner::Descendants { but_for: self.but_for.clone(), without: None }
    }
}

impl Drop for BuildKit {
    fn drop(&mut self) {
        self.stop();
    }
}

fn named(text: &str, word: &str) -> String {
    let value = text.lines().find_map(|line| line.strip_prefix(word));
    value.unwrap_or("?").trim().to_owned()
}
