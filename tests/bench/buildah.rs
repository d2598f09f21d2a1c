//! buildah as root with chroot isolation, which is the one that runs inside another container too.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    meter,
    processes::{Ids, Owner},
    subject::{End, Order, Subject},
};

/// buildah with an empty store.
pub(crate) struct Buildah {
    root: PathBuf,
    dir: PathBuf,
    but_for: Ids,
    other: PathBuf,
}

impl Buildah {
    /// In the root directory `root`, with its store below `dir`, which is seen under the same path there. The
    /// process whose number the file `other` holds has nothing to do with it.
    pub(crate) fn new(root: &Path, dir: &Path, but_for: Ids, other: PathBuf) -> Self {
        fs::create_dir_all(dir).expect("own directory");
        let trust = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;
        fs::write(dir.join("policy.json"), trust).expect("own directory");
        Self { root: root.to_owned(), dir: dir.to_owned(), but_for, other }
    }

    fn inside(&self, script: &str) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.root).args(["sh", "-euc", script]).env_clear();
        command.env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
        command.env("BUILDAH_ISOLATION", "chroot").env("STORAGE_DRIVER", "overlay");
        command
    }

    fn buildah(&self, word: &str) -> String {
        let dir = self.dir.display();
        let trust = match word {
            "build" | "push" => format!("--signature-policy {dir}/policy.json --tls-verify=false"),
            _ => String::new(),
        };
        format!("buildah --root {dir}/store --runroot {dir}/run {word} {trust}")
    }
}

impl Subject for Buildah {
    fn version(&self) -> String {
        let version = meter::told(self.inside("buildah --version"));
        let version = version.map_or("?".into(), |(_, text)| text);
        let number = version.split_whitespace().nth(2).unwrap_or("?");
        format!("buildah {number} (root, chroot isolation, overlay)")
    }

    fn refresh(&mut self) -> Result<(), String> {
        if self.dir.join("store").exists() {
            meter::run(self.inside(&format!("{} -a -f", self.buildah("rmi"))))?;
            // Its store keeps a mount of itself.
            let _ = Command::new("umount").arg("-q").arg(self.dir.join("store/overlay")).status();
        }
        for name in ["store", "run"] {
            let _ = fs::remove_dir_all(self.dir.join(name));
        }
        Ok(())
    }

    fn command(&self, order: &Order) -> Command {
        let arguments = order.arguments.iter().map(|argument| format!("--build-arg={argument} "));
        let build = format!(
            "{} --quiet --layers --jobs=0 --network=host --ulimit nofile=4096:4096 --ulimit nproc=16384:16384 {}--tag {} {}",
            self.buildah("build"),
            arguments.collect::<String>(),
            order.image,
            order.context.display(),
        );
        match order.end {
            End::Kept => self.inside(&build),
            _ => self.inside(&format!("{build}\n{} --quiet {}", self.buildah("push"), order.image)),
        }
    }

    fn owner(&self) -> Owner {
        let other = fs::read_to_string(&self.other).ok().and_then(|pid| pid.trim().parse().ok());
        Owner::Descendants { but_for: self.but_for.clone(), without: other }
    }
}

impl Drop for Buildah {
    fn drop(&mut self) {
        let _ = self.refresh();
    }
}
