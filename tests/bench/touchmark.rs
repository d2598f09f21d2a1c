//! touchmark: an unprivileged user's, in a home of its own.

use std::{fs, process::Command};

use touchmark_tests::{account::Account, base, home::Home, registry::Registry};

use crate::{
    meter,
    processes::{Ids, Owner},
    subject::{Cache, End, Order, Subject},
};

/// touchmark as its user has it: with a key, so that every image has SBOM, provenance and signature.
pub(crate) struct Touchmark {
    account: Account,
    policy: String,
    key: Vec<u8>,
    home: Option<Home>,
}

impl Touchmark {
    /// Of the user `name`, who is made when there is none.
    pub(crate) fn of(name: &str, registry: &Registry) -> Self {
        let account = Account::made(name);
        let home = Home::of(account.clone());
        home.make_keys();
        let key = fs::read(home.path("cosign.key")).expect("just made");
        let policy = fs::read_to_string(home.policy(registry, &base::mirror_policy()));
        let policy = policy.expect("just written");
        Self { account, policy, key, home: Some(home) }
    }

    pub(crate) fn ids(&self) -> Ids {
        Ids::of(&self.account)
    }

    fn home(&self) -> &Home {
        self.home.as_ref().expect("refreshed before")
    }
}

impl Subject for Touchmark {
    fn version(&self) -> String {
        let output = self.home().run(&["--version"]);
        output.stdout.trim().to_owned()
    }

    fn refresh(&mut self) -> Result<(), String> {
        self.home = None;
        let home = Home::of(self.account.clone());
        home.write("touchmark.toml", &self.policy);
        let key = home.write("cosign.key", &self.key);
        home.give(&key, 0o600);
        let started = meter::run(home.touchmark(&["worker", "start"]));
        self.home = Some(home);
        started.map(drop)
    }

    fn forget_but_downloads(&mut self) -> Result<(), String> {
        for kind in ["step", "base", "blob", "record"] {
            let filter = format!("type={kind}");
            let args = ["cache", "prune", "--force", "--filter", &filter];
            meter::run(self.home().touchmark(&args))?;
        }
        Ok(())
    }

    fn command(&self, order: &Order) -> Command {
        let context = order.context.to_str().expect("a path in UTF-8");
        let mut args = vec!["build", "--progress", "plain", "--policy", "touchmark.toml"];
        args.extend(["-t", &order.image]);
        match order.end {
            End::Pushed | End::Marked => args.extend(["--push", "--sign-key", "cosign.key"]),
            End::Kept => args.extend(["-o", "type=cacheonly"]),
        }
        for argument in &order.arguments {
            args.extend(["--build-arg", argument]);
        }
        let cache = order.cache.as_ref().map(|cache| match cache {
            Cache::To(image) => ("--cache-to", format!("type=registry,ref={image},mode=max")),
            Cache::From(image) => ("--cache-from", format!("type=registry,ref={image}")),
        });
        if let Some((flag, value)) = &cache {
            args.extend([flag, value.as_str()]);
        }
        args.push(context);
        self.home().touchmark(&args)
    }

    fn owner(&self) -> Owner {
        Owner::User(self.ids())
    }
}
