//! What a step downloads through inspection, beside the same program that downloads the same on the host.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use touchmark_tests::{account::Account, base, home::Home, mirror::Mirror, registry::Registry};

use crate::{
    context,
    meter::{self, Watch},
    processes::{Ids, Owner},
    result,
};

/// Something to download.
pub(crate) struct Download {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    /// What is run in an empty directory; `$BASE` is the mirror, `$ROUND` is another one each time.
    script: &'static str,
    /// How many times the host's time it may take.
    bound: Option<f64>,
}

/// All of them, in the order of the report.
pub(crate) fn all() -> Vec<Download> {
    vec![
        Download {
            key: "download",
            title: "one file of 1 GB",
            script: "curl --http1.1 -fsS -o file $BASE/large/$ROUND/1000000000",
            bound: Some(1.25),
        },
        Download {
            key: "download-tenth",
            title: "one file of 100 MB",
            script: "curl --http1.1 -fsS -o file $BASE/large/$ROUND/100000000",
            bound: None,
        },
        Download {
            key: "download-gigabit",
            title: "one file of 1 GB, sent at 1 Gbit/s",
            script: "curl --http1.1 -fsS -o file $BASE/gigabit/$ROUND/1000000000",
            bound: Some(1.25),
        },
        Download {
            key: "download-small",
            title: "2,000 files of 5 to 50 kB over 8 connections",
            script: "for PART in 0 1 2 3 4 5 6 7; do \
                     curl --http1.1 -fsS \"$BASE/small/$ROUND/[$((PART * 250 + 1))-$((PART * 250 + 250))]\" > $PART & \
                     ALL=\"$ALL $!\"; done; for ONE in $ALL; do wait $ONE; done",
            bound: Some(1.3),
        },
        Download {
            key: "download-small-far",
            title: "2,000 files of 5 to 50 kB over 8 connections, 10 ms away",
            script: "for PART in 0 1 2 3 4 5 6 7; do \
                     curl --http1.1 -fsS \"$BASE/far/$ROUND/[$((PART * 250 + 1))-$((PART * 250 + 250))]\" > $PART & \
                     ALL=\"$ALL $!\"; done; for ONE in $ALL; do wait $ONE; done",
            bound: Some(1.3),
        },
    ]
}

/// The host of the mirror, as steps know it.
const HOST: &str = "packages.example.org";

/// A home with a mirror that its policy trusts.
pub(crate) struct Hall {
    home: Home,
    registry: Registry,
    mirror: Mirror,
    owner: Owner,
    runs: usize,
    round: usize,
}

impl Hall {
    /// Of the user `name`.
    pub(crate) fn of(name: &str, runs: usize) -> Self {
        let account = Account::made(name);
        let (home, mirror) = (Home::of(account.clone()), Mirror::start());
        let registry = Registry::from_storage(&base::storage());
        home.write("private-ca.pem", mirror.authority());
        let rest = format!(
            "[network]\nallow = []\nca = \"private-ca.pem\"\n[[network.mirror]]\nhost = \"{HOST}\"\nupstream = \"https://{}\"\n",
            mirror.host()
        );
        home.policy(&registry, &rest);
        let _ = home.run(&["worker", "start"]).succeeded();
        let owner = Owner::User(Ids::of(&account));
        Self { home, registry, mirror, owner, runs, round: 0 }
    }

    /// Downloads in a step and on the host, in turns.
    pub(crate) fn run(&mut self, download: &Download) -> Value {
        let context = self.home.path(download.key);
        self.home.write(&format!("{}/Dockerfile", download.key), self.dockerfile(download));
        let (mut step, mut host) = (Vec::new(), Vec::new());
        let mut failure = None;
        // The first time everything is new: the base image comes, the worker starts.
        for at in 0..=self.runs {
            self.round += 1;
            match (self.in_step(&context, Watch::Time), self.on_host(download)) {
                (Ok((inside, _)), Ok(outside)) if at > 0 => {
                    println!("   {}: {inside:.0} ms, on the host {outside:.0} ms", download.key);
                    step.push(inside);
                    host.push(outside);
                }
                (Ok(_), Ok(_)) => {}
                (Err(error), _) | (_, Err(error)) => failure = Some(error),
            }
        }
        self.round += 1;
        let peak = self.in_step(&context, Watch::Memory).map(|(_, peak)| peak);
        if let Some(error) = failure.or_else(|| peak.as_ref().err().cloned()) {
            println!("   {} FAILED: {error}", download.key);
            return json!({"row": download.key, "title": download.title, "failed": error});
        }
        json!({
            "row": download.key, "title": download.title, "bound": download.bound,
            "step": step, "host": host, "peak": peak.ok().flatten(),
        })
    }

    /// The host's own curl with its libraries, so that both are the same program.
    fn dockerfile(&self, download: &Download) -> String {
        let folder = self.home.path(download.key).join("root");
        for file in libraries("/usr/bin/curl") {
            let to = folder.join(file.trim_start_matches('/'));
            fs::create_dir_all(to.parent().expect("a folder")).expect("own directory");
            fs::copy(&file, &to).expect("a library");
        }
        let script = script(download).replace('\n', "; ");
        format!(
            "FROM {}\nCOPY root /opt/curl\nARG ROUND\nRUN set -e; PATH=/opt/curl/usr/bin:$PATH; BASE=https://{HOST}; \
             export LD_LIBRARY_PATH=/opt/curl/lib/x86_64-linux-gnu; {script}\n",
            context::debian(&self.registry.host())
        )
    }

    /// Milliseconds of the download in a step, and the most memory that builder and step had.
    fn in_step(&self, context: &Path, watch: Watch) -> Result<(f64, Option<u64>), String> {
        let round = format!("ROUND={}", self.round);
        let path = context.to_str().expect("a path in UTF-8");
        let args = ["build", "--progress", "plain", "--policy", "touchmark.toml", "--build-arg"];
        let mut command = self.home.touchmark(&args);
        command.args([&round, "--harden", "off", "-o", "type=cacheonly", path]);
        let (measured, said) = meter::measure_telling(&self.owner, watch, command)?;
        Ok((took(&said)?, measured.peak))
    }

    /// Milliseconds of the same on the host, by the same user.
    fn on_host(&self, download: &Download) -> Result<f64, String> {
        let mut command = self.home.command("sh");
        let script = format!("cd $(mktemp -d)\n{}\nrm -rf $PWD", script(download));
        command.args(["-ec", &script]).env("ROUND", self.round.to_string());
        command.env("BASE", format!("https://{}", self.mirror.host()));
        command.env("CURL_CA_BUNDLE", self.home.path("private-ca.pem"));
        took(&meter::told(command)?.1)
    }
}

fn script(download: &Download) -> String {
    format!(
        "mkdir d\ncd d\nBEGAN=$(date +%s%N)\n{}\nENDED=$(date +%s%N)\n\
         echo TOOK=$((ENDED - BEGAN))=\ncd ..\nrm -r d",
        download.script
    )
}

/// What a run says that it took, in milliseconds.
fn took(said: &str) -> Result<f64, String> {
    // The script itself is told too.
    let numbers = said.split("TOOK=").filter_map(|rest| rest.split('=').next()?.parse().ok());
    numbers.last().map(|nanoseconds: f64| nanoseconds / 1e6).ok_or_else(|| said.to_owned())
}

/// A program and the libraries that it loads.
fn libraries(program: &str) -> Vec<String> {
    let listed = Command::new("ldd").arg(program).output().expect("ldd");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let paths = listed.split_whitespace().filter(|word| word.starts_with('/'));
    // The loader and the C library are the image's own: they belong together.
    let foreign = |path: &&str| !path.contains("ld-linux") && !path.contains("libc.so");
    [program].into_iter().chain(paths.filter(foreign)).map(str::to_owned).collect()
}

/// The ratio of the medians, step over host.
pub(crate) fn ratio(row: &Value) -> Option<f64> {
    let of = |key: &str| result::median(result::numbers(&row[key]));
    Some(of("step")? / of("host")?)
}
